"""What l1_ratio promises: the stated objective, its optimum, and exact zeros."""

from itertools import pairwise

import numpy as np
import pytest
import textbook
from compare import central_differences
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris

from skae import ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from skae.solvers import minimize_lbfgs
from skae.solvers.adam import Adam
from skae.training import full_batch as _full_batch

DIGITS = load_digits().data[:200, 18:38] / 16
IRIS = load_iris().data
CLASSES = [SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder]

stops_early = pytest.mark.filterwarnings("ignore:Training stopped")


def fitted(kind, X, sample_weight=None, **params):
    params = {"n_components": 4, "random_state": 0, "l1_ratio": 0.7, **params}
    return kind(**params).fit(X, sample_weight=sample_weight)


def arrays(model):
    names = ("components_", "intercept_hidden_", "decoder_components_")
    return [getattr(model, name) for name in (*names, "intercept_visible_")]


def textbook_terms(model, X, s=None, weights=None):
    W, b, D, c = weights or arrays(model)
    penalty = {"penalties": model.penalties_}
    if getattr(model, "sparsity", None) == "kl":
        penalty |= {"beta": model.sparsity_weight_, "rho": model.sparsity_target_}
    if isinstance(model, ContractiveAutoencoder):
        penalty["contraction"] = model.contraction_weight_
    return textbook.terms(
        *(X, W, b, D, c),
        activation=model.activation,
        output=model.output_activation,
        loss=model.loss,
        sparsity=getattr(model, "sparsity", None),
        s=s,
        **penalty,
    )


def smooth_gradient(model, X, s=None):
    """Of all terms of the textbook's J but "l1", by W and by D (tied: by W alone)."""
    W, b, D, c = arrays(model)
    shapes, tied = W.shape, model.tied_weights

    def value(flat):
        V = flat.reshape(-1, *shapes)
        terms = textbook_terms(model, X, s, (V[0], b, V[-1], c))
        return sum(terms.values()) - terms["l1"]

    matrices = np.stack([W] if tied else [W, D])
    gradient = central_differences(value, matrices.ravel(), step=1e-6)
    return matrices.ravel(), gradient


@pytest.mark.parametrize(
    "seed, kind, X, params",
    [
        (0, SparseAutoencoder, DIGITS, {"alpha": 0.003}),
        (1, SparseAutoencoder, DIGITS, {"alpha": 0.003, "l1_ratio": 1.0}),
        (2, SparseAutoencoder, 100 + 20 * IRIS, {"alpha": 2.0, "sparsity": None}),
        (0, SparseAutoencoder, IRIS, {"alpha": 0.05, "tied_weights": True}),
        (1, ContractiveAutoencoder, IRIS, {"alpha": 0.03, "activation": "tanh"}),
    ],
    ids=["digits", "lasso", "large units", "tied", "contractive"],
)
def test_conditions_of_optimality_hold_in_the_units_of_the_data(
    seed, kind, X, params, monkeypatch
):
    # A loss that falls by 1e-9 leaves two digits of the gradient; here are three asked.
    def to_the_end(*args, **kwargs):
        return minimize_lbfgs(*args, **kwargs | {"tol": 1e-10, "ftol": 0, "atol": 0})

    monkeypatch.setattr(_full_batch, "minimize_lbfgs", to_the_end)
    params = {"max_iter": 20_000, "max_fun": 40_000, **params}
    s = np.random.default_rng(seed).uniform(0.5, 2, len(X))
    model = fitted(kind, X, s, random_state=seed, **params)
    w, g = smooth_gradient(model, X, s)
    weight = model.penalties_["absolute"][0] * (1 + model.tied_weights)
    zero = w == 0
    assert 0 < zero.mean() < 1
    assert (np.abs(g[zero]) <= 1.001 * weight).all()
    np.testing.assert_allclose(g[~zero], -weight * np.sign(w[~zero]), rtol=1e-3)


@stops_early
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("kind", CLASSES)
def test_terms_are_the_textbooks_and_sum_to_the_loss(kind, solver):
    model = fitted(kind, IRIS, solver=solver, max_iter=30)
    expected = textbook_terms(model, IRIS)
    assert sum(model.loss_terms_.values()) == pytest.approx(model.loss_, rel=1e-12)
    assert model.loss_curve_[-1] == model.loss_
    if solver == "lbfgs":  # Adam's are means over an epoch
        for name in ("decay", "l1"):
            assert model.loss_terms_[name] == pytest.approx(expected[name], rel=1e-10)
        if kind is not DenoisingAutoencoder:  # whose loss is of noisy rows
            assert model.loss_ == pytest.approx(sum(expected.values()), rel=1e-10)


@stops_early
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("kind", CLASSES)
def test_the_fraction_of_zeros_is_told_and_no_bias_is_penalised(kind, solver):
    model = fitted(kind, IRIS, solver=solver, alpha=1e4, max_iter=1200, tol=0)
    assert model.sparsity_of_weights_ == {"encoder": 1.0, "decoder": 1.0}
    assert not model.components_.any() and not model.decoder_components_.any()
    np.testing.assert_allclose(model.intercept_visible_, IRIS.mean(axis=0), rtol=0.02)
    some = fitted(kind, IRIS, solver=solver, max_iter=100)
    assert some.sparsity_of_weights_ == {
        "encoder": np.mean(some.components_ == 0),
        "decoder": np.mean(some.decoder_components_ == 0),
    }


@stops_early
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_a_larger_alpha_makes_more_zeros(solver):
    alphas = [1e-4, 1e-3, 2e-3, 4e-3]
    # Adam's steps fall to nothing: an epoch of one step leaves weights on the move.
    make = {"solver": solver, "max_iter": 500, "learning_rate": "linear"}
    zeros = [
        np.mean(fitted(SparseAutoencoder, DIGITS, alpha=alpha, **make).components_ == 0)
        for alpha in alphas
    ]
    assert all(a < b for a, b in pairwise(zeros)), zeros


