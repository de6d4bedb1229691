"""OutlierDisplay: bars and bins of known scores, of the row that is meant."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ReconstructionOutlierDetector, SparseAutoencoder
from skae.plotting import OutlierDisplay

X = np.random.RandomState(0).standard_normal((60, 4))
X[7, 2] = 9
DETECTOR = ReconstructionOutlierDetector(PCA(2))


def test_known_scores(plt):
    scores = np.r_[1.0, 1.0, 10.0, 100.0]
    display = OutlierDisplay(scores, [1.0, 6.0, 3.0], threshold=5.0).plot(
        bins=2, most=2
    )
    counts, edges, _ = display.histogram_.get_data()
    np.testing.assert_allclose(edges, [1, 10, 100])
    np.testing.assert_array_equal(counts, [2, 2])
    np.testing.assert_allclose(display.row_line_.get_xdata(), 10)
    np.testing.assert_allclose(display.threshold_line_.get_xdata(), 5)
    assert [bar.get_width() for bar in display.bars_] == [6, 3]
    labels = [text.get_text() for text in display.axes_[1].get_yticklabels()]
    assert labels == ["x1", "x2"]
    assert display.axes_[1].get_title() == "why a row, 2 of 3"
    assert display.axes_[1].yaxis_inverted()  # the largest on top


@pytest.mark.parametrize("scores", [np.zeros(5), np.full(5, 2.0)])
def test_scores_that_are_all_alike(plt, scores):
    display = OutlierDisplay(scores, [scores[0], 0.0]).plot()
    assert display.histogram_.get_data().values.sum() == 5
    assert display.threshold_line_ is None


def test_the_strangest_row_is_explained(plt):
    detector = DETECTOR.fit(X)
    display = OutlierDisplay.from_estimator(detector, X)
    assert display.row == 7
    expected = detector.feature_scores(X)[7]
    np.testing.assert_allclose(display.contributions, expected)
    np.testing.assert_allclose(display.row_line_.get_xdata(), expected.sum())
    assert display.threshold == -detector.offset_
    other = OutlierDisplay.from_estimator(detector, X, row=-1)
    np.testing.assert_allclose(other.contributions, detector.feature_scores(X)[-1])


def test_names_of_a_frame(plt):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"], index=range(100, 160))
    detector = ReconstructionOutlierDetector(PCA(2)).set_output(transform="pandas")
    display = OutlierDisplay.from_estimator(detector.fit(frame), frame, most=1)
    assert display.axes_[1].get_title() == "why row 107, 1 of 4"
    (label,) = display.axes_[1].get_yticklabels()
    assert label.get_text() == "c"


def test_pipelines_searches_and_sparse_rows(plt):
    pipeline = make_pipeline(StandardScaler(), DETECTOR).fit(X)
    search = GridSearchCV(
        DETECTOR, {"distance_weight": [1.0]}, scoring=lambda e, X, y=None: 0.0, cv=2
    )
    rows = csr_array(X)
    inner = SparseAutoencoder(2, tol=0.1, random_state=0)
    sparse = ReconstructionOutlierDetector(inner).fit(rows)
    for estimator, given in [(pipeline, X), (search.fit(X), X), (sparse, rows)]:
        assert OutlierDisplay.from_estimator(estimator, given).row == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"row": 60}, "row must be the place of one of the 60 rows"),
        ({"most": 0}, "most must be an int of at least 1"),
        ({"ax": [None]}, "ax must be two Axes"),
    ],
)
def test_bad_options(plt, options, message):
    with pytest.raises(ValueError, match=message):
        OutlierDisplay.from_estimator(DETECTOR.fit(X), X, **options)


@pytest.mark.parametrize("row", ["a", 1.5, True, [1]])
def test_a_row_that_is_no_number(plt, row):
    with pytest.raises(TypeError, match=r"row must be an int, .* got .*[^)]\.$"):
        OutlierDisplay.from_estimator(DETECTOR.fit(X), X, row=row)


def test_a_name_of_a_row_is_told_from_its_place(plt):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, index=[f"r{i}" for i in range(60)])
    frame.columns = ["a", "b", "c", "d"]
    detector = ReconstructionOutlierDetector(PCA(2)).fit(frame)
    with pytest.raises(TypeError, match=r"use row=X.index.get_loc\('r5'\)"):
        OutlierDisplay.from_estimator(detector, frame, row="r5")
    display = OutlierDisplay.from_estimator(
        detector, frame, row=frame.index.get_loc("r5")
    )
    assert display.row == "r5"


def test_other_detectors(plt):
    with pytest.raises(ValueError, match="IsolationForest has no feature_scores"):
        OutlierDisplay.from_estimator(IsolationForest(n_estimators=5).fit(X), X)
