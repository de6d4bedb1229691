"""SparseCoding: what it minimises, how it behaves, what it refuses."""

import pickle
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import textbook
from compare import assert_has_score
from covering import every_pair
from scipy.optimize import minimize
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from threadpoolctl import threadpool_limits

from skae import SparseCoding
from skae.training import dictionary as _dictionary
from skae.training import dictionary as module

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")

DIGITS = load_digits().data[:400]
RNG = np.random.default_rng(0)
X = RNG.laplace(size=(120, 8)) @ RNG.standard_normal((8, 6))


def coder(**params):
    return SparseCoding(**{"max_iter": 5, "random_state": 0, **params})


def objective(fitted, rows, codes, A=None):
    return textbook.sparse_coding(
        rows,
        codes,
        fitted.components_ if A is None else A,
        fitted.pooling_.toarray(),
        fitted.sparsity_weight_,
        fitted.epsilon,
        fitted.dictionary_penalty_,
    )


# -- what is computed --------------------------------------------------------------


@pytest.mark.parametrize("topography", [None, (3, 4)])
def test_codes_are_the_minimum_scipy_finds(topography):
    """Started there and elsewhere, SciPy finds nothing lower."""
    fit = coder(n_components=12, topography=topography, sparsity_weight=0.5).fit(X)
    rows = X[:5]
    codes = fit.transform(rows)
    reached = objective(fit, rows, codes)
    for start in (codes, np.zeros_like(codes)):
        found = minimize(
            lambda z: objective(fit, rows, z.reshape(codes.shape)),
            start.ravel(),
            method="L-BFGS-B",
            options={"maxfun": 100_000, "ftol": 1e-14},
        )
        assert reached <= found.fun + 1e-9 * abs(found.fun)


@pytest.mark.parametrize("topography", [None, (3, 4)])
def test_one_round_is_the_textbooks(topography, monkeypatch):
    """Converged codes of all rows, then ridge regression on them."""
    monkeypatch.setattr(_dictionary, "_CODE_TOL", 1e-10)
    options = {"n_components": 12, "topography": topography, "batch_size": None}
    fit = coder(max_iter=1, code_max_iter=5000, **options).fit(X)
    before = fit.components_
    codes = fit.transform(X)
    fit.set_params(warm_start=True).fit(X)
    n, k = codes.shape
    ridge = codes.T @ codes / n + fit.dictionary_penalty_ * np.eye(k)
    expected = np.linalg.inv(ridge) @ codes.T @ X / n
    error = np.linalg.norm(fit.components_ - expected)
    assert error < 1e-5 * np.linalg.norm(expected - before)
    loss = objective(fit, X, codes, A=before)
    assert fit.loss_curve_ == pytest.approx([loss], rel=1e-8)


def test_full_batches_lower_the_loss_round_by_round():
    fit = coder(n_components=10, batch_size=None, max_iter=30, code_max_iter=500, tol=0)
    curve = fit.fit(X).loss_curve_
    assert len(curve) == fit.n_iter_ == 30
    assert (np.diff(curve) <= 1e-4 * curve[:-1]).all()
    assert curve[-1] < 0.7 * curve[0]


def test_a_row_is_coded_alone():
    """Batch, order and neighbours do not matter, nor the dtype beyond rounding."""
    fit = coder(n_components=40, max_iter=20).fit(DIGITS)
    codes = fit.transform(DIGITS)
    size = np.abs(codes).max()
    order = RNG.permutation(len(DIGITS))
    np.testing.assert_allclose(
        fit.transform(DIGITS[order]), codes[order], rtol=0, atol=1e-5 * size
    )
    for rows in (slice(0, 1), slice(7, 10), slice(100, 400)):
        np.testing.assert_allclose(
            fit.transform(DIGITS[rows]), codes[rows], rtol=0, atol=1e-5 * size
        )