@stops_early
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("kind", CLASSES)
def test_weight_decay_alone_meets_the_solver_without_l1(kind, solver, monkeypatch):
    """l1_ratio=0 asks nothing new of a solver, so its bits are the smooth one's."""
    given = []

    def lbfgs(fun, x0, *, l1, **options):
        given.append(l1)
        return minimize_lbfgs(fun, x0, **options)

    def penalise(adam, l1):
        given.append(l1)
        original(adam, l1)

    original = Adam.penalise
    monkeypatch.setattr(_full_batch, "minimize_lbfgs", lbfgs)
    monkeypatch.setattr(Adam, "penalise", penalise)
    smooth = fitted(kind, IRIS, l1_ratio=0.0, solver=solver, max_iter=30)
    assert given and all(l1 is None for l1 in given)
    assert "l1" not in smooth.loss_terms_
    monkeypatch.undo()
    again = fitted(kind, IRIS, l1_ratio=0.0, solver=solver, max_iter=30)
    for one, other in zip(arrays(smooth), arrays(again), strict=True):
        assert one.tobytes() == other.tobytes()


@stops_early
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("kind", CLASSES)
def test_float32_stays_and_has_exact_zeros(kind, solver):
    model = fitted(
        kind, DIGITS.astype(np.float32), solver=solver, alpha=0.003, max_iter=100
    )
    assert {array.dtype for array in arrays(model)} == {np.dtype(np.float32)}
    assert 0 < model.sparsity_of_weights_["encoder"] < 1


def test_noise_that_changes_keeps_zeros_and_converges():
    model = fitted(
        DenoisingAutoencoder, DIGITS, alpha=0.01, redraw_every=20, max_iter=5000
    )
    assert model.n_iter_ > 3 * 20  # in so many runs the loss must not fall
    assert 0 < model.sparsity_of_weights_["encoder"] < 1
    assert sum(model.loss_terms_.values()) == pytest.approx(model.loss_, rel=1e-12)


@stops_early
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_early_stopping_keeps_exact_zeros(solver):
    model = fitted(
        *(SparseAutoencoder, DIGITS),
        **{"alpha": 0.01, "solver": solver, "early_stopping": True},
        max_iter=300,
    )
    assert 0 < model.sparsity_of_weights_["encoder"] < 1
    assert model.validation_scores_.max() > 0


def test_warm_start_at_the_minimum_stays_there():
    model = fitted(SparseAutoencoder, IRIS, alpha=0.05, tol=1e-8, max_iter=5000)
    again = clone(model).set_params(warm_start=True, tol=1e-7)
    again.fit(IRIS)
    before = [array.copy() for array in arrays(again)]
    zeros = again.components_ == 0
    again.fit(IRIS)
    assert zeros.any() and again.n_iter_ <= 10  # so many tell what is left
    for one, other in zip(before, arrays(again), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(again.components_ == 0, zeros)


def test_pieces_make_zeros_and_l1_ratio_may_change_between_them():
    model = SparseAutoencoder(4, solver="adam", alpha=0.05, random_state=0)
    for _ in range(30):
        model.partial_fit(IRIS)
    assert model.sparsity_of_weights_ == {"encoder": 0.0, "decoder": 0.0}
    model.set_params(l1_ratio=1.0)
    for _ in range(100):
        model.partial_fit(IRIS)
    assert model.sparsity_of_weights_["encoder"] > 0
    assert model.loss_terms_["decay"] == 0 and model.loss_terms_["l1"] > 0


@stops_early
@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("spread", [1e-3, 0.5, 1.0, 30.0])
def test_scale_lets_neither_part_exceed_what_it_would_be_alone(spread, l1_ratio):
    X = np.random.default_rng(0).standard_normal((100, 5))
    X *= spread / np.sqrt(X.var(axis=0).mean())
    with np.errstate(all="raise"):
        penalties = fitted(
            *(SparseAutoencoder, X), l1_ratio=l1_ratio, solver="adam", max_iter=200
        ).penalties_
    squares = np.array([3e-3 * spread**4, 1e-4])
    absolute = 5e-3 * np.array([spread**3, spread])
    assert (penalties["squares"] <= 1.001 * squares).all()
    assert (penalties["absolute"] <= 1.001 * absolute).all()
    if l1_ratio in (0, 1):
        alone = {0: squares, 1: absolute}[l1_ratio]
        name = {0: "squares", 1: "absolute"}[l1_ratio]
        np.testing.assert_allclose(penalties[name], alone)


@stops_early
@pytest.mark.parametrize("l1_ratio", [1e-3, 0.5, 1.0])
@pytest.mark.parametrize("scale", [1e-80, 1e-89, 1e-101])
def test_scale_of_the_smallest_data(scale, l1_ratio):
    """Fourth powers of their spread are no numbers to divide by."""
    X = scale * np.random.default_rng(0).standard_normal((100, 5))
    model = fitted(SparseAutoencoder, X, l1_ratio=l1_ratio, max_iter=5)
    assert 0 < model.penalties_["absolute"][1] < scale
    for array in arrays(model):
        assert np.isfinite(array).all()


@pytest.mark.parametrize("l1_ratio", [-0.1, 1.1, np.nan, "elastic", None])
@pytest.mark.parametrize("kind", CLASSES)
def test_l1_ratio_out_of_range_is_an_error(kind, l1_ratio):
    with pytest.raises(ValueError, match=r"'l1_ratio' parameter .* must be a float"):
        fitted(kind, IRIS, l1_ratio=l1_ratio)
