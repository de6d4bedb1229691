"""How fit behaves: determinism, restarts, warnings, interruption, memory."""

import pickle
import re
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from threadpoolctl import threadpool_info, threadpool_limits

from skae import (
    ReconstructionOutlierDetector,
    SparseAutoencoder,
    StackedAutoencoderClassifier,
)
from skae.engines.threads import ThreadEngine

X = load_iris().data
FITTED = [
    "components_",
    "intercept_hidden_",
    "decoder_components_",
    "intercept_visible_",
    "mean_activation_",
    "loss_curve_",
]
cut_short = pytest.mark.filterwarnings("ignore:Training stopped")


def autoencoder(**params):
    return SparseAutoencoder(
        **{"n_components": 3, "max_iter": 30, "random_state": 0, **params}
    )


def assert_same_bits(one, other):
    for name in FITTED:
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert one.loss_ == other.loss_


class Spy:
    """Stands in for the engine's evaluation; sees its X, its θ, and may raise."""

    def __init__(self, monkeypatch, fail_at=None, error=KeyboardInterrupt):
        self.rows, self.thetas, self.losses = [], [], []
        engine = ThreadEngine
        start, evaluate = engine.__init__, engine.__call__

        def spy_start(engine, objective, X, *args, **kwargs):
            self.rows.append(X.given)
            self.objective = objective
            start(engine, objective, X, *args, **kwargs)

        def spy_evaluate(engine, theta):
            self.thetas.append(theta.copy())
            if len(self.thetas) == fail_at:
                raise error("in an evaluation")
            result = evaluate(engine, theta)
            self.losses.append(result[0])
            return result

        monkeypatch.setattr(engine, "__init__", spy_start)
        monkeypatch.setattr(engine, "__call__", spy_evaluate)


@pytest.fixture
def spy(monkeypatch):
    return Spy(monkeypatch)


# -- the same bits ---------------------------------------------------------------


@cut_short
def test_same_seed_same_bits():
    assert_same_bits(autoencoder().fit(X), autoencoder().fit(X))
    other = autoencoder(random_state=1).fit(X)
    assert not np.array_equal(other.components_, autoencoder().fit(X).components_)


@cut_short
def test_random_state_may_be_an_instance():
    one = autoencoder(random_state=np.random.RandomState(3)).fit(X)
    assert_same_bits(one, autoencoder(random_state=3).fit(X))


@cut_short
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_n_jobs_changes_no_bit(backend):
    alone = autoencoder(n_init=3).fit(X)
    with joblib.parallel_config(backend=backend):
        assert_same_bits(alone, autoencoder(n_init=3, n_jobs=2).fit(X))


@pytest.mark.filterwarnings("ignore:Fine-tuning stopped")
@cut_short
def test_a_stack_gives_the_same_bits_in_other_processes():
    y = load_iris().target
    stack = StackedAutoencoderClassifier((5, 3), max_iter=15, random_state=0)
    expected = clone(stack).fit(X, y)
    fit = joblib.delayed(stack.fit)
    for model in joblib.Parallel(n_jobs=2)(fit(X, y) for _ in range(2)):
        for layers in ("coefs_", "intercepts_"):
            pairs = zip(getattr(model, layers), getattr(expected, layers), strict=True)
            assert all(one.tobytes() == other.tobytes() for one, other in pairs)
    scores = cross_val_score(stack.set_params(max_iter=60), X, y, cv=3, n_jobs=2)
    assert (scores > 0.8).all()


class CountsWarnings(SparseAutoencoder):
    """Tells by its score how often it has warned, wherever that was."""

    def fit(self, X, y=None):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            super().fit(X)
        self.n_warnings_ = len(caught)
        return self

    def score(self, X, y=None):
        return self.n_warnings_


def test_a_detector_is_silent_about_extreme_rows_in_other_processes_too():
    far = X.copy()
    far[0] *= 1e4
    grid, cv = {"alpha": [1e-3, 1e-2]}, [(np.arange(100), np.arange(10))]
    search = GridSearchCV(CountsWarnings(2, tol=1), grid, cv=cv, n_jobs=2)
    assert all(search.fit(far).cv_results_["mean_test_score"] == 1)
    detector = ReconstructionOutlierDetector(search).fit(far)
    assert all(detector.estimator_.cv_results_["mean_test_score"] == 0)