def test_known_atoms_are_found():
    """Rows with two active units of eight: each atom is found, up to sign."""
    rng = np.random.default_rng(1)
    atoms = rng.standard_normal((8, 12))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = rng.laplace(size=(1500, 8)) * (rng.random((1500, 8)) < 0.2)
    fit = coder(n_components=8, max_iter=60, tol=0, sparsity_weight=0.2)
    fit.fit(codes @ atoms)
    found = fit.components_ / np.linalg.norm(fit.components_, axis=1, keepdims=True)
    assert np.abs(found @ atoms.T).max(axis=0).min() > 0.98


def test_more_weight_makes_sparser_codes():
    shares = []
    for weight in (5.0, 50.0, 500.0):
        fit = coder(n_components=32, sparsity_weight=weight, max_iter=20).fit(DIGITS)
        parts = np.abs(fit.transform(DIGITS)) * np.linalg.norm(fit.components_, axis=1)
        shares.append((parts > 0.01 * np.linalg.norm(DIGITS, axis=1).mean()).mean())
    assert shares == sorted(shares, reverse=True) and shares[-1] < 0.7 * shares[0]


@pytest.mark.parametrize("topography", [None, (2, 3)])
def test_pooling_matrix(topography):
    fit = coder(n_components=6, topography=topography, pool_size=2).fit(X)
    V = fit.pooling_
    assert issparse(V) and V.shape == (6, 6)
    expected = 1 if topography is None else 4
    np.testing.assert_array_equal(V.sum(axis=0), expected)
    np.testing.assert_array_equal(V.sum(axis=1), expected)
    if topography is None:
        np.testing.assert_array_equal(V.toarray(), np.eye(6))
    else:
        np.testing.assert_array_equal(np.flatnonzero(V.toarray()[5]), [0, 2, 3, 5])


def test_grid_gives_the_number_of_units():
    assert coder(topography=(2, 5), pool_size=2).fit(X).components_.shape == (10, 6)
    assert coder().fit(X).components_.shape == (6, 6)


def test_scores_are_those_of_the_reconstruction():
    fit = coder(max_iter=20).fit(X)
    back = fit.inverse_transform(fit.transform(X))
    np.testing.assert_allclose(back, fit.transform(X) @ fit.components_)
    np.testing.assert_allclose(fit.predict(X), back, atol=1e-9)
    errors = ((back - X) ** 2).sum(axis=1)
    np.testing.assert_allclose(fit.score_samples(X), -errors, rtol=1e-6, atol=1e-9)
    variance = ((X - X.mean(axis=0)) ** 2).sum()
    assert fit.score(X) == pytest.approx(1 - errors.sum() / variance, rel=1e-9)


# -- scale, weights, dtype -----------------------------------------------------------


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**20])
@pytest.mark.parametrize("topography", [None, (2, 3)])
def test_default_weights_mean_the_same_in_any_unit(factor, topography):
    """The dictionary takes the unit, and powers of two change no bit."""
    one = coder(topography=topography, pool_size=2).fit(X)
    other = clone(one).fit(X * factor)
    np.testing.assert_allclose(other.components_, one.components_ * factor, rtol=1e-9)
    np.testing.assert_allclose(other.transform(X * factor), one.transform(X), atol=1e-9)


def test_only_the_product_of_the_penalties_matters():
    """A → 2 A, S → S/2 turns (λ, γ, ε) into (2 λ, γ/4, ε/4)."""
    codes, A = RNG.standard_normal((9, 5)), RNG.standard_normal((5, 6))
    rows = RNG.standard_normal((9, 6))
    one = textbook.sparse_coding(rows, codes, A, np.eye(5), 0.3, 1e-3, 0.2)
    other = textbook.sparse_coding(
        rows, codes / 2, 2 * A, np.eye(5), 0.6, 1e-3 / 4, 0.2 / 4
    )
    assert one == pytest.approx(other, rel=1e-12)


