"""What l1_ratio promises in the stacks: the stated objective, its optimum, zeros."""

import numpy as np
import pytest
import textbook
from compare import central_differences
from scipy.special import log_softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.preprocessing import StandardScaler

from skae import (
    SparseAutoencoder,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)
from skae.solvers import minimize_lbfgs
from skae.solvers.adam import Adam
from skae.training import full_batch as _full_batch

stops_early = pytest.mark.filterwarnings(
    "ignore:Fine-tuning stopped", "ignore:Training stopped"
)

X, CLASSES = load_iris(return_X_y=True)
NUMBERS = X[:, 3] + np.sin(3 * X[:, 0])
WEIGHTS = np.linspace(0.2, 3, len(X))
DIGITS, DIGIT = load_digits(return_X_y=True)
DIGITS, DIGIT = DIGITS[:300] / 16, DIGIT[:300]

# y, targets of the output units, activation of these, loss.
KINDS = {
    "classifier": (
        *(StackedAutoencoderClassifier, CLASSES, np.eye(3)[CLASSES]),
        *("softmax", "cross_entropy"),
    ),
    "regressor": (
        *(StackedAutoencoderRegressor, NUMBERS, NUMBERS[:, np.newaxis]),
        *("identity", "squared_error"),
    ),
    "autoencoder": (StackedAutoencoder, None, X, "identity", "squared_error"),
}

# scikit-learn needs no name of a penalty beside l1_ratio from 1.8.
OLD = LogisticRegression().penalty == "l2"
PENALTY = {"penalty": "elasticnet"} if OLD else {}


@pytest.fixture
def to_the_end(monkeypatch):
    """L-BFGS without its test of the value, which leaves two digits of a gradient."""

    def without(*args, **kwargs):
        return minimize_lbfgs(*args, **kwargs | {"tol": 1e-10, "ftol": 0, "atol": 0})

    monkeypatch.setattr(_full_batch, "minimize_lbfgs", without)
    return {"max_iter": 20_000, "max_fun": 40_000}


def fitted(kind, hidden=(4,), sample_weight=None, **params):
    cls, y, *_ = KINDS[kind]
    params = {"autoencoder": None, "l1_ratio": 0.7, "random_state": 0, **params}
    return cls(hidden, **params).fit(X, y, sample_weight=sample_weight)


def expected_loss(kind, stack, coefs=None, s=None, l1_ratio=None):
    """The textbook's J with a number for alpha; ``l1_ratio=None`` leaves out ‖·‖₁."""
    _, _, targets, output, loss = KINDS[kind]
    n, ratio = len(stack.coefs_), stack.l1_ratio
    last_only = getattr(stack, "decay", "all") == "output"
    alphas = np.array([0.0 if last_only else stack.alpha] * (n - 1) + [stack.alpha])
    return textbook.network_loss(
        *(X, targets, coefs or stack.coefs_, stack.intercepts_),
        [*["logistic"] * (n - 1), output],
        loss=loss,
        alphas=(1 - ratio) * alphas,
        l1=None if l1_ratio is None else l1_ratio * alphas,
        s=s,
    )


@stops_early
@pytest.mark.parametrize("decay", ["all", "output"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_the_textbooks(kind, weights, decay):
    reach = {} if kind == "autoencoder" else {"decay": decay}
    stack = fitted(kind, (5, 3), weights, alpha=0.01, max_iter=25, **reach)
    expected = expected_loss(kind, stack, s=weights, l1_ratio=stack.l1_ratio)
    assert stack.loss_ == pytest.approx(expected, rel=1e-10)
    assert stack.loss_curve_[-1] == stack.loss_


@pytest.mark.parametrize("l1_ratio", [0.7, 1.0])
@pytest.mark.parametrize("hidden", [(4,), (4, 3)], ids=["depth 1", "depth 2"])
@pytest.mark.parametrize(
    ("kind", "alpha"),
    [("classifier", 0.01), ("regressor", 0.005), ("autoencoder", 0.01)],
)
def test_conditions_of_optimality_hold(kind, alpha, hidden, l1_ratio, to_the_end):
    stack = fitted(kind, hidden, WEIGHTS, alpha=alpha, l1_ratio=l1_ratio, **to_the_end)
    shapes = [W.shape for W in stack.coefs_]
    cuts = np.cumsum([W.size for W in stack.coefs_])[:-1]

    def smooth(flat):
        coefs = [
            part.reshape(shape)
            for part, shape in zip(np.split(flat, cuts), shapes, strict=True)
        ]
        return expected_loss(kind, stack, coefs, WEIGHTS)

    w = np.concatenate([W.ravel() for W in stack.coefs_])
    g = central_differences(smooth, w, step=1e-6)
    zero, weight = w == 0, alpha * l1_ratio
    assert 0 < zero.mean() < 1
    assert (np.abs(g[zero]) <= 1.001 * weight).all()
    np.testing.assert_allclose(g[~zero], -weight * np.sign(w[~zero]), rtol=1e-3)


# -- the output layer alone: scikit-learn's linear models ----------------------------


def on_codes(cls, y, **params):
    """A stack that is not fine-tuned is a linear model of its pre-trained codes."""
    layer = SparseAutoencoder(activation="tanh", max_iter=20, random_state=0)
    stack = cls(3, autoencoder=layer, fine_tune=False, scale_codes=False, **params)
    return stack.fit(StandardScaler().fit_transform(X), y)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.7])