@pytest.mark.usefixtures("two_blas_threads")
@cut_short
def test_fits_at_the_same_time_give_the_bits_of_one_alone():
    before = threadpool_info()
    rng = np.random.default_rng(0)
    tall = rng.uniform(size=(6000, 64))  # enough for an engine with threads
    seeds = range(4)

    def fit(seed):
        return autoencoder(random_state=seed, n_components=64, max_iter=3).fit(tall)

    alone = [fit(seed) for seed in seeds]
    with ThreadPoolExecutor(3) as pool:
        for one, other in zip(alone, pool.map(fit, seeds), strict=True):
            assert_same_bits(one, other)
    assert threadpool_info() == before
    assert not [t for t in threading.enumerate() if t.name.startswith("skae-block")]


@pytest.mark.usefixtures("two_blas_threads")
@cut_short
def test_threads_allowed_to_blas_change_no_bit():
    tall = np.random.default_rng(0).uniform(size=(6000, 64))
    model = autoencoder(n_components=64, max_iter=3)
    free = clone(model).fit(tall)
    with threadpool_limits(1):
        assert_same_bits(free, clone(model).fit(tall))


# -- restarts --------------------------------------------------------------------


@cut_short
def test_n_init_keeps_the_best_start():
    """The starts of n_init=5 begin with those of n_init=1, 2, ... of that seed."""
    losses = [
        autoencoder(n_init=n, max_iter=8, random_state=3).fit(X).loss_
        for n in range(1, 6)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


@cut_short
@pytest.mark.parametrize("tied_weights", [False, True])
def test_warm_start_continues(tied_weights):
    model = autoencoder(warm_start=True, max_iter=10, tied_weights=tied_weights)
    model.fit(X)
    first = model.loss_
    model.fit(X)
    assert model.loss_curve_[0] <= first
    assert model.loss_ < first
    cold = autoencoder(warm_start=False, max_iter=10, tied_weights=tied_weights)
    assert cold.fit(X).fit(X).loss_ == first


@cut_short
def test_warm_start_from_the_very_weights(spy):
    model = autoencoder(warm_start=True).fit(X)
    spy.thetas.clear()
    before = clone(model).set_params(max_iter=30).fit(X)
    spy.thetas.clear()
    model.fit(X)
    start = spy.objective.parameters(spy.thetas[0])
    np.testing.assert_allclose(start.encoder, before.components_, rtol=1e-9)
    np.testing.assert_allclose(start.decoder[:-1], before.decoder_components_)
    np.testing.assert_allclose(start.decoder[-1], before.intercept_visible_)
    np.testing.assert_allclose(start.hidden, before.intercept_hidden_, rtol=1e-9)


@cut_short
def test_warm_start_with_other_shapes_says_so():
    model = autoencoder(warm_start=True).fit(X)
    with pytest.raises(ValueError, match=r"warm_start=True .*\(3, 4\).*\(5, 4\)"):
        model.set_params(n_components=5).fit(X)
    with pytest.raises(ValueError, match=r"X has 2 features, but .* is expecting 4"):
        model.set_params(n_components=3).fit(X[:, :2])
    # The refusal has spoilt nothing.
    assert model.transform(X).shape == (len(X), 3)
    model.set_params(warm_start=False).fit(X[:, :2])
    assert model.components_.shape == (3, 2)


@cut_short
@pytest.mark.parametrize("output", ["identity", "logistic"])
def test_output_biases_start_at_the_column_means(spy, output):
    data = X / X.max()
    autoencoder(output_activation=output).fit(data)
    start = spy.objective.parameters(spy.thetas[0]).decoder[-1]
    if output == "logistic":
        start = 1 / (1 + np.exp(-start))
    np.testing.assert_allclose(start, data.mean(axis=0), rtol=1e-12)


# -- how training ends -----------------------------------------------------------


@pytest.mark.parametrize("limit", ["max_iter", "max_fun"])
@pytest.mark.parametrize("n_init", [1, 3])
def test_one_warning_where_a_limit_was_reached(limit, n_init):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        autoencoder(n_init=n_init, **{limit: 7}).fit(X)
    (warning,) = caught
    assert warning.category is ConvergenceWarning
    assert f"{limit}=7" in str(warning.message)
    assert warning.filename == __file__  # it points at the line that called fit


@cut_short
@pytest.mark.parametrize("max_fun", [1, 2, 9])
def test_max_fun_limits_evaluations(spy, max_fun):
    autoencoder(max_fun=max_fun).fit(X)
    assert len(spy.thetas) == max_fun


@cut_short
def test_max_iter_limits_iterations():
    for max_iter in (1, 2, 9):
        assert autoencoder(max_iter=max_iter).fit(X).n_iter_ == max_iter


def test_no_warning_where_it_converged():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = autoencoder(tol=1e-2, max_iter=2000).fit(X)
    assert 1 <= model.n_iter_ < 2000


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_many_columns_do_not_pass_for_convergence():
    """Where each weight counts for little, so does its part of the gradient."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 5)) @ rng.normal(size=(5, 3000))
    model = SparseAutoencoder(10, max_iter=150, random_state=0).fit(rows)
    assert model.score(rows) > 0.8  # PCA(5) would explain all


def test_smaller_tol_means_more_iterations():
    loose = autoencoder(tol=1e-1, max_iter=5000).fit(X)
    tight = autoencoder(tol=1e-3, max_iter=5000).fit(X)
    assert loose.n_iter_ < tight.n_iter_
    assert tight.loss_ <= loose.loss_


LINE = re.compile(
    r"iteration +(\d+) +loss (\S+) +gradient (\S+) +evaluations +(\d+) +(\S+) s"
)


@cut_short
@pytest.mark.parametrize(("verbose", "least"), [(1, 4), (2, 30)])
def test_verbose_prints_lines(capsys, verbose, least):
    model = autoencoder(verbose=verbose).fit(X)
    *lines, last = capsys.readouterr().out.splitlines()
    rows = [[float(x) for x in LINE.fullmatch(line).groups()] for line in lines]
    assert last.startswith("stopped: ")
    assert least <= len(rows) <= least + 2
    iterations, losses, gradients, evaluations, seconds = zip(*rows, strict=True)
    assert list(iterations) == sorted(iterations) and iterations[-1] == model.n_iter_
    for iteration, loss in zip(iterations, losses, strict=True):
        assert loss == pytest.approx(model.loss_curve_[int(iteration) - 1], rel=1e-6)
    assert all(n >= i for n, i in zip(evaluations, iterations, strict=True))
    assert list(seconds) == sorted(seconds)
    assert min(gradients) > 0


@cut_short
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_lines_of_several_starts_say_which(capsys, n_jobs):
    with joblib.parallel_config(backend="threading"):
        autoencoder(verbose=1, n_init=3, n_jobs=n_jobs, max_iter=12).fit(X)
    by_start = {1: [], 2: [], 3: []}
    for line in capsys.readouterr().out.splitlines():
        number, rest = re.fullmatch(r"start (\d)  (.*)", line).groups()
        by_start[int(number)].append(rest)
    for *lines, last in by_start.values():
        assert last.startswith("stopped: ")
        assert [int(LINE.fullmatch(line)[1]) for line in lines] == [1, 10, 12]


@cut_short
def test_silent_by_default(capsys):
    autoencoder().fit(X)
    out, err = capsys.readouterr()
    assert out == err == ""


# -- interruption ----------------------------------------------------------------


@pytest.mark.parametrize("at", [2, 3, 12, 25])
def test_ctrl_c_keeps_the_best_so_far(monkeypatch, at):
    spy = Spy(monkeypatch, fail_at=at)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = autoencoder().fit(X)
    assert len(spy.thetas) == at  # no evaluation after it
    # The best point accepted: never worse than the start, at a loss that was seen.
    assert model.loss_ in spy.losses
    assert model.loss_ <= spy.losses[0]
    assert len(model.loss_curve_) == model.n_iter_
    if model.n_iter_:
        # A stage begins with another way to the same weights, which rounds otherwise.
        assert model.loss_ == pytest.approx(model.loss_curve_[-1], rel=1e-12)
        assert model.loss_ <= min(model.loss_curve_) * (1 + 1e-12)
    kept = spy.thetas[spy.losses.index(model.loss_)]
    parameters = spy.objective.parameters(kept)
    np.testing.assert_allclose(model.components_, parameters.encoder, rtol=1e-12)
    assert np.isfinite(model.transform(X)).all()


def test_ctrl_c_before_the_first_evaluation_is_not_swallowed(monkeypatch):
    Spy(monkeypatch, fail_at=1)
    with pytest.raises(KeyboardInterrupt):
        autoencoder().fit(X)


@pytest.mark.usefixtures("two_blas_threads")
@pytest.mark.parametrize("at", [1, 5])
def test_errors_in_an_evaluation_reach_the_caller(monkeypatch, at):
    before = threadpool_info()
    Spy(monkeypatch, fail_at=at, error=MemoryError)
    model = autoencoder()
    with pytest.raises(MemoryError, match="in an evaluation"):
        model.fit(X)
    assert not hasattr(model, "components_")
    assert threadpool_info() == before


# -- memory ----------------------------------------------------------------------


@cut_short
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_starts_are_not_held_all_at_once(solver):
    """Nor what came of them: only the best is, beside the one of the moment."""
    wide = np.random.default_rng(0).uniform(size=(20, 5000))

    def peak(n_init):
        model = autoencoder(n_components=20, n_init=n_init, solver=solver, max_iter=1)
        tracemalloc.start()
        try:
            model.fit(wide)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    one = peak(1)
    weights = 2 * 20 * 5000 * 8
    assert peak(8) < one + 4 * weights


@cut_short
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_contiguous_data_are_not_copied(spy, dtype):
    data = np.ascontiguousarray(X, dtype)
    autoencoder(n_init=2).fit(data)
    (rows,) = spy.rows  # one engine for two runs, and for the mean code
    assert np.shares_memory(rows, data)


@cut_short
@pytest.mark.parametrize(
    "data",
    [np.asfortranarray(X), X[::2], X[:, ::-1], X.tolist(), X.astype(">f8")],
    ids=["fortran", "rows", "columns", "list", "byte order"],
)
def test_other_layouts_give_what_a_copy_gives(data):
    plain = np.array(data, dtype=np.float64, order="C")
    assert_same_bits(autoencoder().fit(data), autoencoder().fit(plain))


@cut_short
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_mapped_data_are_read_in_place(spy, tmp_path, dtype):
    path = tmp_path / "X.npy"
    np.save(path, X.astype(dtype))
    content = path.read_bytes()
    mapped = np.load(path, mmap_mode="r")
    model = autoencoder().fit(mapped)
    assert np.shares_memory(spy.rows[0], mapped)
    assert_same_bits(model, autoencoder().fit(X.astype(dtype)))
    np.testing.assert_array_equal(
        model.transform(mapped), model.transform(X.astype(dtype))
    )
    model.predict(mapped), model.score(mapped), model.score_samples(mapped)
    assert path.read_bytes() == content


@cut_short
@pytest.mark.parametrize("activation", ["logistic", "identity"])
def test_nothing_passed_in_is_written(activation):
    data, s = X.copy(), np.linspace(0, 2, len(X))
    s_before = s.copy()
    model = autoencoder(activation=activation, sparsity="l1")
    model.fit(data, sample_weight=s)
    codes = model.transform(data)
    codes_before = codes.copy()
    model.inverse_transform(codes), model.predict(data)
    model.score(data, sample_weight=s), model.score_samples(data)
    np.testing.assert_array_equal(data, X)
    np.testing.assert_array_equal(s, s_before)
    np.testing.assert_array_equal(codes, codes_before)


@cut_short
@pytest.mark.parametrize("tied_weights", [False, True])
def test_pickle(tied_weights):
    model = autoencoder(tied_weights=tied_weights).fit(X)
    back = pickle.loads(pickle.dumps(model))
    assert_same_bits(model, back)
    np.testing.assert_array_equal(model.predict(X), back.predict(X))
    assert len(pickle.dumps(model)) < 50_000  # X is not inside


def test_html_has_a_link_to_the_documentation():
    page = "generated/skae.SparseAutoencoder.html"
    link = f"https://skae.readthedocs.io/en/stable/{page}"
    assert link in autoencoder()._repr_html_()
