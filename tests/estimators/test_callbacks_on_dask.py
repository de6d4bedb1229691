"""Callbacks follow fits on dask's collections as they follow others."""

import numpy as np
import pytest
from dask_data import chunked
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.preprocessing import MinMaxScaler

from skae import SparseAutoencoder, StackedAutoencoder, StackedAutoencoderRegressor
from skae._sklearn import HAS_CALLBACKS

pytest.importorskip("dask.distributed")
if not HAS_CALLBACKS:
    pytest.skip("scikit-learn has callbacks from 1.9", allow_module_level=True)

from sklearn.callback import ProgressBar, ScoringMonitor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X = MinMaxScaler().fit_transform(X)
WEIGHTS = np.linspace(0.1, 2, len(X))
DASK_X, DASK_Y = chunked(X, 60, 3), chunked(Y, 60)
SHORT = {"max_iter": 4, "tol": 0, "random_state": 0}
LAYER = SparseAutoencoder(max_iter=2, tol=0)
MODELS = [
    SparseAutoencoder(3, **SHORT),
    SparseAutoencoder(3, n_init=2, **SHORT),
    StackedAutoencoder((4, 3), autoencoder=LAYER, **SHORT),
    # With a tol its output layer ends before rounding says when.
    StackedAutoencoderRegressor((4, 3), autoencoder=LAYER, **SHORT | {"tol": 1e-6}),
]


@pytest.fixture(autouse=True)
def client(threads):
    with threads.as_current():
        yield threads


def name(model):
    return type(model).__name__


class Recorder:
    """Notes the tasks that end, by the names on the way there."""

    max_propagation_depth = None  # to all that is fitted within

    def __init__(self):
        self.ended = []

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        self.ended.append(path(context))


class Scorer(Recorder):
    """Scores the estimator it is shown on what it is shown, and stays where it is."""

    max_propagation_depth = property()  # makes hasattr false

    def on_fit_task_end(
        self, estimator, context, *, X, y, metadata, fitted_estimator=None
    ):
        if X is None or fitted_estimator is None:
            self.ended.append(np.nan)
        else:
            self.ended.append(fitted_estimator.score(X, y, **metadata))


def path(context):
    names = [] if context.parent is None else path(context.parent)
    return (*names, context.task_name)


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_tasks_and_scores_are_those_of_a_fit_on_arrays(model):
    weights = chunked(WEIGHTS, 50)
    local, scores = Recorder(), Scorer()
    clone(model).set_callbacks(local, scores).fit(X, Y, sample_weight=WEIGHTS)
    remote, remote_scores = Recorder(), Scorer()
    followed = clone(model).set_callbacks(remote, remote_scores)
    followed.fit(DASK_X, DASK_Y, sample_weight=weights)
    assert remote.ended == local.ended and len(local.ended) > 4
    assert len(scores.ended) > 3
    np.testing.assert_allclose(remote_scores.ended, scores.ended, rtol=1e-8)
    if model in (MODELS[0], MODELS[2]):  # callbacks change no bit
        alone = clone(model).fit(DASK_X, DASK_Y, sample_weight=weights)
        np.testing.assert_array_equal(followed.loss_curve_, alone.loss_curve_)


def test_scoring_monitor_follows_a_fit():
    scores = []
    for rows in X, DASK_X:
        monitor = ScoringMonitor(scoring="r2")
        clone(MODELS[0]).set_callbacks(monitor).fit(rows)
        scores.append([entry["r2"] for entry in monitor.get_logs().data])
    assert len(scores[0]) > 3
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-8)


def test_callbacks_of_a_layer_are_shown_no_rows():
    """Those are codes on the cluster, which no scorer takes."""
    scorer = Scorer()
    layer = clone(LAYER).set_callbacks(scorer)
    stack = StackedAutoencoder((4, 3), autoencoder=[LAYER, layer], fine_tune=False)
    stack.fit(DASK_X)
    assert len(scorer.ended) > 2 and np.isnan(scorer.ended).all()


def test_progress_bar_runs(capsys):
    pytest.importorskip("rich")
    MODELS[0].set_callbacks(ProgressBar()).fit(DASK_X)
    assert "SparseAutoencoder" in capsys.readouterr().out
