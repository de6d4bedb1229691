"""compare: the same folds for everybody, PCA among them, and an honest test."""

import sys

import numpy as np
import pytest
from joblib import parallel_config
from scipy import stats
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_wine
from sklearn.decomposition import NMF, PCA
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import KFold, RepeatedStratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skae import (
    AutoencoderCV,
    SparseAutoencoder,
    StackedAutoencoder,
    TopKAutoencoder,
    compare,
)
from skae.model_selection._compare import _hoyer
from skae.model_selection._paired import corrected_error, paired_test

pytestmark = pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped")

X, Y = load_wine(return_X_y=True)
SPARSE = SparseAutoencoder(4, max_iter=12, random_state=0)
MODEL = RidgeClassifier()
CHEAP = {"downstream": MODEL, "cv": 3, "scaler": StandardScaler()}


def test_scores_are_those_of_pipelines():
    table = compare(SPARSE, X, Y, n_components=[2, 20], **CHEAP)
    assert list(table.fold_scores) == [
        *(("features as they are", 13), ("PCA", 2), ("PCA", 13)),
        *(("SparseAutoencoder", 2), ("SparseAutoencoder", 20)),
    ]
    steps = {
        ("features as they are", 13): "passthrough",
        ("PCA", 2): PCA(2),
        ("SparseAutoencoder", 20): clone(SPARSE).set_params(n_components=20),
    }
    for key, step in steps.items():
        pipeline = make_pipeline(StandardScaler(), step, MODEL)
        by_hand = cross_val_score(pipeline, X, Y, cv=3)
        assert np.allclose(table.fold_scores[key], by_hand)
    row = table.rows[3]
    assert row["score"] == table.fold_scores["SparseAutoencoder", 2].mean()
    same_size = table.fold_scores["PCA", 2]
    difference = table.fold_scores["SparseAutoencoder", 2] - same_size
    assert row["difference"] == difference.mean()
    # Wider than PCA can be: against the best that PCA has.
    best = max(table.rows[1]["score"], table.rows[2]["score"])
    assert np.isclose(table.rows[4]["difference"], table.rows[4]["score"] - best)
    assert table.rows[1]["difference"] is None


def test_variance_explained_and_size_of_pca():
    folds = list(KFold(3).split(X))
    table = compare(PCA(3), X, cv=folds)
    for fold, (train, test) in enumerate(folds):
        pca = PCA(3).fit(X[train])
        error = np.sum((X[test] - pca.inverse_transform(pca.transform(X[test]))) ** 2)
        total = np.sum((X[test] - X[test].mean(axis=0)) ** 2)
        assert np.isclose(table.fold_scores["PCA", 3][fold], 1 - error / total)
    (row,) = table.rows
    assert row["parameters"] == 3 * 13 + 13 and row["score"] == row["explained"]


def test_parameters_of_an_autoencoder():
    table = compare([SPARSE], X, cv=2, n_components=5)
    of_pca, of_ours = (row["parameters"] for row in table.rows)
    assert (of_pca, of_ours) == (5 * 13 + 13, 2 * 5 * 13 + 5 + 13)


def test_everything_that_transforms_may_be_compared():
    many = {
        "chosen": AutoencoderCV(SPARSE, param_range=[0.1, 1], cv=2),
        "stack": StackedAutoencoder((6, 3), autoencoder=None, max_iter=5),
        "parts": make_pipeline(MinMaxScaler(clip=True), NMF(2, tol=0.1)),
        "no way back": VarianceThreshold(),
    }
    table = compare(many, X, Y, **CHEAP | {"cv": 2})
    found = {row["estimator"]: row["components"] for row in table.rows}
    assert found["chosen"] == 4 and found["stack"] == 3 and found["no way back"] == 13
    assert found["parts"] == 2
    sized = compare({"chosen": many["chosen"]}, X, Y, n_components=3, **CHEAP)
    assert sized.rows[-1]["components"] == 3


