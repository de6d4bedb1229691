"""Scores and sparsity of codes against the values of a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from skae.plotting._common import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Values = Sequence[Any]
_FEW = 8  # number of values with enough space for their labels on the axis
_SCORES, _ZEROS, _CHOSEN = "#0072B2", "#D55E00", "0.3"


class PathDisplay:
    """Scores and sparsity of codes against the values of a parameter.

    The upper panel shows the scores, the lower panel the fraction of codes near zero.
    Both are needed if the scores are those of the reconstruction: these are nearly
    always best for the least sparse codes.

    It is recommended to use :meth:`~PathDisplay.from_search` or
    :meth:`~PathDisplay.from_path` to create the display.

    Parameters
    ----------
    param_range : list of float or tuple
        The values: numbers, or multiples of "scale".

    scores : array-like of shape (n_values,) or (n_folds, n_values)
        Scores of the values, or scores of the values in each fold.

    near_zero : array-like of shape (n_values,) or (n_folds, n_values)
        Fraction of codes near zero.

    param_name : str, default="parameter"
        Name of the parameter.

    score_name : str, default="score"
        Name of the score.

    best_index : int, default=None
        Index of the chosen value.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        The axes of the scores and of the fraction of codes near zero.

    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    skae.autoencoder_path : Fit an autoencoder for a sequence of values.
    skae.AutoencoderCV : Choose a value by cross-validation.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderCV, SparseAutoencoder
    >>> from skae.plotting import PathDisplay
    >>> X, _ = load_iris(return_X_y=True)
    >>> search = AutoencoderCV(SparseAutoencoder(6, random_state=0), param_range=5)
    >>> display = PathDisplay.from_search(search.fit(X))
    >>> print(display.axes_[0].get_ylabel())
    variance explained, held out
    >>> plt.show()
    """

    axes_: npt.NDArray[Any]
    figure_: Figure | SubFigure

    def __init__(
        self,
        param_range: Values,
        scores: npt.ArrayLike,
        near_zero: npt.ArrayLike,
        *,
        param_name: str = "parameter",
        score_name: str = "score",
        best_index: int | None = None,
    ) -> None:
        self.param_range = param_range
        self.scores = scores
        self.near_zero = near_zero
        self.param_name = param_name
        self.score_name = score_name
        self.best_index = best_index

    @classmethod
    def from_search(cls, search: Any, *, axes: Any = None) -> Self:
        """Draw the paths of a fitted AutoencoderCV.

        Parameters
        ----------
        search : AutoencoderCV
            A fitted search.

        axes : sequence of two matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        Returns
        -------
        PathDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the search is not fitted.
        """
        if not hasattr(search, "score_path_"):
            raise ValueError(
                "PathDisplay.from_search needs a fitted AutoencoderCV, got "
                f"{search!r}; call its fit."
            )
        name = "downstream score"
        if search.downstream is None:
            name = "variance explained" if search.scoring is None else "score"
        display = cls(
            search.param_range_,
            search.score_path_,
            search.near_zero_path_,
            param_name=search.param_name,
            score_name=f"{name}, held out",
            best_index=search.best_index_,
        )
        return display.plot(axes)

    @classmethod
    def from_path(cls, path: Any, *, axes: Any = None) -> Self:
        """Draw the result of autoencoder_path.

        Parameters
        ----------
        path : Bunch
            Result of :func:`skae.autoencoder_path`.

        axes : sequence of two matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        Returns
        -------
        PathDisplay
            The display, drawn.
        """
        if not hasattr(path, "scores"):
            raise ValueError(
                "PathDisplay.from_path needs what autoencoder_path returns, got "
                f"{type(path).__name__}; of a fitted AutoencoderCV use from_search."
            )
        display = cls(
            path.param_range,
            path.scores,
            path.near_zero,
            param_name=path.param_name,
            score_name="variance explained",
        )
        return display.plot(axes)

    def plot(self, axes: Any = None) -> Self:
        """Draw the scores and, below them, the fraction of codes near zero.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, default=None
            Axes to draw in. None makes a figure.

        Returns
        -------
        PathDisplay
            The display.
        """
        if axes is None:
            _, axes = pyplot().subplots(
                2,
                1,
                figsize=(6.4, 5.6),
                sharex=True,
                height_ratios=[1.6, 1],
                layout="constrained",
            )
        upper, lower = axes
        sizes, label = _sizes(self.param_range, self.param_name)
        _draw(upper, sizes, self.scores, _SCORES)
        _draw(lower, sizes, self.near_zero, _ZEROS)
        upper.set(ylabel=self.score_name, xscale="log")
        lower.set(xlabel=label, ylabel="share of codes\nnear zero", xscale="log")
        lower.set_ylim(0, max(0.1, lower.get_ylim()[1]))  # where there are none, too
        for ax in (upper, lower):
            ax.grid(alpha=0.3)
            if len(set(sizes)) <= _FEW:
                ax.set_xticks(sizes, [f"{size:.3g}" for size in sizes])
                ax.minorticks_off()
            if self.best_index is not None:
                style = {"color": _CHOSEN, "linestyle": "--", "linewidth": 1}
                ax.axvline(sizes[self.best_index], label="chosen", **style)
        if self.best_index is not None:
            upper.legend()
        self.axes_, self.figure_ = np.array([upper, lower]), upper.figure
        return self


def _sizes(values: Values, name: str) -> tuple[npt.NDArray[np.floating], str]:
    """Positions of the values on the axis, and the label of the axis."""
    of_scale = [isinstance(value, tuple | list) for value in values]
    if any(of_scale):
        sizes = [value[1] if isinstance(value, tuple | list) else 1 for value in values]
        return np.array(sizes, float), f"{name}, multiples of its scale"
    if any(isinstance(value, str) for value in values):
        return np.ones(len(values)), name
    return np.array(values, float), name


def _draw(ax: Axes, sizes: npt.NDArray[Any], table: npt.ArrayLike, colour: str) -> None:
    """Draw the means, a band of one standard error, and thin lines for the folds."""
    order = np.argsort(sizes)
    folds = np.atleast_2d(np.asarray(table, float))[:, order]
    folds = folds[~np.isnan(folds).all(axis=1)]
    x, mean = sizes[order], folds.mean(axis=0)
    ax.plot(x, mean, marker="o", markersize=4, color=colour, zorder=3)
    if len(folds) > 1:
        error = folds.std(axis=0, ddof=1) / len(folds) ** 0.5
        ax.fill_between(x, mean - error, mean + error, color=colour, alpha=0.2, lw=0)
        ax.plot(x, folds.T, color=colour, alpha=0.35, linewidth=0.7)
