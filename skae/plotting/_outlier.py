"""Why a row is an outlier, and how far it stands out."""

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

# Told from each other by every kind of colour vision.
_BLUE, _RED = "#0072B2", "#D55E00"


class OutlierDisplay:
    """The scores of all rows with the threshold, and what one row's is made of.

    The scores are on a logarithmic axis, that of the row marked by a line. Beside
    them are the features that contribute most to it. It is recommended to use
    :meth:`~OutlierDisplay.from_estimator`.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        Scores of rows: the larger, the stranger.

    contributions : array-like of shape (n_features,)
        What each feature contributes to the score of the row that is explained.

    feature_names : sequence of str, default=None
        Names of the features. None numbers them, from "x0".

    threshold : float, default=None
        The score above which rows are outliers. None marks none.

    row : int or str, default=None
        Number or name of the row, for the title.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        The axes of the histogram and of the bars.

    figure_ : matplotlib Figure
        The figure of the axes.

    histogram_ : matplotlib StepPatch
        Number of rows against score.

    threshold_line_ : matplotlib Line2D or None
        The mark of the threshold.

    row_line_ : matplotlib Line2D
        The mark of the row's score.

    bars_ : matplotlib BarContainer
        The contributions, the largest on top.

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
        """Score X, and draw why one of its rows is strange.

        Parameters
        ----------
        estimator : object
            A fitted `skae.ReconstructionOutlierDetector`, a pipeline that ends in
            one, or a search for one.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        row : int, default=None
            The place in X of the row to explain. None explains the strangest.

        most : int, default=10
            Number of features to show, those that contribute most.

        bins : int, default=50
            Number of bins for the scores.

        ax : sequence of two matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        Returns
        -------
        OutlierDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no ``feature_scores``, or row is not one of X.
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
        n_samples = len(scores)
        if not -n_samples <= row < n_samples:
            raise ValueError(
                f"row must be the place of one of the {n_samples} rows of X, from 0, "
                f"got {row}."
            )
        place = row % n_samples
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
            Number of features to show, those that contribute most.

        bins : int, default=50
            Number of bins for the scores.

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
        ax.set(title=f"why {which}{shown}", xlabel="part of the score")


def _before_last(estimator: Any, X: Any) -> Any:
    """What the last step is given of X."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            X = estimator[:-1].transform(X)
        return _before_last(estimator[-1], X)
    return X


def _one(rows: Any, place: int) -> Any:
    """One row, as rows."""
    if hasattr(rows, "iloc"):
        return rows.iloc[[place]]
    if issparse(rows):
        return rows.tocsr()[[place]]
    return rows[place : place + 1]