def test_weights_are_repetitions_within_a_batch():
    weights = RNG.integers(0, 4, len(X))
    weighted = coder(batch_size=None).fit(X, sample_weight=weights)
    repeated = coder(batch_size=None).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.components_, repeated.components_, rtol=1e-6)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("batch_size", [None, 40])
def test_rows_of_weight_zero_are_absent(batch_size):
    """They change neither which rows make a batch nor what "scale" stands for."""
    rng = np.random.default_rng(1)
    there = rng.random(len(X)) < 0.7
    weights = there * rng.uniform(0.5, 2, len(X))
    rows = np.where(there[:, np.newaxis], X, 1e3)
    one = coder(batch_size=batch_size).fit(rows, sample_weight=weights)
    other = coder(batch_size=batch_size).fit(X[there], sample_weight=weights[there])
    near = {"rtol": 1e-9, "atol": 1e-9}
    for name in ("components_", "loss_curve_", "sparsity_weight_"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), **near)
    one.partial_fit(rows, sample_weight=weights)
    other.partial_fit(X[there], sample_weight=weights[there])
    np.testing.assert_allclose(one.components_, other.components_, **near)


@pytest.mark.parametrize("batch_size", [None, 500])
def test_rows_of_weight_zero_cost_no_copy_of_the_others(batch_size):
    rows = np.random.default_rng(0).uniform(size=(20_000, 100))  # 16 MB
    weights = np.where(np.arange(len(rows)) % 5, 1.0, 0.0)
    model = coder(n_components=3, max_iter=2, batch_size=batch_size)
    tracemalloc.start()
    try:
        model.fit(rows, sample_weight=weights)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < rows.nbytes / 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    rows = X.astype(dtype)
    fit = coder().fit(rows)
    assert fit.components_.dtype == dtype
    assert fit.transform(rows).dtype == fit.predict(rows).dtype == dtype
    fit.partial_fit(rows)
    assert fit.components_.dtype == dtype
    np.testing.assert_allclose(fit.transform(X), fit.transform(rows), atol=1e-4)


# -- fit, as a citizen ---------------------------------------------------------------


@pytest.mark.usefixtures("two_blas_threads")
def test_same_seed_same_bits_on_any_number_of_threads():
    rows = np.vstack([DIGITS] * 4)
    options = {"n_components": 80, "batch_size": 800, "max_iter": 2}
    one = coder(**options).fit(rows)
    with threadpool_limits(1):
        other = coder(**options).fit(rows)
        codes = other.transform(rows[:900])
    assert one.components_.tobytes() == other.components_.tobytes()
    assert one.transform(rows[:900]).tobytes() == codes.tobytes()
    with ThreadPoolExecutor(2) as pool:
        for fit in pool.map(lambda _: coder(**options).fit(rows), range(2)):
            assert fit.components_.tobytes() == one.components_.tobytes()


def test_another_seed_another_dictionary():
    one, other = coder().fit(X), coder(random_state=1).fit(X)
    assert not np.array_equal(one.components_, other.components_)


def test_pickle_codes_alike():
    fit = coder(n_components=9, topography=(3, 3)).fit(X)
    copy = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(copy.transform(X), fit.transform(X))


def test_later_parameters_do_not_change_codes():
    fit = coder().fit(X)
    codes = fit.transform(X)
    fit.set_params(sparsity_weight=100.0, epsilon=1.0, topography=(2, 3))
    np.testing.assert_array_equal(fit.transform(X), codes)


def test_partial_fit_learns_and_counts():
    fit = coder(n_components=10)
    for start in range(0, 120, 40):
        assert fit.partial_fit(X[start : start + 40]) is fit
    assert fit.n_iter_ == len(fit.loss_curve_) == 3
    early = fit.loss_curve_[0]
    for _ in range(20):
        fit.partial_fit(X)
    assert fit.n_iter_ == 23
    assert fit.loss_curve_[-1] < 0.7 * early
    with pytest.raises(ValueError, match="X has 5 features"):
        fit.partial_fit(X[:, :5])
    with pytest.raises(ValueError, match="components_ of shape"):
        fit.set_params(n_components=11).partial_fit(X)


