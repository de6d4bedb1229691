"""AutoencoderCV: a path in every fold, and the best value in place of the estimator."""

import pickle

import numpy as np
import pytest
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline

from skae import (
    AutoencoderCV,
    HeldOutEntriesScorer,
    SparseAutoencoder,
    StackedAutoencoderClassifier,
    TopKAutoencoder,
    autoencoder_path,
)
from skae._sklearn import HAS_CALLBACKS

pytestmark = pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped")

DIGITS = load_digits()
X, Y = DIGITS.data[:150, ::2] / 16, DIGITS.target[:150]
SPARSE = SparseAutoencoder(8, max_iter=12, random_state=0)
RANGE = [("scale", times) for times in (10.0, 1.0, 0.1)]
CLASSIFIER = RidgeClassifier()


def search(estimator=SPARSE, **params):
    return AutoencoderCV(estimator, **{"param_range": RANGE, "cv": 2, **params})


def given_scores(scores):
    """A scorer that gives these, folds x values, in the order of the fits."""
    each = iter(np.ravel(scores))
    return lambda estimator, X, y: next(each)


@pytest.mark.parametrize("downstream", [None, CLASSIFIER])
def test_scores_are_those_of_paths_by_hand(downstream):
    fitted = search(downstream=downstream, cv=KFold(3)).fit(X, Y)
    for fold, (train, test) in enumerate(KFold(3).split(X)):
        path = autoencoder_path(
            SPARSE, X[train], param_range=RANGE, return_estimators=True
        )
        for i, model in enumerate(path.estimators):
            if downstream is None:
                error = np.sum((X[test] - model.predict(X[test])) ** 2)
                total = np.sum((X[test] - X[test].mean(axis=0)) ** 2)
                score = 1 - error / total
            else:
                classifier = clone(downstream).fit(model.transform(X[train]), Y[train])
                hits = classifier.predict(model.transform(X[test])) == Y[test]
                score = hits.mean()
            assert np.isclose(fitted.score_path_[fold, i], score)
    assert fitted.score_path_.shape == fitted.near_zero_path_.shape == (3, 3)
    assert fitted.n_splits_ == 3 and (fitted.seconds_path_ > 0).all()


def test_refit_is_the_path_up_to_the_value_on_all_rows():
    fitted = search(one_standard_error=False).fit(X)
    assert fitted.best_index_ == np.argmax(fitted.score_path_.mean(axis=0)) == 2
    assert fitted.best_value_ == fitted.best_estimator_.sparsity_weight == RANGE[2]
    assert fitted.best_score_ == fitted.score_path_.mean(axis=0).max()
    path = autoencoder_path(SPARSE, X, param_range=RANGE, return_estimators=True)
    expected = path.estimators[2]
    assert fitted.transform(X).tobytes() == expected.transform(X).tobytes()
    assert fitted.score(X) == expected.score(X)
    assert not fitted.best_estimator_.warm_start


@pytest.mark.parametrize(
    ("scores", "best", "within"),
    [
        # Means .5, .6, .7: the error of the best is 0.1, so that .6 is within it.
        ([[0.5, 0.6, 0.6], [0.5, 0.6, 0.8]], 2, 1),
        # Its error is 0.3: all are within.
        ([[0.5, 0.6, 0.4], [0.5, 0.6, 1.0]], 2, 0),
        # Equal scores: the strongest.
        ([[0.5, 0.7, 0.7], [0.5, 0.7, 0.7]], 1, 1),
    ],
)
def test_one_standard_error(scores, best, within):
    for rule, index in ((False, best), ("auto", best), (True, within)):
        fitted = search(scoring=given_scores(scores), one_standard_error=rule).fit(X)
        assert fitted.best_index_ == index
        assert fitted.best_score_ == np.mean(scores, axis=0)[index]


def test_reconstruction_takes_the_strongest_within_a_standard_error():
    scores = search(one_standard_error=False).fit(X).score_path_
    error = scores[:, 2].std(ddof=1) / np.sqrt(2)
    within = scores.mean(axis=0) >= scores[:, 2].mean() - error
    assert search().fit(X).best_index_ == np.flatnonzero(within)[0]


def test_strongest_does_not_depend_on_the_order_given():
    reverse = search(param_range=RANGE[::-1]).fit(X)
    assert reverse.best_value_ == search().fit(X).best_value_
    assert reverse.param_range_ == RANGE[::-1]


def test_first_value_is_scored_as_by_grid_search():
    """Both fit it from the same weights; to the others the path goes on."""
    grid = GridSearchCV(
        make_pipeline(SPARSE, CLASSIFIER),
        {"sparseautoencoder__sparsity_weight": RANGE},
        cv=3,
    ).fit(X, Y)
    path = search(downstream=CLASSIFIER, cv=3).fit(X, Y)
    of_first = [grid.cv_results_[f"split{i}_test_score"][0] for i in range(3)]
    assert np.allclose(path.score_path_[:, 0], of_first)


