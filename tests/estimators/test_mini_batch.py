"""solver="adam" in a whole fit, for all autoencoders."""

import re
import warnings

import numpy as np
import pytest
from autoencoders import X, assert_same_bits, autoencoder, each_kind
from joblib import parallel_config
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skae import DenoisingAutoencoder
from skae.engines.batches import BatchEngine
from skae.engines.threads import ThreadEngine

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fits_in_every_epoch_lower_and_keeps_dtype(kind, dtype):
    model = autoencoder(kind, max_iter=40, learning_rate_init=1e-2, tol=0)
    model.fit(X.astype(dtype))
    assert model.components_.dtype == model.mean_activation_.dtype == dtype
    assert model.n_iter_ == len(model.loss_curve_) == 40
    assert model.loss_curve_[-1] < model.loss_curve_[9] < model.loss_curve_[0]
    assert model.loss_ == model.loss_curve_[-1]
    assert sum(model.loss_terms_.values()) == pytest.approx(model.loss_, rel=1e-9)
    assert model.validation_scores_ is None
    assert model.score(X) > 0.3


@each_kind
def test_same_seed_same_bits(kind):
    fits = [autoencoder(kind, random_state=seed).fit(X) for seed in (0, 0, 1)]
    assert_same_bits(fits[0], fits[1])
    assert (fits[0].components_ != fits[2].components_).any()


def test_n_jobs_changes_no_bit():
    alone = autoencoder(n_init=2, max_iter=2).fit(X)
    with parallel_config(backend="threading"):  # processes start slowly
        two = autoencoder(n_init=2, max_iter=2, n_jobs=2).fit(X)
    assert_same_bits(alone, two)