def test_first_partial_fit_is_the_first_round_of_fit():
    one = coder(max_iter=1).fit(X)
    other = coder().partial_fit(X)
    np.testing.assert_array_equal(one.components_, other.components_)
    assert one.sparsity_weight_ == other.sparsity_weight_


def test_warm_start_continues():
    whole = coder(max_iter=12, batch_size=None, tol=0).fit(X)
    halves = coder(max_iter=6, batch_size=None, tol=0, warm_start=True).fit(X).fit(X)
    np.testing.assert_allclose(halves.components_, whole.components_, rtol=1e-9)
    assert halves.n_iter_ == 6
    afresh = coder(max_iter=6, batch_size=None, tol=0).fit(X).fit(X)
    assert not np.allclose(afresh.components_, whole.components_)
    with pytest.raises(ValueError, match="warm_start=False"):
        halves.set_params(n_components=5).fit(X)


def test_convergence_is_reported():
    with pytest.warns(ConvergenceWarning, match="max_iter=2.*increase max_iter"):
        coder(max_iter=2, tol=0).fit(X)
    fit = coder(max_iter=500, tol=0.3).fit(X)
    assert fit.n_iter_ < 500


class Interrupt:
    """Ctrl-C in a given round."""

    def __init__(self, monkeypatch, at):
        self.left, improve = at, module.improve

        def interrupted(*args):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return improve(*args)

        monkeypatch.setattr(module, "improve", interrupted)


def test_ctrl_c_keeps_the_dictionary_so_far(monkeypatch):
    expected = coder(max_iter=3, tol=0).fit(X)
    Interrupt(monkeypatch, at=4)
    with pytest.warns(UserWarning, match="interrupted by user"):
        fit = coder(max_iter=9, tol=0).fit(X)
    assert fit.n_iter_ == 3
    np.testing.assert_array_equal(fit.components_, expected.components_)


def test_ctrl_c_before_there_is_anything(monkeypatch):
    Interrupt(monkeypatch, at=1)
    with pytest.raises(KeyboardInterrupt):
        coder().fit(X)


@pytest.mark.parametrize("verbose", [1, 2])
def test_verbose(verbose, capsys):
    coder(max_iter=20, tol=0, verbose=verbose).fit(X)
    *printed, last = capsys.readouterr().out.splitlines()
    assert len(printed) == (3 if verbose == 1 else 20)
    assert all(re.match(r"round +\d+  loss .* change .* s$", line) for line in printed)
    assert last.startswith("stopped: the limit of iterations")
    coder(max_iter=20, tol=0).fit(X)
    assert capsys.readouterr().out == ""


def test_names():
    fit = coder(n_components=4).fit(X)
    names = [f"sparsecoding{i}" for i in range(4)]
    assert list(fit.get_feature_names_out()) == names
    assert list(fit.set_output(transform="pandas").transform(X).columns) == names


# -- what it refuses, and what it survives ---------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"topography": (2, 3), "n_components": 7}, r"6 units.*n_components=7.*=6"),
        ({"topography": (2, 6)}, "pool_size=3 exceeds.*at most 2"),
        ({"topography": (2, 3, 1)}, "topography=.*two positive integers"),
        ({"topography": (2.0, 3)}, "topography=.*two positive integers"),
        ({"topography": (0, 3)}, "topography=.*two positive integers"),
        ({"topography": 6}, "'topography' parameter"),
        ({"pool_size": 0}, "'pool_size' parameter"),
        ({"dictionary_penalty": 0}, "'dictionary_penalty' parameter"),
        ({"epsilon": 0.0}, "'epsilon' parameter"),
        ({"sparsity_weight": -1.0}, "'sparsity_weight' parameter"),
        ({"sparsity_weight": "auto"}, "'sparsity_weight' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"code_max_iter": 0}, "'code_max_iter' parameter"),
        ({"n_components": 0}, "'n_components' parameter"),
    ],
)
def test_refuses_parameters(parameters, message):
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=message):
            getattr(coder(**parameters), method)(X)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_what_is_not_finite(bad):
    rows = X.copy()
    rows[3, 1] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        coder().fit(rows)
    with pytest.raises(ValueError, match="Input X contains"):
        coder().fit(X).transform(rows)