def test_same_bits_with_any_number_of_jobs():
    one = search(downstream=CLASSIFIER).fit(X, Y)
    with parallel_config(backend="threading"):  # processes start slowly
        two = search(downstream=CLASSIFIER, n_jobs=2).fit(X, Y)
    for name in ("score_path_", "near_zero_path_"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert one.transform(X).tobytes() == two.transform(X).tobytes()


def test_stands_where_the_autoencoder_would():
    inner = search(downstream=CLASSIFIER)
    pipeline = make_pipeline(inner, CLASSIFIER)
    assert cross_val_score(pipeline, X, Y, cv=2).min() > 0.5
    grid = GridSearchCV(pipeline, {"autoencodercv__estimator__n_components": [4, 8]})
    grid.set_params(cv=2).fit(X, Y)
    assert grid.best_estimator_[0].transform(X).shape[1] in (4, 8)
    columns = ColumnTransformer([("code", inner, slice(0, 20))], remainder="drop")
    codes = columns.fit_transform(X, Y)
    assert codes.shape == (150, 8)
    again = pickle.loads(pickle.dumps(columns))
    assert again.transform(X).tobytes() == codes.tobytes()
    assert columns.get_feature_names_out()[0] == "code__sparseautoencoder0"


def test_of_a_classifier():
    stack = StackedAutoencoderClassifier((6,), autoencoder=None, tol=0.1)
    stack.set_params(random_state=0)
    fitted = search(stack, param_name="alpha", param_range=[1e-5, 1e-2]).fit(X, Y)
    assert fitted.score(X, Y) == np.mean(fitted.predict(X) == Y) > 0.8
    assert fitted.predict_proba(X).shape == (150, 10) and len(fitted.classes_) == 10
    assert not hasattr(fitted, "inverse_transform")
    assert hasattr(search(), "inverse_transform")
    assert not hasattr(search(), "predict_proba")


def test_groups_and_weights_go_where_they_belong():
    groups = np.arange(150) % 5
    cv = GroupKFold(2)
    by_groups = search(cv=cv).fit(X, groups=groups)
    splits = list(cv.split(X, groups=groups))
    assert (by_groups.score_path_ == search(cv=splits).fit(X).score_path_).all()
    # Rows of weight zero are as good as away, in fits and in scores.
    weights, fold = np.ones(150), np.arange(150) % 2
    weights[100:] = 0
    weighed = search(cv=PredefinedSplit(fold), downstream=CLASSIFIER)
    weighed.fit(X, Y, sample_weight=weights)
    without = search(cv=PredefinedSplit(fold[:100]), downstream=CLASSIFIER)
    without.fit(X[:100], Y[:100])
    assert np.allclose(weighed.score_path_, without.score_path_, atol=0.03)


def test_metadata_routing():
    groups, weights = np.arange(150) % 5, np.linspace(0.5, 2, 150)
    plain = search(cv=GroupKFold(2)).fit(X, groups=groups, sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        asks = clone(SPARSE).set_fit_request(sample_weight=True)
        asks.set_score_request(sample_weight=True)
        routed = search(asks, cv=GroupKFold(2))
        routed.fit(X, groups=groups, sample_weight=weights)
        assert (routed.score_path_ == plain.score_path_).all()
        asks.set_score_request(sample_weight=False)
        unweighed = search(asks, cv=GroupKFold(2))
        unweighed.fit(X, groups=groups, sample_weight=weights)
        assert (unweighed.score_path_ != plain.score_path_).all()


def interrupt(monkeypatch, at):
    original, calls = SparseAutoencoder.fit, []

    def interrupted(self, *args, **kwargs):
        calls.append(None)
        if len(calls) == at:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(SparseAutoencoder, "fit", interrupted)


@pytest.mark.parametrize(("at", "finished"), [(5, [3, 1, 0]), (2, [1, 0, 0])])
def test_interrupt_keeps_what_is_finished(monkeypatch, at, finished):
    whole = search(cv=3).fit(X)
    interrupt(monkeypatch, at)
    model = search(cv=3)
    with pytest.warns(UserWarning, match="by user; the scores found so far"):
        model.fit(X)
    for fold, n in enumerate(finished):
        assert (model.score_path_[fold, :n] == whole.score_path_[fold, :n]).all()
        assert np.isnan(model.score_path_[fold, n:]).all()
    # By the first fold, or the first value, alone.
    assert model.best_index_ == (2 if at == 5 else 0)
    assert model.transform(X).shape == (150, 8)


def test_interrupt_before_anything_is_finished_is_raised(monkeypatch):
    interrupt(monkeypatch, 1)
    model = search()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert not hasattr(model, "score_path_")


def test_interrupt_ends_a_search_around_it(monkeypatch):
    interrupt(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(search(), X, cv=2)


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has no callbacks yet")
def test_callbacks_follow_folds_values_and_the_refit():
    class Names:
        max_propagation_depth = 0

        def __init__(self):
            self.names = []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            self.names.append(context.task_name)

        def on_fit_task_end(self, estimator, context):
            return False

    names = Names()
    search().set_callbacks(names).fit(X)
    assert [names.names.count(n) for n in ("fold", "value", "refit")] == [2, 6, 1]


def test_rows_with_missing_entries_and_scores_of_hidden_ones():
    missing = X.copy()
    missing[np.random.RandomState(0).uniform(size=X.shape) < 0.1] = np.nan
    scorer = HeldOutEntriesScorer()
    fitted = search(scoring=scorer, cv=KFold(2)).fit(missing)
    train, test = next(KFold(2).split(X))
    first = clone(SPARSE).set_params(sparsity_weight=RANGE[0]).fit(missing[train])
    assert fitted.score_path_[0, 0] == scorer(first, missing[test], None)
    assert np.isfinite(fitted.transform(missing)).all()


def test_without_refit_there_is_nothing_to_transform_with():
    fitted = search(refit=False).fit(X)
    assert fitted.score_path_.shape == (2, 3) and fitted.n_features_in_ == 32
    with pytest.raises(NotFittedError, match="refit=True"):
        fitted.transform(X)


def test_verbose_prints_a_line_for_each_fold(capsys):
    search(verbose=1).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["fold", "1/2"], ["fold", "2/2"]]


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"param_name": "n_components"}, ValueError, "param_name must be one of"),
        ({"param_range": 1}, ValueError, "param_range"),
        ({"param_range": [0.1]}, ValueError, "at least 2 values"),
        ({"param_range": [-1, 1]}, ValueError, "Got -1"),
        ({"cv": 151}, ValueError, "n_splits=151"),
        ({"cv": 150}, ValueError, "holds out a fold of 1 row"),
        ({"cv": []}, ValueError, "no folds"),
        ({"estimator": Ridge()}, TypeError, "autoencoder of skae"),
        ({"estimator": make_pipeline(SPARSE)}, TypeError, "as a step"),
        ({"downstream": CLASSIFIER}, ValueError, "requires y .* pass y, or use"),
        ({"one_standard_error": "yes"}, ValueError, "one_standard_error"),
        ({"scoring": "entries"}, ValueError, "scoring"),
        ({"scoring": "accuracy"}, ValueError, "scoring='accuracy' .* set downstream"),
        (
            {"scoring": lambda *args: "high"},
            ValueError,
            "must return a number, got 'high'",
        ),
        ({"estimator": TopKAutoencoder(4)}, TypeError, "GridSearchCV for n_nonzero"),
        ({"scoring": lambda *args: np.nan}, ValueError, "All scores are nan"),
    ],
)
def test_bad_input_is_named(params, error, message):
    with pytest.raises(error, match=message):
        search(**params).fit(X)


