"""Coordinates that know the covariance, and stages that grow, against what is exact."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from device_array import on_test_device
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

import skae
from skae.core.autoencoder import AutoencoderObjective
from skae.core.network import NetworkObjective
from skae.core.sparse_autoencoder import sparse_objective
from skae.engines.threads import ThreadEngine
from skae.rows.data import Data
from skae.rows.deviations import DenseDeviations, SparseDeviations
from skae.rows.moments import dense_moments
from skae.rows.samples import here_and_there
from skae.rows.source import source
from skae.training import stages, whitening
from skae.training.coordinates import Coordinates
from skae.training.early_stopping import HeldOutLoss
from skae.training.problem import Problem, Settings
from skae.training.whitening import Whitening, root_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SparseAutoencoder = skae.SparseAutoencoder
StackedAutoencoder = skae.StackedAutoencoder
RNG = np.random.RandomState(0)
D, K = 7, 4
X = RNG.normal(size=(60, D)) @ RNG.normal(size=(D, D)) + 3
DIGITS = load_digits().data / 16
OBJECTIVES = {
    "autoencoder": lambda: AutoencoderObjective(D, K, alpha=0.01),
    "tied": lambda: AutoencoderObjective(D, K, alpha=0.01, tied_weights=True),
    "tanh": lambda: AutoencoderObjective(D, K, activation="tanh", alpha=0.01),
    "by feature": lambda: sparse_objective(D, K, alpha=0.01),
    "network": lambda: NetworkObjective(
        (D, K, 3, D), ["tanh", "logistic"], output="identity", loss="squared_error",
        alphas=[0.01] * 3,
    ),
}  # fmt: skip


def problem_of(name, rows=X, weights=None):
    objective = OBJECTIVES[name]()
    rows = csr_array(rows) if name == "by feature" else rows
    moments = source(rows).moments(weights)
    units = objective.units(moments.mean, moments.spread)
    coordinates = Coordinates(objective, *units, 5.0)
    return Problem(
        objective,
        Data(source(rows), weights),
        coordinates,
        Settings(growing_samples=True),
    )


def moved(name, recoded=True, **more):
    """A problem, a point of it and the coordinates there."""
    problem = problem_of(name, **more)
    size = problem.objective.layout.size
    theta = np.random.RandomState(1).normal(scale=0.3, size=size)
    return problem, theta, Whitening(problem).at(theta, recoded)


@pytest.mark.parametrize("recoded", [False, True])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradient_in_the_coordinates_is_that_of_finite_differences(name, recoded):
    problem, theta, coordinates = moved(name, recoded)
    assert coordinates.factors
    inner, step = coordinates.from_data(theta), 1e-6
    with ThreadEngine.of(problem.objective, problem.data) as evaluate:

        def J(point):
            return evaluate(coordinates.to_data(point))[0] / coordinates.unit

        _, gradient, _ = evaluate(coordinates.to_data(inner))
        gradient = coordinates.pull_back(gradient).copy()
        for direction in np.random.RandomState(2).normal(size=(8, len(theta))):
            change = J(inner + step * direction) - J(inner - step * direction)
            assert change / (2 * step) == pytest.approx(gradient @ direction, rel=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_there_and_back(name):
    _, theta, coordinates = moved(name)
    inner = coordinates.from_data(theta)
    np.testing.assert_allclose(coordinates.to_data(inner), theta, atol=1e-12)
    copied = pickle.loads(pickle.dumps(coordinates))
    np.testing.assert_array_equal(copied.to_data(inner), coordinates.to_data(inner))


def test_inputs_are_of_one_variance_down_to_the_damping():
    weights = RNG.uniform(0.1, 2, len(X))
    moments = dense_moments(X, weights)
    deviations = DenseDeviations(X, weights, moments)
    K = root_of(deviations, 1e-9, D, 1.0, np.float64)
    C = np.cov(X.T, aweights=weights, bias=True) / moments.spread**2
    np.testing.assert_allclose(deviations.covariance(), C, atol=1e-12)
    matrix = K.times(np.eye(D))
    np.testing.assert_allclose(matrix @ C @ matrix, np.eye(D), atol=1e-6)
    np.testing.assert_allclose(K.inverse(matrix), np.eye(D), atol=1e-9)
    W = RNG.normal(size=(3, D))
    np.testing.assert_allclose(K.transposed(W), W @ matrix.T, atol=1e-12)


@pytest.mark.parametrize("wide", [D - 1, D], ids=["directions", "matrix"])
def test_beside_weights_on_a_device_it_is_the_same_matrix(wide, monkeypatch):
    deviations = DenseDeviations(X, None, dense_moments(X, None))
    K = root_of(deviations, 0.3, 3, 2.0, np.float64)
    monkeypatch.setattr(whitening, "_WIDE", wide)
    W = RNG.normal(size=(3, D))
    there = on_test_device(W)
    of_device = K.beside(there)
    assert isinstance(of_device, whitening.RootMatrix) == (wide == D)
    matrix = K.times(np.eye(D))
    for name, M in (("times", matrix), ("transposed", matrix.T)):
        result = getattr(of_device, name)(there).get()
        np.testing.assert_allclose(result, W @ M, rtol=1e-12)
    inverse = of_device.inverse(there).get()
    np.testing.assert_allclose(inverse @ matrix, W, rtol=1e-10, atol=1e-12)
    # It lies there already.
    again = of_device.beside(there).times(there).get()
    np.testing.assert_array_equal(again, of_device.times(there).get())


def test_mean_variance_stays_and_uncorrelated_columns_are_left_alone():
    moments = dense_moments(X, None)
    deviations = DenseDeviations(X, None, moments)
    matrix = root_of(deviations, 0.3, 3, 2.0, np.float64).times(np.eye(D))
    variance = np.trace(matrix @ deviations.covariance() @ matrix)
    assert variance == pytest.approx(4 * D)
    alike = np.vstack([np.eye(D), -np.eye(D)])
    deviations = DenseDeviations(alike, None, dense_moments(alike, None))
    K = root_of(deviations, 0.1, D, 1.0, np.float64)
    np.testing.assert_allclose(K.times(np.eye(D)), np.eye(D), atol=1e-12)


def test_deviations_of_sparse_rows_are_those_of_dense_ones():
    rows = np.where(RNG.uniform(size=(30, D)) < 0.4, RNG.normal(size=(30, D)), 0)
    weights = RNG.uniform(0.5, 2, 30)
    moments = dense_moments(rows, weights)
    dense = DenseDeviations(rows, weights, moments)
    sparse = SparseDeviations(csr_array(rows), weights, moments)
    np.testing.assert_allclose(sparse.covariance(), dense.covariance(), atol=1e-12)


def test_wide_sparse_rows_are_left_alone():
    wide = csr_array((np.ones(2), ([0, 1], [0, 1999])), shape=(3, 2000))
    assert source(wide).deviations(None, source(wide).moments()) is None
    model = SparseAutoencoder(2, max_iter=30, random_state=0).fit(wide)
    assert np.isfinite(model.loss_curve_).all()


def test_directions_of_many_columns_are_those_of_the_covariance(monkeypatch):
    rows = RNG.normal(size=(200, 5)) @ RNG.normal(size=(5, 40))
    rows += 0.01 * RNG.normal(size=rows.shape)
    deviations = DenseDeviations(rows, None, dense_moments(rows, None))
    exact = root_of(deviations, 0.1, 5, 1.0, np.float64).times(np.eye(40))
    monkeypatch.setattr(whitening, "_WIDE", 10)
    found = root_of(deviations, 0.1, 5, 1.0, np.float64).times(np.eye(40))
    np.testing.assert_allclose(found, exact, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_rows_are_taken(dtype, scale):
    """Few rows of many columns, some constant, some twice, in tiny or large units."""
    rows = RNG.normal(size=(12, 10))
    rows = np.hstack([rows, rows[:, :5], np.ones((12, 6))]) * scale
    model = SparseAutoencoder(5, max_iter=40, random_state=0).fit(rows.astype(dtype))
    assert np.isfinite(model.loss_curve_).all()
    assert model.score(rows.astype(dtype)) > 0.5


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
@pytest.mark.parametrize("n_components", [2, 3])
def test_linear_units_reach_pca_of_columns_in_all_sorts_of_units(load, n_components):
    rows = load().data
    model = SparseAutoencoder(
        n_components, activation="identity", sparsity=None, alpha=0.0, tol=0,
        max_fun=200, random_state=0,
    ).fit(rows)  # fmt: skip
    explained = PCA(n_components).fit(rows).explained_variance_ratio_.sum()
    assert model.score(rows) == pytest.approx(explained, abs=1e-6)


def test_the_minimum_is_that_of_other_coordinates(monkeypatch):
    """Of one unit, so that there is one."""
    model = SparseAutoencoder(1, tol=1e-9, alpha=0.01, random_state=0)
    found = model.fit(X).loss_
    monkeypatch.setattr(Whitening, "at", lambda self, theta, recoded: self._plain)
    assert found == pytest.approx(model.fit(X).loss_, rel=1e-8)


def test_correlated_columns_take_fewer_iterations(monkeypatch):
    model = SparseAutoencoder(32, max_iter=50, tol=0, random_state=0)
    found = model.fit(DIGITS).loss_
    network = StackedAutoencoder(
        (30, 10), autoencoder=None, max_iter=60, tol=0, random_state=0
    )
    deep = network.fit(DIGITS).loss_
    monkeypatch.setattr(Whitening, "at", lambda self, theta, recoded: self._plain)
    assert found < model.set_params(max_iter=100).fit(DIGITS).loss_
    assert deep < network.set_params(max_iter=90).fit(DIGITS).loss_


def test_weights_penalised_one_by_one_keep_coordinates_of_their_own():
    model = SparseAutoencoder(10, l1_ratio=0.5, max_iter=60, random_state=0)
    assert model.fit(DIGITS).sparsity_of_weights_["encoder"] > 0


# -- samples that grow ---------------------------------------------------------


def test_rows_here_and_there_are_one_of_each_stretch():
    index = here_and_there(103, 10)
    assert len(set(index)) == 10 and (np.diff(index) > 0).all()
    np.testing.assert_array_equal(index * 10 // 103, np.arange(10))
    np.testing.assert_array_equal(here_and_there(5, 9), np.arange(5))


def test_samples_are_nested_and_leave_out_what_does_not_count():
    growth = replace(stages.GROWTH, many=100, first=10)
    weights = np.ones(400)
    weights[::2] = 0
    rows = np.arange(800.0).reshape(400, 2)
    data = Data(source(rows), weights)
    samples = stages.growing_samples(data, stages.sample_sizes(data, growth))
    assert [len(sample.X) for sample in samples] == [10, 40]
    small, large = ({*sample.X.given[:, 0]} for sample in samples)
    assert small < large < {*rows[1::2, 0]}


@pytest.fixture
def many_rows(monkeypatch):
    """What are many rows elsewhere are many here when they are few."""
    growth = replace(stages.GROWTH, many=500, first=100)
    monkeypatch.setattr(stages, "GROWTH", growth)


def test_the_end_is_a_minimum_of_all_rows(many_rows):
    settings = {"alpha": 0.01, "tol": 1e-7, "random_state": 0}
    model = SparseAutoencoder(1, **settings).fit(DIGITS)
    whole = SparseAutoencoder(1, growing_samples=False, **settings).fit(DIGITS)
    assert model.loss_ == pytest.approx(whole.loss_, rel=1e-6)
    assert len(model.loss_curve_) == model.n_iter_


@pytest.mark.parametrize("max_iter", [1, 2, 3, 7, 100])
def test_max_iter_counts_all_iterations(many_rows, max_iter):
    model = SparseAutoencoder(5, max_iter=max_iter, tol=0, random_state=0).fit(DIGITS)
    assert model.n_iter_ == len(model.loss_curve_) == max_iter


def test_max_fun_counts_all_evaluations(many_rows):
    model = SparseAutoencoder(5, max_fun=20, tol=0, random_state=0).fit(DIGITS)
    assert model.n_iter_ < 20


def test_where_scores_stand_still_the_next_stage_begins(many_rows, monkeypatch):
    monkeypatch.setattr(HeldOutLoss, "__call__", lambda self, theta: 0.5)
    model = SparseAutoencoder(
        5, early_stopping=True, n_iter_no_change=2, random_state=0
    ).fit(DIGITS)
    # One score is the best; then two of each of the stages: 100, 400 and all rows.
    assert len(model.validation_scores_) == model.n_iter_ == 7


def test_going_on_begins_with_all_rows(many_rows):
    model = SparseAutoencoder(10, max_iter=150, tol=0, random_state=0).fit(DIGITS)
    before = model.loss_
    model.set_params(warm_start=True, max_iter=3).fit(DIGITS)
    assert model.loss_curve_[0] <= before * (1 + 1e-9)


def test_same_bits_on_one_thread_and_on_two():
    mixed = np.random.default_rng(1).standard_normal((150, 150))
    rows = np.random.default_rng(0).standard_normal((3000, 150)) @ mixed
    model, fits = skae.SparseAutoencoder(40, max_iter=25, tol=0, random_state=0), []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            fits.append(clone(model).fit(rows).components_.tobytes())
    assert fits[0] == fits[1]


def test_a_flag_of_a_product_reaches_nobody():
    """A BLAS may raise it of finite numbers; what is not finite is refused later."""
    coordinates = problem_of("autoencoder").coordinates
    inner = np.zeros(coordinates.objective.layout.size)
    coordinates.objective.parameters(inner).layers[0][0][0, :2] = np.inf, -np.inf
    with np.errstate(invalid="raise"):
        assert np.isnan(coordinates.to_data(inner)).any()
