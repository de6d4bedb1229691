"""What scikit-learn's callbacks see of a fit: its tasks, and the estimator in each."""

import pickle
from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)
from skae._sklearn import HAS_CALLBACKS

if not HAS_CALLBACKS:
    pytest.skip("scikit-learn has callbacks from 1.9", allow_module_level=True)

from sklearn.callback import ProgressBar, ScoringMonitor

pytestmark = pytest.mark.filterwarnings(
    "ignore:Training stopped", "ignore:Fine-tuning stopped", "ignore:The output layer"
)

X, Y = load_iris(return_X_y=True)
X = MinMaxScaler().fit_transform(X)
WEIGHTS = np.linspace(0.1, 2, len(X))
SHORT = {"max_iter": 6, "random_state": 0}
SHALLOW = {
    "sparse": partial(SparseAutoencoder, 3, tol=0, **SHORT),
    "denoising": partial(DenoisingAutoencoder, 3, tol=0, redraw_every=4, **SHORT),
    "contractive": partial(ContractiveAutoencoder, 3, tol=0, **SHORT),
    "adam": partial(SparseAutoencoder, 3, tol=0, solver="adam", **SHORT),
    "coding": partial(SparseCoding, 6, tol=0, batch_size=50, **SHORT),
}
LAYER = SparseAutoencoder(max_iter=6, tol=0)  # whatever max_iter of the stack
DEEP = {
    name: partial(cls, (4, 3), autoencoder=LAYER, tol=0, **SHORT)
    for name, cls in {
        "deep": StackedAutoencoder,
        "classifier": StackedAutoencoderClassifier,
        "regressor": StackedAutoencoderRegressor,
    }.items()
}
DEEP["deep adam"] = partial(DEEP["classifier"], solver="adam")
ALL = {**SHALLOW, **DEEP}


class Recorder:
    """Notes every hook, by the names of the tasks on the way there."""

    max_propagation_depth = None  # to all that is fitted within

    def __init__(self, stop=lambda path: False):
        self.begun, self.ended, self.calls, self.stop = [], [], [], stop

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(path(context))

    def on_fit_task_end(self, estimator, context):
        self.ended.append(path(context))
        return self.stop(path(context))


class Own(Recorder):
    """One that stays with the estimator it is set on."""

    max_propagation_depth = property()  # makes hasattr false


class Looker:
    """Keeps what it is shown when a task ends, but the estimator itself never asks."""

    def __init__(self):
        self.seen = []

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(
        self, estimator, context, *, X, y, metadata, fitted_estimator=None
    ):
        self.seen.append((path(context), X, y, metadata, fitted_estimator))


def path(context):
    names = [] if context.parent is None else path(context.parent)
    return (*names, context.task_name)


def own_score(estimator, X, y, sample_weight=None):
    return estimator.score(X, y, sample_weight=sample_weight)


# Given None, the monitor of 1.9 stumbles over a score that is not in a dict.
OWN_SCORE = {"score": own_score}


def follow(model, *callbacks, y=Y, **options):
    return model.set_callbacks(*callbacks).fit(X, y, **options)


# -- the tree of tasks ---------------------------------------------------------------


@pytest.mark.parametrize("name", SHALLOW)
def test_every_iteration_is_a_task(name):
    recorder = Recorder()
    model = follow(SHALLOW[name](), recorder)
    unit = {"adam": "epoch", "coding": "round"}.get(name, "iteration")
    assert model.n_iter_ == 6
    assert recorder.ended == [*[("fit", unit)] * 6, ("fit",)]
    assert recorder.begun == [("fit",), *[("fit", unit)] * 6]
    assert recorder.calls == ["setup", "teardown"]