def test_refuses_before_fit_and_codes_of_another_length():
    with pytest.raises(NotFittedError):
        coder().transform(X)
    with pytest.raises(ValueError, match=r"7 columns, .*n_components=6"):
        coder().fit(X).inverse_transform(np.ones((2, 7)))


def test_refuses_magnitudes_that_overflow():
    with pytest.raises(ValueError, match=r"X is too large.*StandardScaler"):
        coder().fit(X.astype(np.float32) * np.float32(1e30))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_dictionary_that_overflows_is_an_error(method):
    fit = getattr(coder(dictionary_penalty=1e-80), method)
    with pytest.raises(ValueError, match=r"Codes or dictionary.*float32.*dictionary_p"):
        fit(X.astype(np.float32))


EDGES = {
    "zeros": np.zeros((5, 4)),
    "ones": np.ones((5, 4)),
    "one row": np.eye(4)[:1],
    "one column": np.arange(6.0)[:, np.newaxis],
    "constant": np.hstack([X[:15], np.zeros((15, 2))]),
    "uneven": np.hstack([X[:15], 1e6 * X[:15, :1]]),
    "far off": X[:15] + 1e4,
}


@every_pair(
    edge=list(EDGES), weight=["scale", 0.0, 1e3, 1e-9], dtype=[np.float32, np.float64]
)
def test_finite_whatever_the_data(edge, weight, dtype):
    rows = EDGES[edge].astype(dtype)
    fit = coder(n_components=5, max_iter=3, sparsity_weight=weight).fit(rows)
    assert np.isfinite(fit.components_).all() and np.isfinite(fit.loss_curve_).all()
    assert np.isfinite(fit.transform(rows)).all()
    assert np.isfinite(fit.score_samples(rows)).all()
    assert_has_score(fit, rows)


def test_a_weight_far_too_large_silences_everything():
    fit = coder(sparsity_weight=1e9, max_iter=50).fit(X)
    assert np.linalg.norm(fit.predict(X)) < 1e-3 * np.linalg.norm(X)


# -- refits --------------------------------------------------------------------------


def test_warm_start_forgets_the_rows_of_the_last_fit():
    """What is left of it is the dictionary, whatever the rows it was learnt from."""
    options = {"n_components": 8, "warm_start": True, "batch_size": 40, "max_iter": 6}
    other = np.roll(X, 1, axis=1) ** 3
    one, two = coder(**options).fit(X), coder(**options).fit(other)
    two.components_ = one.components_.copy()
    np.testing.assert_array_equal(
        one.fit(other).components_, two.fit(other).components_
    )
    cold = coder(**options).fit(other).score(other)
    assert one.score(other) > cold - 0.02


def test_a_refit_that_fails_keeps_what_was_there(monkeypatch):
    fitted = coder(n_components=4).fit(X)
    before = fitted.components_.copy(), fitted.n_iter_

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "improve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(X)
    np.testing.assert_array_equal(fitted.components_, before[0])
    assert fitted.n_iter_ == before[1]


@pytest.mark.parametrize(
    "change",
    [{"sparsity_weight": 5.0}, {"dictionary_penalty": 2.0}, {"epsilon": 0.1}],
    ids=str,
)
def test_partial_fit_refuses_another_objective(change):
    fitted = coder(n_components=6).partial_fit(X).set_params(**change)
    with pytest.raises(ValueError, match="fit afresh"):
        fitted.partial_fit(X)