def test_output_layer_is_logistic_regression(l1_ratio, to_the_end):
    alpha, y = 0.01, (CLASSES > 0).astype(int) + (CLASSES > 1)
    stack = on_codes(
        *(StackedAutoencoderClassifier, y),
        **{"alpha": alpha, "l1_ratio": l1_ratio, **to_the_end},
    )
    H = stack.transform(StandardScaler().fit_transform(X))
    oracle = LogisticRegression(
        solver="saga",
        C=1 / (alpha * len(H)),
        l1_ratio=l1_ratio,
        tol=1e-10,
        max_iter=200_000,
        **PENALTY,
    ).fit(H, y)

    def objective(V, c):
        losses = -log_softmax(H @ V + c, axis=1)[np.arange(len(H)), y]
        squares = (1 - l1_ratio) / 2 * (V**2).sum()
        return losses.mean() + alpha * (squares + l1_ratio * np.abs(V).sum())

    ours = objective(stack.coefs_[-1], stack.intercepts_[-1])
    theirs = objective(oracle.coef_.T, oracle.intercept_)
    assert ours == pytest.approx(theirs, rel=1e-8)
    np.testing.assert_array_equal(stack.coefs_[-1] == 0, oracle.coef_.T == 0)
    expected = pytest.approx(np.mean(oracle.coef_ == 0), rel=1e-12)
    assert stack.sparsity_of_weights_[-1] == expected
    assert stack.sparsity_of_weights_[-1] > 0


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_output_layer_is_the_elastic_net(l1_ratio, to_the_end):
    alpha = 0.02
    stack = on_codes(
        *(StackedAutoencoderRegressor, NUMBERS),
        **{"alpha": alpha, "l1_ratio": l1_ratio, **to_the_end},
    )
    H = stack.transform(StandardScaler().fit_transform(X))
    oracle = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-12, max_iter=100_000)
    oracle.fit(H, NUMBERS)
    np.testing.assert_allclose(stack.coefs_[-1].ravel(), oracle.coef_, atol=1e-6)
    np.testing.assert_allclose(stack.intercepts_[-1], oracle.intercept_, rtol=1e-5)


# -- zeros, and what stays as it was -------------------------------------------------


@stops_early
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize(
    "cls",
    [StackedAutoencoder, StackedAutoencoderClassifier, StackedAutoencoderRegressor],
)
def test_zeros_are_exact_and_told_of_each_layer(cls, solver, dtype):
    stack = cls(
        *((12, 8),),
        **{"solver": solver, "alpha": 2e-3, "l1_ratio": 0.9, "max_iter": 60},
        random_state=0,
    ).fit(DIGITS.astype(dtype), DIGIT)
    zeros = [np.mean(W == 0) for W in stack.coefs_]
    assert stack.sparsity_of_weights_ == pytest.approx(zeros, rel=1e-12)
    assert 0 < zeros[0] < 1
    assert all(W.dtype == dtype for W in (*stack.coefs_, *stack.intercepts_))


@stops_early
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("kind", KINDS)
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
    options = {"autoencoder": "sparse", "l1_ratio": 0.0, "solver": solver}
    smooth = fitted(kind, max_iter=10, **options)
    assert given and all(l1 is None for l1 in given)
    monkeypatch.undo()
    again = fitted(kind, max_iter=10, **options)
    for one, other in zip(smooth.coefs_, again.coefs_, strict=True):
        assert one.tobytes() == other.tobytes()
    assert smooth.sparsity_of_weights_ == [0.0, 0.0]


def test_a_start_to_stay_near_and_an_l1_part_are_refused():
    for kind in ("classifier", "regressor"):
        with pytest.raises(ValueError, match=r"decay='start'.*Use decay='all' or"):
            fitted(kind, decay="start")
    fitted("classifier", decay="start", l1_ratio=0.0, tol=1e-2)


@pytest.mark.parametrize("l1_ratio", [-0.1, 1.1, np.nan, "elastic", None])
@pytest.mark.parametrize("kind", KINDS)
def test_l1_ratio_out_of_range_is_an_error(kind, l1_ratio):
    with pytest.raises(ValueError, match=r"'l1_ratio' parameter .* must be a float"):
        fitted(kind, l1_ratio=l1_ratio)