@pytest.mark.parametrize("name", SHALLOW)
def test_a_fit_that_converges_has_as_many_tasks_as_iterations(name):
    recorder = Recorder()
    model = follow(SHALLOW[name](max_iter=2000).set_params(tol=0.5), recorder)
    assert model.n_iter_ < 2000
    assert len(recorder.ended) == len(recorder.begun) == model.n_iter_ + 1


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_every_start_is_a_task(n_jobs):
    recorder = Recorder()
    model = SparseAutoencoder(3, tol=0, n_init=3, n_jobs=n_jobs, **SHORT)
    follow(model, recorder)
    if n_jobs is None:  # a plain list is filled in this process only
        starts = [("fit", "start", "iteration")] * 6 + [("fit", "start")]
        assert recorder.ended == [*starts * 3, ("fit",)]
    assert recorder.ended[-1] == ("fit",)
    alone = SparseAutoencoder(3, tol=0, n_init=3, **SHORT).fit(X)
    assert alone.components_.tobytes() == model.components_.tobytes()


@pytest.mark.parametrize("name", DEEP)
def test_every_layer_and_stage_is_a_task(name):
    own, all_levels = Own(), Recorder()
    model = follow(DEEP[name](), own, all_levels)
    unit = "epoch" if "adam" in name else "iteration"
    stages = [("fit", "layer 1"), ("fit", "layer 2")]
    if name != "deep":  # L-BFGS at all times
        above = ("fit", "output layer")
        iterations = own.ended.count((*above, "iteration"))
        # The last may have been one that found no lower loss.
        assert iterations - len(model.loss_curves_["output"]) in (0, 1)
        stages += [(*above, "iteration")] * iterations
        stages += [above]
    stages += [("fit", "fine-tuning", unit)] * 6 + [("fit", "fine-tuning")]
    assert own.ended == [*stages, ("fit",)]
    # To the other the layer's task and the fit of its autoencoder are one.
    layers = [("fit", "fit", "iteration")] * 6 + [("fit", "fit")]
    assert all_levels.ended == [*layers * 2, *stages[2:], ("fit",)]
    assert sorted(all_levels.ended) == sorted(all_levels.begun)
    assert all_levels.calls == own.calls == ["setup", "teardown"]


def test_stages_left_out_are_no_tasks():
    recorder = Own()
    model = follow(DEEP["classifier"](fine_tune=False), recorder)
    assert ("fit", "fine-tuning") not in recorder.ended
    model = DEEP["classifier"](autoencoder=None, warm_start=True)
    for _ in range(2):
        recorder = Own()
        follow(model, recorder)
        tuning = [("fit", "fine-tuning", "iteration")] * 6 + [("fit", "fine-tuning")]
        assert recorder.ended == [*tuning, ("fit",)]


def test_an_autoencoder_without_callbacks_is_one_task():
    recorder = Recorder()
    rbm = BernoulliRBM(n_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="BernoulliRBM does not support callbacks"):
        follow(DEEP["classifier"](autoencoder=rbm), recorder)
    assert recorder.ended[:2] == [("fit", "layer 1"), ("fit", "layer 2")]


# -- without, and around a fit -------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_callbacks_change_no_bits(name):
    names = ("coefs_",) if name in DEEP else ("components_",)
    plain, followed = ALL[name]().fit(X, Y), follow(ALL[name](), Looker())
    for attribute in names:
        for one, other in zip(
            getattr(plain, attribute), getattr(followed, attribute), strict=True
        ):
            assert one.tobytes() == other.tobytes()
    assert vars(followed).keys() - vars(plain).keys() == {"_skl_callbacks"}