def test_pca_has_as_many_components_as_a_stack_or_a_pipeline():
    """Of which nothing says how many codes they have before they are fitted."""
    many = {
        "stack": StackedAutoencoder((6, 3), autoencoder=None, max_iter=5),
        "parts": make_pipeline(MinMaxScaler(clip=True), NMF(2, tol=0.1)),
    }
    for sizes, of_pca in [(None, [2, 3]), (5, [2, 3, 5])]:
        table = compare(many, X, Y, n_components=sizes, **CHEAP)
        found = [row["components"] for row in table.rows if row["estimator"] == "PCA"]
        assert found == of_pca
        pca = cross_val_score(
            make_pipeline(StandardScaler(), PCA(3), MODEL), X, Y, cv=3
        )
        (row,) = (row for row in table.rows if row["estimator"] == "stack")
        assert np.isclose(row["difference"], row["score"] - pca.mean())


def test_sparse_rows():
    """PCA of a sparse matrix has one component less than columns."""
    table = compare(SPARSE, csr_array(X), Y, n_components=[2, 13], cv=3)
    found = [row["components"] for row in table.rows if row["estimator"] == "PCA"]
    assert found == [2, 12]


def test_sparse_codes():
    """Which a scaler that is not told to leave their means refuses."""
    sparse = TopKAutoencoder(16, 4, max_iter=3, random_state=0)
    table = compare(sparse, X, Y, scaler=StandardScaler(), cv=3)
    model = make_pipeline(
        *(StandardScaler(), sparse, StandardScaler(with_mean=False)),
        LogisticRegression(max_iter=1000),
    )
    by_hand = cross_val_score(model, X, Y, cv=3)
    np.testing.assert_allclose(table.fold_scores["TopKAutoencoder", 16], by_hand)


def test_targets_that_are_not_whole_are_no_classes():
    heights = Y + 0.5
    assert compare(PCA(2), X, heights, cv=2).score_name == "R²"
    assert compare(PCA(2), X, Y.astype(float), cv=2).score_name == "accuracy"


def test_an_imputer_stands_where_the_scaler_does():
    gaps = X.copy()
    gaps[::5, 2] = np.nan
    table = compare(SPARSE, gaps, Y, **CHEAP | {"scaler": SimpleImputer()})
    assert all(np.isfinite(row["score"]) for row in table.rows)


def test_default_folds_and_models():
    table = compare(PCA(2), X[::3], Y[::3], scaler=StandardScaler())
    cv = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    assert len(table.fold_scores["PCA", 2]) == cv.get_n_splits()
    assert table.score_name == "accuracy"
    rows, targets = load_diabetes(return_X_y=True)
    table = compare(PCA(3), rows[:90], targets[:90], scaler=StandardScaler())
    assert table.score_name == "R²"


def test_several_of_a_class_have_names():
    table = compare([PCA(2), PCA(3)], X, cv=2)
    assert [row["estimator"] for row in table.rows] == ["PCA", "PCA 2"]


def test_same_table_in_parallel():
    one = compare(SPARSE, X, Y, **CHEAP)
    with parallel_config(backend="threading"):  # processes start slowly
        two = compare(SPARSE, X, Y, n_jobs=2, **CHEAP)
    for key, scores in one.fold_scores.items():
        assert scores.tobytes() == two.fold_scores[key].tobytes()


def test_sparsity_of_codes():
    assert np.isclose(_hoyer(np.eye(4)), 1) and np.isclose(_hoyer(np.ones((3, 4))), 0)
    # √k = 2; ‖h‖₁/‖h‖₂ = 7/5 of (3, 4, 0, 0).
    assert np.isclose(_hoyer([[3.0, -4.0, 0, 0], [0, 0, 0, 0]]), 2 - 7 / 5)


# -- the test ------------------------------------------------------------------------


def test_without_rows_shared_it_is_the_paired_t_test():
    differences = np.random.RandomState(0).normal(0.3, 1, 12)
    found = paired_test(differences, 0)
    plain = stats.ttest_1samp(differences, 0)
    interval = plain.confidence_interval(0.95)
    assert np.allclose(
        [found.p, found.low, found.high], [plain.pvalue, interval.low, interval.high]
    )