@pytest.mark.parametrize(
    "activation",
    # Tied weights have one scale, which cannot suit all data.
    ["logistic", "tanh", "relu", "identity"],
)
@pytest.mark.parametrize("factor", [1e-8, 1.0, 1e3, 1e8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_of_any_scale_train_alike(activation, factor, dtype):
    """float32 is near float64 even at the extremes."""
    model = autoencoder(activation=activation, alpha=0.0, sparsity=None)
    plain = clone(model).fit(X)
    scaled = model.fit((factor * X).astype(dtype))
    tolerance = 1e-3 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(
        scaled.loss_curve_ / factor**2, plain.loss_curve_, rtol=tolerance
    )
    np.testing.assert_allclose(
        scaled.predict((factor * X).astype(dtype)) / factor,
        plain.predict(X),
        atol=10 * tolerance,
    )


@each_kind
def test_shifted_and_scaled_data_train_alike(kind):
    options = {"alpha": 0.0}
    if kind is DenoisingAutoencoder:
        options["corruption"] = "gaussian"  # masking sets to 0, which is no place
        options["corruption_level"] = 0.2
    plain = autoencoder(kind, **options).fit(X)
    if kind is DenoisingAutoencoder:
        options["corruption_level"] *= 1e3
    moved = autoencoder(kind, **options).fit(1e3 * X + 1e4)
    np.testing.assert_allclose(moved.loss_curve_ / 1e6, plain.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(
        (moved.predict(1e3 * X + 1e4) - 1e4) / 1e3, plain.predict(X), atol=1e-6
    )


@each_kind
def test_polishing_by_lbfgs_goes_on_from_adams_weights(kind):
    model = autoencoder(kind, warm_start=True, max_iter=20, learning_rate_init=1e-2)
    model.fit(X)
    before, score = model.loss_, model.score(X)
    model.set_params(solver="lbfgs", max_iter=100).fit(X)
    # The first iterate is no worse than the start.
    assert model.loss_curve_[0] < 1.05 * before
    assert model.loss_ < 0.95 * before
    assert model.score(X) > score


@pytest.mark.parametrize("shuffle", [False, True])
def test_without_noise_an_epoch_of_one_batch_meets_the_whole_objective(shuffle):
    """The first value is J at the start: that of L-BFGS's first evaluation."""
    losses = []
    original = ThreadEngine.__call__

    def recorded(engine, theta):
        result = original(engine, theta)
        losses.append(result[0])
        return result

    model = autoencoder(batch_size=10**6, max_iter=1, shuffle=shuffle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadEngine, "__call__", recorded)
        clone(model).set_params(solver="lbfgs").fit(X)
    model.fit(X)
    assert model.loss_curve_[0] == pytest.approx(losses[0], rel=1e-10)


def test_shuffle_false_takes_rows_in_their_order(monkeypatch):
    seen = []
    original = BatchEngine.__call__

    def recorded(engine, theta, data, index, weight_sum):
        seen.append(index)
        return original(engine, theta, data, index, weight_sum)

    monkeypatch.setattr(BatchEngine, "__call__", recorded)
    autoencoder(shuffle=False, max_iter=2).fit(X)
    np.testing.assert_array_equal(np.concatenate(seen), np.tile(np.arange(600), 2))
    assert max(map(len, seen)) == 50


@pytest.mark.parametrize(
    ("given", "n_rows", "largest"), [("auto", 600, 200), (64, 600, 60), (999, 30, 30)]
)
def test_batch_size(monkeypatch, given, n_rows, largest):
    sizes = []
    original = BatchEngine.__call__

    def recorded(engine, theta, data, index, weight_sum):
        sizes.append(len(index))
        return original(engine, theta, data, index, weight_sum)

    monkeypatch.setattr(BatchEngine, "__call__", recorded)
    autoencoder(batch_size=given, max_iter=1).fit(X[:n_rows])
    assert max(sizes) == largest and sum(sizes) == n_rows


@each_kind
@pytest.mark.parametrize("early_stopping", [False, True])
def test_weight_zero_is_absence(kind, early_stopping):
    weights = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    model = autoencoder(kind, early_stopping=early_stopping)
    there = weights > 0
    weighted = clone(model).fit(X, sample_weight=weights)
    absent = clone(model).fit(X[there], sample_weight=weights[there])
    assert_same_bits(weighted, absent)


def test_only_ratios_of_weights_matter():
    weights = np.random.default_rng(0).uniform(1, 3, len(X))
    one = autoencoder().fit(X, sample_weight=weights)
    other = autoencoder().fit(X, sample_weight=1024 * weights)
    assert_same_bits(one, other)


@pytest.mark.parametrize("rate", [3e-3, 3e-2])
def test_converges_when_the_loss_stands_still(rate):
    """After three epochs, and after as many steps as the docstring says."""
    tol, stale = 0.1, 3
    make = {"tol": tol, "n_iter_no_change": stale, "learning_rate_init": rate}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = autoencoder(max_iter=500, **make).fit(X)
    steps = -(-len(X) // model.batch_size)
    least = max(stale, int(np.ceil(int(1 / rate) / steps)))
    lowest = np.r_[np.inf, np.minimum.accumulate(model.loss_curve_)]
    windows = [(n, max(least, n // 4)) for n in range(least, len(lowest))]
    left = np.array([3 * (lowest[n - window] - lowest[n]) for n, window in windows])
    ends = left <= tol * lowest[least:]
    assert ends[-1] and not ends[:-1].any()  # and not an epoch earlier


def test_warns_at_max_iter():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        autoencoder(max_iter=2).fit(X)
    (warning,) = caught
    assert warning.category is ConvergenceWarning
    assert "max_iter=2" in str(warning.message)


@pytest.mark.parametrize(("dtype", "rate"), [(np.float32, 1e25), (np.float64, 1e200)])
@each_kind
def test_absurd_learning_rate_is_an_error(kind, dtype, rate):
    model = autoencoder(kind, learning_rate_init=rate)
    with pytest.raises(ValueError, match=r"solver='adam'; lower learning_rate_init"):
        model.fit(X.astype(dtype))
    assert not hasattr(model, "components_")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("solver", "sgd"),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("batch_size", "all"),
        ("learning_rate_init", 0),
        ("learning_rate_init", -1e-3),
        ("shuffle", "yes"),
        ("early_stopping", 2),
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("n_iter_no_change", None),
    ],
)
def test_bad_values_are_named(parameter, value):
    model = autoencoder(**{parameter: value})
    with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
        model.fit(X)
    if parameter != "solver":
        with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
            model.partial_fit(X)


LINE = re.compile(
    r"epoch +(\d+)  loss (\S+)(?:  held-out score (\S+))?  evaluations +(\d+) +(\S+) s"
)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_verbose_prints_epochs(capsys, early_stopping):
    model = autoencoder(verbose=2, early_stopping=early_stopping).fit(X)
    *lines, last = capsys.readouterr().out.splitlines()
    rows = [LINE.fullmatch(line).groups() for line in lines]
    assert [int(row[0]) for row in rows] == [1, 2, 3, 4, 5]
    losses = [float(row[1]) for row in rows]
    np.testing.assert_allclose(losses, model.loss_curve_, rtol=1e-5)
    if early_stopping:
        scores = [float(row[2]) for row in rows]
        np.testing.assert_allclose(scores, model.validation_scores_, atol=1e-4)
    else:
        assert all(row[2] is None for row in rows)
    assert last.startswith("stopped: the limit of iterations, max_iter")


def test_a_rate_that_falls_ends_as_scheduled():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        falling = autoencoder(learning_rate="linear").fit(X)
    constant = autoencoder().fit(X)
    assert falling.loss_curve_[0] == constant.loss_curve_[0]  # the first rate is whole
    assert falling.loss_curve_[1] != constant.loss_curve_[1]