@pytest.mark.parametrize(
    ("scoring", "downstream"),
    [
        ("accuracy", Ridge()),
        ("roc_auc", Ridge()),
        ("neg_log_loss", CLASSIFIER),
        (HeldOutEntriesScorer(), CLASSIFIER),
    ],
    ids=str,
)
def test_scorer_of_other_models_is_named_with_the_model(scoring, downstream):
    message = rf"scoring=.* does not suit downstream={type(downstream).__name__}\(\)"
    with pytest.raises(ValueError, match=message):
        search(downstream=downstream, scoring=scoring).fit(X, Y)


def test_errors_of_a_scoring_function_are_its_own():
    def scoring(fitted, X, y):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        search(scoring=scoring).fit(X)


def test_named_scorer_compares_reconstructions_with_y_of_their_shape():
    """The weakest penalty reconstructs best, by a scorer of scikit-learn's as well."""
    fitted = search(scoring="neg_mean_squared_error").fit(X, X)
    own = search(one_standard_error=False).fit(X)
    assert fitted.best_value_ == own.best_value_
    train, test = next(KFold(2).split(X))
    path = autoencoder_path(SPARSE, X[train], param_range=RANGE, return_estimators=True)
    errors = [np.mean((X[test] - e.predict(X[test])) ** 2) for e in path.estimators]
    assert np.allclose(fitted.score_path_[0], np.negative(errors))


def test_dask_rows_are_refused():
    array = pytest.importorskip("dask.array").from_array(X)
    with pytest.raises(ValueError, match=r"X\.compute\(\)"):
        search().fit(array)