def test_nothing_is_made_for_callbacks_that_are_not_there(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("a context was made")

    for name, make in ALL.items():
        model = make()
        monkeypatch.setattr(model, "_init_callback_context", never, raising=True)
        model.fit(X, Y)
        assert model.n_iter_ > 0, name


def test_clones_keep_callbacks_and_pickles_can_be_fitted():
    monitor = ScoringMonitor(scoring=OWN_SCORE)
    model = SHALLOW["sparse"]().set_callbacks(monitor)
    assert clone(model)._skl_callbacks == [monitor]
    again = pickle.loads(pickle.dumps(model.fit(X))).fit(X)
    assert again.components_.tobytes() == model.components_.tobytes()
    assert not clone(model).set_callbacks().fit(X).__dict__.get("_skl_callbacks")


@pytest.mark.parametrize("name", ALL)
def test_callbacks_are_torn_down_when_a_fit_fails(name):
    class Fails(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("from the callback")

    callback = Fails()
    with pytest.raises(RuntimeError, match="from the callback"):
        follow(ALL[name](), callback)
    assert callback.calls == ["setup", "teardown"]


def test_warnings_still_point_at_the_caller():
    model = SHALLOW["sparse"]().set_callbacks(Looker())
    with pytest.warns(UserWarning, match="Training stopped") as caught:
        model.fit(X)
    assert caught[0].filename == __file__


# -- what they are shown -------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_the_estimator_shown_is_one_that_stopped_there(name):
    """Without weights the scores that a monitor logs, below, tell the same."""
    looker = Looker()
    # Of several draws of noise the mean of where they end may be better than the last.
    one_draw = {"redraw_every": 10} if name == "denoising" else {}
    model = follow(ALL[name](**one_draw), looker, sample_weight=WEIGHTS)
    shown = [(where, fitted) for where, *_, fitted in looker.seen if fitted is not None]
    if name == "classifier":
        assert any("output layer" in where for where, _ in shown)
    tuned = [fitted for where, fitted in shown if "output layer" not in where]
    assert len(tuned) == 7  # six iterations, and the whole
    assert [fitted.n_iter_ for fitted in tuned[:-1]] == [1, 2, 3, 4, 5, 6]
    for fitted in tuned[:-1:2]:
        shorter = ALL[name](max_iter=fitted.n_iter_, **one_draw)
        shorter.fit(X, Y, sample_weight=WEIGHTS)
        assert fitted.score(X, Y) == shorter.score(X, Y)
    assert tuned[-1].score(X, Y) == tuned[-2].score(X, Y) == model.score(X, Y)


@pytest.mark.parametrize("name", ALL)
def test_rows_targets_and_weights_are_shown(name):
    weights = WEIGHTS.copy()
    weights[:20] = 0  # absent
    for given in (None, weights):
        looker = Looker()
        follow(ALL[name](), looker, sample_weight=given)
        kept = slice(None) if given is None else slice(20, None)
        targets = Y if name in DEEP and name != "deep" else X
        for _, rows, y, metadata, _ in looker.seen:
            counted = slice(None)  # rows of weight zero may be left out, or shown
            if given is None:
                assert metadata is None
            else:
                assert list(metadata) == ["sample_weight"]
                counted = metadata["sample_weight"] > 0
                shown = metadata["sample_weight"][counted]
                np.testing.assert_allclose(shown, weights[20:])
            np.testing.assert_array_equal(rows[counted], X[kept])
            np.testing.assert_array_equal(y[counted], targets[kept])


def test_class_weights_are_not_shown_as_sample_weights():
    looker = Looker()
    follow(DEEP["classifier"](class_weight={0: 0, 1: 1, 2: 1}), looker)
    assert looker.seen
    assert all(metadata is None for _, _, _, metadata, _ in looker.seen)


@pytest.mark.parametrize("name", ALL)
def test_an_estimator_is_made_only_for_those_who_look(name, monkeypatch):
    model = ALL[name]()
    assert model.set_callbacks(Own()) is model

    def never(*args, **kwargs):
        raise AssertionError("attributes were made")

    monkeypatch.setattr("skae.training.progress.Iterations._fitted", never)
    model.fit(X, Y)
    with pytest.raises(AssertionError, match="attributes were made"):
        ALL[name]().set_callbacks(Looker()).fit(X, Y)


# -- requests to stop ----------------------------------------------------------------


@pytest.mark.parametrize("name", SHALLOW)
def test_a_request_to_stop_ends_training_where_it_is(name):
    recorder = Recorder(stop=lambda path: len(recorder.ended) == 3)
    model = follow(SHALLOW[name](), recorder)
    shorter = SHALLOW[name](max_iter=3).fit(X)
    assert model.n_iter_ == 3 and len(recorder.ended) == 4
    assert model.components_.tobytes() == shorter.components_.tobytes()


@pytest.mark.parametrize("name", DEEP)
def test_a_request_to_stop_ends_the_stage(name):
    recorder = Recorder(stop=lambda path: True)
    model = follow(DEEP[name](), recorder)
    assert model.n_iter_ == 1
    assert [layer.n_iter_ for layer in model.layers_] == [1, 1]
    assert {len(curve) for curve in model.loss_curves_.values()} == {1}


# -- scikit-learn's own --------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_scoring_monitor_logs_the_score_of_every_iteration(name):
    monitor = ScoringMonitor(scoring=OWN_SCORE)
    model = follow(ALL[name](), monitor)
    log = monitor.get_logs().data
    name_of = {"adam": "epoch", "coding": "round", "deep adam": "epoch"}
    unit = name_of.get(name, "iteration")
    scores = [row["score"] for row in log if row["task_name"] == unit]
    # The others are compared where the estimator that is shown is.
    expected = [ALL[name](max_iter=n).fit(X, Y).score(X, Y) for n in (2, 5)]
    assert [scores[-5], scores[-2]] == expected  # those before are the output layer's
    assert log[0]["score"] == scores[-1] == model.score(X, Y)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_scoring_monitor_follows_every_start(n_jobs):
    monitor = ScoringMonitor(scoring=OWN_SCORE)
    model = follow(SHALLOW["sparse"](n_init=3, n_jobs=n_jobs), monitor)
    rows = monitor.get_logs().data
    of_starts = [
        [row["score"] for row in rows if row["parent_task_id_path"] == (0, start)]
        for start in range(3)
    ]
    assert [len(scores) for scores in of_starts] == [6, 6, 6]
    assert model.score(X) in [scores[-1] for scores in of_starts]


def test_scoring_monitor_of_a_reconstruction_by_name():
    monitor = ScoringMonitor(scoring=["neg_mean_squared_error"])
    model = follow(SHALLOW["sparse"](), monitor)
    last = monitor.get_logs().data[-1]["neg_mean_squared_error"]
    assert last == pytest.approx(-np.mean((model.predict(X) - X) ** 2), rel=1e-12)


@pytest.mark.parametrize("name", ["sparse", "denoising", "contractive", "adam"])
def test_scoring_monitor_of_sparse_rows_takes_a_function(name):
    """Targets shown are the rows, and metrics take no sparse ones."""
    rows = csr_array(X)
    monitor = ScoringMonitor(
        scoring={"score": lambda estimator, X, y: estimator.score(X)}
    )
    model = SHALLOW[name]().set_callbacks(monitor).fit(rows)
    unit = "epoch" if name == "adam" else "iteration"
    log = monitor.get_logs().data
    scores = [row["score"] for row in log if row["task_name"] == unit]
    assert scores == [
        SHALLOW[name](max_iter=n_iter).fit(rows).score(rows) for n_iter in range(1, 7)
    ]
    assert scores[-1] == model.score(rows)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("name", ["sparse", "classifier"])
def test_nested_in_a_pipeline_and_a_grid_search(name, n_jobs):
    monitor, recorder = ScoringMonitor(scoring=OWN_SCORE), Recorder()
    step = ALL[name]().set_callbacks(monitor)
    pipeline = make_pipeline("passthrough", step)
    grid = {f"{pipeline.steps[-1][0]}__alpha": [1e-4, 1e-2]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, refit=False)
    search.set_callbacks(recorder).fit(X, Y)
    rows = [r for r in monitor.get_logs().data if r["task_name"] == "iteration"]
    tuned = [row["score"] for row in rows]
    n_stages = 1 if name == "sparse" else 2
    assert len({row["parent_task_id_path"] for row in rows}) == 4 * n_stages
    assert np.isfinite(tuned).all()
    if n_jobs is None:  # a plain list is filled in this process only
        ended = [path for path in recorder.ended if path[-1] == "iteration"]
        assert len(ended) >= 4 * 6
        assert all(path[0] == "fit" and len(path) >= 4 for path in ended)


@pytest.mark.parametrize("name", ALL)
def test_progress_bar_runs(name, capsys):
    pytest.importorskip("rich")
    model = follow(ALL[name](), ProgressBar(max_propagation_depth=None))
    printed = capsys.readouterr().out
    assert f"{type(model).__name__} - fit" in printed and "100%" in printed
    if name in DEEP:
        assert "layer 2" in printed and "fine-tuning" in printed
