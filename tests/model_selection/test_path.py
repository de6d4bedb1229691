"""Paths: each value is fitted from the weights of the one before, and well."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    autoencoder_path,
)
from skae.model_selection._values import path_values, strongest_decay

DIGITS = load_digits()
X, Y = DIGITS.data[:150, ::2] / 16, DIGITS.target[:150]
SPARSE = SparseAutoencoder(8, tol=0.05, random_state=0)
RANGE = [("scale", times) for times in (10.0, 1.0, 0.1)]


def test_first_fit_is_cold_and_the_others_go_on():
    path = autoencoder_path(SPARSE, X, param_range=RANGE, return_estimators=True)
    by_hand = clone(SPARSE).set_params(sparsity_weight=RANGE[0]).fit(X)
    for value, fitted in zip(RANGE, path.estimators, strict=True):
        by_hand.set_params(sparsity_weight=value)
        if value != RANGE[0]:
            by_hand.set_params(warm_start=True).fit(X)
        assert fitted.components_.tobytes() == by_hand.components_.tobytes()
        assert fitted.sparsity_weight == value and not fitted.warm_start


@pytest.mark.parametrize("name", ["sparsity_weight", "alpha"])
def test_losses_are_those_of_fits_from_scratch_or_lower(name):
    path = autoencoder_path(SPARSE, X, param_name=name, param_range=RANGE)
    cold = [clone(SPARSE).set_params(**{name: value}).fit(X) for value in RANGE]
    assert (path.losses <= [1.01 * model.loss_ for model in cold]).all()
    assert path.n_iters.sum() < sum(model.n_iter_ for model in cold)


def test_values_in_any_order_are_fitted_in_the_same():
    path = autoencoder_path(SPARSE, X, param_range=RANGE)
    mixed = autoencoder_path(SPARSE, X, param_range=[RANGE[i] for i in (1, 2, 0)])
    assert mixed.order.tolist() == [2, 0, 1]
    assert mixed.losses[mixed.order].tolist() == path.losses.tolist()
    assert mixed.param_range == [RANGE[i] for i in (1, 2, 0)]


def test_what_is_told_of_each_value():
    path = autoencoder_path(SPARSE, X, param_range=RANGE, return_estimators=True)
    for i, fitted in enumerate(path.estimators):
        codes = fitted.transform(X)
        assert np.allclose(path.mean_codes[i], codes.mean(axis=0))
        low = [np.mean(np.abs(c) <= 0.05 * np.abs(c).max()) for c in codes.T]
        assert np.isclose(path.near_zero[i], np.mean(low))
        residual = X - fitted.predict(X)
        explained = 1 - np.sum(residual**2) / np.sum((X - X.mean(axis=0)) ** 2)
        assert np.isclose(path.scores[i], explained)
        assert path.effective[i] == fitted.sparsity_weight_
        assert path.n_iters[i] == fitted.n_iter_
    assert np.allclose(sum(path.loss_terms.values()), path.losses)
    assert (path.seconds > 0).all()


@pytest.mark.parametrize(
    ("estimator", "name", "fits"),
    [
        (SparseAutoencoder(sparsity="l1", activation="relu"), "sparsity_weight", "up"),
        (SparseAutoencoder(), "sparsity_weight", "down"),
        (SparseAutoencoder(), "sparsity_target", "up"),
        (ContractiveAutoencoder(), "alpha", "up"),
        (ContractiveAutoencoder(l1_ratio=0.5), "alpha", "up"),
        (ContractiveAutoencoder(), "contraction_weight", "up"),
        (DenoisingAutoencoder(corruption="gaussian"), "corruption_level", "down"),
        (DenoisingAutoencoder(redraw_every=None), "corruption_level", "down"),
        (SparseCoding(), "dictionary_penalty", "down"),
    ],
)
def test_range_is_found_and_every_value_fitted(estimator, name, fits):
    estimator.set_params(n_components=5, max_iter=4, random_state=0)
    with pytest.warns(UserWarning):  # of the limit of iterations
        path = autoencoder_path(estimator, X[:60], param_name=name, param_range=3)
    sizes = [v[1] if isinstance(v, tuple) else v for v in path.param_range]
    assert np.isclose(sizes[0] * sizes[2], sizes[1] ** 2)
    fitted = np.array(sizes)[path.order]
    assert (np.diff(fitted) > 0).all() if fits == "up" else (np.diff(fitted) < 0).all()
    assert np.isfinite(path.losses).all() and path.mean_codes.shape == (3, 5)


@pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped")
@pytest.mark.parametrize("kind", [StackedAutoencoder, StackedAutoencoderClassifier])
def test_path_of_a_stack(kind):
    stack = kind((6,), autoencoder=None, max_iter=8, random_state=0)
    path = autoencoder_path(stack, X, y=Y, param_name="alpha", param_range=[1e-3, 1e-4])
    first = clone(stack).set_params(alpha=1e-4).fit(X, Y)
    assert path.order.tolist() == [1, 0] and path.losses[1] == first.loss_
    assert path.mean_codes.shape == (2, 6)


@pytest.mark.filterwarnings("ignore:Training of SparseAutoencoder")
@pytest.mark.parametrize("scale", [1, 100])
@pytest.mark.parametrize("l1_ratio", [0, 1])
def test_range_of_alpha_begins_where_nothing_is_learnt(l1_ratio, scale):
    """Of linear units the end is exact, but for L1 of columns taken together."""
    linear = SparseAutoencoder(
        *(3,),
        activation="identity",
        sparsity=None,
        l1_ratio=l1_ratio,
        random_state=0,
        tol=1e-5,
    )
    rows = scale * X[:, ::4]
    most = strongest_decay(linear, rows)
    above = clone(linear).set_params(alpha=("scale", 1.2 * most)).fit(rows)
    below = clone(linear).set_params(alpha=("scale", 0.3 * most)).fit(rows)
    assert abs(above.score(rows)) < 0.01 < below.score(rows)


def test_sparse_rows_have_the_same_ends():
    from scipy.sparse import csr_array

    for l1_ratio in (0, 1):
        model = SparseAutoencoder(l1_ratio=l1_ratio)
        ends = strongest_decay(model, X), strongest_decay(model, csr_array(X))
        assert np.isclose(*ends)


def test_range_of_targets_ends_where_half_of_the_units_are_active():
    values = path_values(SparseAutoencoder(50), X, "sparsity_target", 4).given
    assert np.isclose(values[0], 1 / 50) and np.isclose(values[-1], 0.5)


@pytest.mark.parametrize("true", [bool, np.bool_])
def test_callback_ends_the_path(true):
    seen = []

    def first_two(value, fitted):
        seen.append((value, fitted.loss_))
        return true(len(seen) == 2)

    path = autoencoder_path(SPARSE, X, param_range=RANGE, callback=first_two)
    assert [value for value, _ in seen] == RANGE[:2]
    assert path.losses[:2].tolist() == [loss for _, loss in seen]
    assert np.isnan(path.losses[2]) and np.isnan(path.mean_codes[2]).all()


def test_interrupt_keeps_what_is_finished(monkeypatch):
    whole = autoencoder_path(SPARSE, X, param_range=RANGE)
    original, calls = SparseAutoencoder.fit, []

    def interrupted(self, *args, **kwargs):
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(SparseAutoencoder, "fit", interrupted)
    with pytest.warns(UserWarning, match="by user; the values found so far"):
        path = autoencoder_path(SPARSE, X, param_range=RANGE)
    assert path.order.tolist() == [0, 1]
    assert path.losses[:2].tolist() == whole.losses[:2].tolist()


def test_weights_of_rows():
    weights = np.repeat([0.0, 1.0], 75)
    path = autoencoder_path(SPARSE, X, param_range=RANGE[:2], sample_weight=weights)
    without = autoencoder_path(SPARSE, X[75:], param_range=RANGE[:2])
    assert np.allclose(path.losses, without.losses, rtol=1e-3)


def test_verbose_prints_a_line_for_each_value(capsys):
    autoencoder_path(SPARSE, X, param_range=RANGE, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["10", "1", "0.1"]


NO_PENALTY = SparseAutoencoder(sparsity=None)


@pytest.mark.parametrize(
    ("estimator", "params", "error", "message"),
    [
        (SPARSE, {"param_name": "n_components"}, ValueError, "param_name must be one"),
        (SPARSE, {"param_name": "contraction_weight"}, ValueError, "use GridSearchCV"),
        (
            NO_PENALTY,
            {},
            ValueError,
            "has no effect.*sparsity='kl', or param_name='alpha'",
        ),
        (
            *(DenoisingAutoencoder(), {}, ValueError),
            "has no effect.*, or param_name='alpha' or 'corruption_level'",
        ),
        (
            *(SparseAutoencoder(sparsity="l1"), {"param_name": "sparsity_target"}),
            *(ValueError, "sparsity='l1' has none"),
        ),
        (
            DenoisingAutoencoder(corruption=lambda X, u: X),
            {"param_name": "corruption_level"},
            *(ValueError, "a callable corruption"),
        ),
        (SPARSE, {"param_range": 1}, ValueError, "at least 2 values"),
        (SPARSE, {"param_range": [0.1]}, ValueError, "at least 2 values that differ"),
        (SPARSE, {"param_range": [1, 1.0]}, ValueError, "values that differ"),
        (SPARSE, {"param_range": [-1, 1]}, ValueError, "sparsity_weight.*Got -1"),
        (SPARSE, {"param_range": [1, ("scale", 2)]}, ValueError, "not both"),
        (SPARSE, {"param_range": [1, ("size", 2)]}, ValueError, "'size'"),
        (SPARSE, {"param_range": "auto"}, ValueError, "must be an int"),
        (SPARSE, {"param_range": 2.5}, ValueError, "must be an int"),
        (
            SPARSE,
            {"param_name": "sparsity_target", "param_range": ["auto", 0.1]},
            *(ValueError, "must be numbers"),
        ),
        (
            SPARSE,
            {"param_name": "sparsity_target", "param_range": [0.1, 1.5]},
            *(ValueError, "sparsity_target.*Got 1.5"),
        ),
        (SPARSE, {"callback": 3}, TypeError, "callback .* got 3"),
        (LinearRegression(), {}, TypeError, "autoencoder of skae"),
        (make_pipeline(SPARSE), {}, TypeError, "takes AutoencoderCV as a step"),
    ],
)
def test_bad_input_is_named(estimator, params, error, message):
    with pytest.raises(error, match=message):
        autoencoder_path(estimator, X, **params)
