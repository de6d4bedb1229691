"""TopActivationsDisplay: the right samples, as pictures and as names."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skae import TopKAutoencoder
from skae.plotting import TopActivationsDisplay

X = load_digits().data[:200]
NAMES = [f"row {i}" for i in range(200)]


@pytest.fixture(scope="module")
def model():
    return TopKAutoencoder(20, 3, max_iter=3, random_state=0).fit(X)


def test_names_are_those_of_the_largest_codes(plt, model):
    display = TopActivationsDisplay.from_estimator(model, X, [3, 7], n=5, names=NAMES)
    codes = model.transform(X).toarray()
    for axis, bars, unit in zip(display.axes_, display.artists_, (3, 7), strict=True):
        order = np.argsort(-codes[:, unit], kind="stable")[:5]
        labels = [label.get_text() for label in axis.get_yticklabels()]
        assert labels == [NAMES[i] for i in order]
        widths = [bar.get_width() for bar in bars]
        assert widths == pytest.approx(codes[order, unit])
        assert axis.get_title() == f"unit {unit}"


def test_pictures_are_those_of_the_largest_codes(plt, model):
    display = TopActivationsDisplay.from_estimator(model, X, [3, 7], n=5)
    codes = model.transform(X).toarray()
    for image, unit in zip(display.artists_, (3, 7), strict=True):
        canvas = image.get_array()
        order = np.argsort(-codes[:, unit], kind="stable")[:5]
        for place, index in enumerate(order):
            picture = canvas[:8, 9 * place : 9 * place + 8]
            assert (picture == X[index].reshape(8, 8)).all()


def test_a_dead_unit_has_an_empty_place(plt, model):
    model = TopKAutoencoder(20, 3, max_iter=3, random_state=0).fit(X)
    model.intercept_hidden_[5] = -1e9
    display = TopActivationsDisplay.from_estimator(model, X, [4, 5])
    assert display.artists_[1] is None
    named = TopActivationsDisplay.from_estimator(model, X, [5], names=NAMES)
    assert len(named.artists_[0]) == 0


def test_axes_of_others_are_drawn_in(plt, model):
    figure, axes = plt.subplots(2)
    display = TopActivationsDisplay.from_estimator(model, X, [0, 1], ax=axes)
    assert display.figure_ is figure and list(display.axes_) == list(axes)
    with pytest.raises(ValueError, match="one Axes for each of the 3 units"):
        TopActivationsDisplay.from_estimator(model, X, [0, 1, 2], ax=axes)


def test_long_names_are_cut(plt):
    display = TopActivationsDisplay({0: [(0, 1.0)]}, names=["x" * 100]).plot()
    (label,) = display.axes_[0].get_yticklabels()
    assert len(label.get_text()) < 40 and label.get_text().endswith("…")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": [20]}, "unit=20"),
        ({"units": []}, "at least one unit"),
        ({"units": [0], "names": NAMES[:-1]}, "one for each row of X, 200; got 199"),
        ({"units": [0], "n": 0}, "n must be"),
    ],
)
def test_bad_input_is_named(plt, model, arguments, message):
    with pytest.raises(ValueError, match=message):
        TopActivationsDisplay.from_estimator(model, X, **arguments)


def test_one_of_rows_and_names_is_needed(plt):
    with pytest.raises(ValueError, match="One of rows"):
        TopActivationsDisplay({0: [(0, 1.0)]}).plot()