def test_correction_by_the_formula():
    """t = d̄ / √((1/J + n₂/n₁) σ̂²), with J − 1 degrees of freedom."""
    differences = np.array([0.1, 0.3, 0.2, -0.1])
    variance = np.sum((differences - 0.125) ** 2) / 3
    t = 0.125 / np.sqrt((1 / 4 + 1 / 4) * variance)
    found = paired_test(differences, 1 / 4)
    assert np.isclose(found.p, 2 * (1 - stats.t(3).cdf(t)))
    assert np.isclose(
        found.high - found.difference, stats.t(3).ppf(0.975) * found.error
    )


def test_correction_keeps_its_level_where_the_plain_test_does_not():
    """Of differences that correlate as Nadeau and Bengio assume, and mean nothing."""
    random, share, n = np.random.RandomState(0), 1 / 4, 10
    correlation = share / (1 + share)
    common, own = random.normal(size=(600, 1)), random.normal(size=(600, n))
    samples = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    found = np.mean([paired_test(d, share).p < 0.05 for d in samples])
    plain = np.mean([paired_test(d, 0).p < 0.05 for d in samples])
    assert 0.03 < found < 0.07 and plain > 0.2


@pytest.mark.parametrize(
    ("differences", "p"), [([0.0, 0.0], 1), ([0.1, 0.1], np.nan), ([0.1], np.nan)]
)
def test_differences_that_do_not_vary(differences, p):
    """Unless there is none, equal ones of few folds tell nothing of their variance."""
    found = paired_test(np.array(differences), 0.25)
    assert np.array_equal(found.p, p, equal_nan=True)
    assert np.isnan(found.high) == np.isnan(p)
    assert np.isnan(corrected_error(np.array([0.1]), 0.25))


# -- the table -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    return compare({"a <b>": SPARSE}, X, Y, **CHEAP)


def test_text(table):
    head, rule, *lines = str(table).splitlines()
    assert head.split()[0] == "accuracy" and set(rule) == {"-", " "}
    assert [line.split("  ")[0] for line in lines] == [
        *("features as they are", "PCA", "a <b>"),
    ]
    assert f"{table.rows[2]['score']:.3f} ± {table.rows[2]['error']:.3f}" in lines[2]
    assert repr(table) == str(table)


def test_html_and_markdown(table):
    html = table._repr_html_()
    assert html.count("<tr>") == 4 and "a &lt;b&gt;" in html and "<b>" not in html
    lines = table.to_markdown().splitlines()
    assert len(lines) == 5 and len({line.count("|") for line in lines}) == 1


def test_frame(table):
    pytest.importorskip("pandas")
    frame = table.to_frame()
    assert frame["score"].tolist() == [row["score"] for row in table.rows]
    assert set(frame.columns) == set(table.rows[0])


def test_frame_says_what_it_needs(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        table.to_frame()


@pytest.mark.parametrize(
    ("estimators", "params", "error", "message"),
    [
        (SPARSE, {"downstream": MODEL, "y": None}, ValueError, "got y=None; pass y"),
        (SPARSE, {"n_components": 0}, ValueError, "n_components must be"),
        (SPARSE, {"n_components": [2, 2.5]}, ValueError, "n_components must be"),
        (SPARSE, {"n_components": []}, ValueError, "n_components must be"),
        (SPARSE, {"cv": KFold(178)}, ValueError, "2 rows and more"),
        ([SPARSE, LinearRegression()], {}, TypeError, "transformers"),
        ({"a": LinearRegression()}, {}, TypeError, "transformers"),
        ([("a", SPARSE)], {}, TypeError, "dict of name to estimator"),
        (SPARSE, {"y": np.arange(178)}, ValueError, r"size of 1,.*downstream=Ridge"),
        (SPARSE, {"y": Y, "cv": 72}, ValueError, "71, too small for 72 folds"),
        (SPARSE, {"scaler": True}, TypeError, "got scaler=True"),
        (SPARSE, {"X": np.where(X > 14, np.nan, X)}, ValueError, "scaler=SimpleImp"),
    ],
)
def test_bad_input_is_named(estimators, params, error, message):
    rows, y = params.pop("X", X), params.pop("y", Y)
    with pytest.raises(error, match=message):
        compare(estimators, rows, y, **params)
