"""Scores of all rows, and the contributions of the features to one score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skae.plotting._common import check_count, last_step, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D
    from matplotlib.patches import StepPatch

# These colours can be distinguished by colour-blind readers.
_BLUE, _RED = "#0072B2", "#D55E00"


class OutlierDisplay:
    """Outlier scores of all rows, and contributions of the features to one score.

    On the left is a histogram of the scores on a logarithmic axis, with lines at the
    threshold and at the score of the row that is explained. On the right are the
    features that contribute most to this score. It is recommended to use
    :meth:`~OutlierDisplay.from_estimator` to create the display.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Scores of the rows. Larger scores are more unusual.

    contributions : array-like of shape (n_features,)
        Contributions of the features to the score of the row that is explained.

    feature_names : sequence of str, default=None
        Names of the features. None means "x0", "x1", ...

    threshold : float, default=None
        The score above which rows are outliers. None draws no threshold.

    row : int or str, default=None
        Number or name of the row that is explained, for the title.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        The axes of the histogram and of the contributions.

    figure_ : matplotlib Figure
        The figure with the axes.

    histogram_ : matplotlib StepPatch
        Histogram of the scores.

    threshold_line_ : matplotlib Line2D or None
        Line at the threshold.

    row_line_ : matplotlib Line2D
        Line at the score of the row that is explained.

    bars_ : matplotlib BarContainer
        Bars of the contributions, the largest one on top.

    See Also
    --------
    ReconstructionDisplay : Rows beside their reconstructions.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skae import ReconstructionOutlierDetector
    >>> from skae.plotting import OutlierDisplay
    >>> X = load_wine(as_frame=True).data
    >>> detector = ReconstructionOutlierDetector(random_state=0).fit(X)
    >>> display = OutlierDisplay.from_estimator(detector, X)
    >>> len(display.bars_)
    10
    >>> plt.show()
    """

    axes_: npt.NDArray[np.object_]
    figure_: Figure | SubFigure
    histogram_: StepPatch
    threshold_line_: Line2D | None
    row_line_: Line2D
    bars_: BarContainer

    def __init__(
        self,
        scores: npt.ArrayLike,
        contributions: npt.ArrayLike,
        *,
        feature_names: Sequence[str] | None = None,
        threshold: float | None = None,
        row: int | str | None = None,
    ) -> None:
        self.scores = scores
        self.contributions = contributions
        self.feature_names = feature_names
        self.threshold = threshold
        self.row = row

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        row: int | None = None,
        most: int = 10,
        bins: int = 50,
        ax: Sequence[Axes] | npt.NDArray[np.object_] | None = None,
    ) -> Self:
        """Compute the scores of X, and draw the contributions to one of them.

        Parameters
        ----------
        estimator : object
            A fitted `skae.ReconstructionOutlierDetector`, or a pipeline or search that
            contains one as its last step.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        row : int, default=None
            Position in X of the row to explain. None means the row with the largest
            score.

        most : int, default=10
            Number of features to show. They are those with the largest contributions.

        bins : int, default=50
            Number of bins of the histogram.

        ax : sequence of two matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        Returns
        -------
        OutlierDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no ``feature_scores``, or ``row`` is not a row of X.
        TypeError
            If ``row`` is not an integer.
        """
        final = last_step(estimator)
        if not hasattr(final, "feature_scores"):
            raise ValueError(
                f"{type(final).__name__} has no feature_scores; use a "
                "ReconstructionOutlierDetector."
            )
        check_is_fitted(final)
        names = X.columns if hasattr(X, "columns") else None
        index = X.index if hasattr(X, "index") and names is not None else None
        rows = _before_last(estimator, X)
        scores = -np.asarray(final.score_samples(rows))
        if row is None:
            row = int(scores.argmax())
        place = _place(row, len(scores), index)
        parts = final.feature_scores(_one(rows, place))
        if hasattr(parts, "columns"):
            names = parts.columns
        contributions = np.asarray(parts)[0]
        if names is not None and len(names) != len(contributions):
            names = None
        display = cls(
            scores,
            contributions,
            feature_names=None if names is None else [str(name) for name in names],
            threshold=-float(final.offset_),
            row=row if index is None else str(index[place]),
        )
        return display.plot(ax, most=most, bins=bins)

    def plot(
        self,
        ax: Sequence[Axes] | npt.NDArray[np.object_] | None = None,
        *,
        most: int = 10,
        bins: int = 50,
    ) -> Self:
        """Draw the histogram and the bars.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        most : int, default=10
            Number of features to show. They are those with the largest contributions.

        bins : int, default=50
            Number of bins of the histogram.

        Returns
        -------
        OutlierDisplay
            The display.
        """
        check_count("most", most)
        check_count("bins", bins)
        if ax is None:
            _, ax = pyplot().subplots(1, 2, figsize=(9, 3.8), layout="constrained")
        axes = np.ravel(np.asarray(ax, dtype=np.object_))
        if len(axes) != 2:
            raise ValueError(
                f"ax must be two Axes, for scores and for contributions; got "
                f"{len(axes)}."
            )
        scores = np.asarray(self.scores, dtype=np.float64)
        parts = np.asarray(self.contributions, dtype=np.float64)
        self._draw_scores(axes[0], scores, float(parts.sum()), bins)
        self._draw_parts(axes[1], parts, most)
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _draw_scores(
        self, ax: Axes, scores: npt.NDArray[np.float64], own: float, bins: int
    ) -> None:
        all_scores = np.append(scores, own)
        positive = all_scores[all_scores > 0]
        low = positive.min() if len(positive) else 1.0
        high = max(all_scores.max(), low * 1.1)
        edges = np.geomspace(low, high, bins + 1)
        edges[[0, -1]] = low, high  # geomspace rounds
        counts, edges = np.histogram(np.maximum(scores, low), edges)
        self.histogram_ = ax.stairs(counts, edges, fill=True, color=_BLUE)
        self.threshold_line_ = None
        if self.threshold is not None and self.threshold > 0:
            self.threshold_line_ = ax.axvline(
                self.threshold,
                color="black",
                linestyle="--",
                label=f"threshold {self.threshold:.3g}",
            )
        label = "row" if self.row is None else f"row {self.row}"
        self.row_line_ = ax.axvline(
            max(own, low), color=_RED, label=f"{label}: {own:.3g}"
        )
        ax.legend()
        ax.set(
            title=f"scores of {len(scores)} rows",
            xlabel="score",
            ylabel="rows",
            xscale="log",
        )

    def _draw_parts(self, ax: Axes, parts: npt.NDArray[np.float64], most: int) -> None:
        largest = np.argsort(-parts, kind="stable")[:most]
        names = self.feature_names
        labels = [f"x{j}" if names is None else names[j] for j in largest]
        places = np.arange(len(largest))
        self.bars_ = ax.barh(places, parts[largest], color=_RED)
        ax.set_yticks(places, labels)
        ax.invert_yaxis()
        which = "a row" if self.row is None else f"row {self.row}"
        shown = (
            "" if len(largest) == len(parts) else f", {len(largest)} of {len(parts)}"
        )
        ax.set(title=f"why {which}{shown}", xlabel="contribution to the score")


def _before_last(estimator: Any, X: Any) -> Any:
    """The input of the last step for X."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            X = estimator[:-1].transform(X)
        return _before_last(estimator[-1], X)
    return X


def _place(row: Any, n_samples: int, index: Any) -> int:
    """Where the row is in X, from 0; ``index`` has the names of the rows or is None."""
    whole = isinstance(row, int | np.integer) and not isinstance(row, bool)
    places = f"the place of one of the {n_samples} rows of X, from 0"
    if not whole:
        remedy = "" if index is None else f"; use row=X.index.get_loc({row!r})"
        raise TypeError(f"row must be an int, {places}, got {row!r}{remedy}.")
    if not -n_samples <= row < n_samples:
        raise ValueError(f"row must be {places}, got {row}.")
    return int(row) % n_samples


def _one(rows: Any, place: int) -> Any:
    """One row, as a table with one row."""
    if hasattr(rows, "iloc"):
        return rows.iloc[[place]]
    if issparse(rows):
        return rows.tocsr()[[place]]
    return rows[place : place + 1]
