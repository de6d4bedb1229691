"""Comparison of estimators with PCA: scores, variance explained and components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from skae.plotting._common import check_count, last_step, pyplot
from skae.plotting._components import ComponentsDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Colours of Okabe and Ito. PCA is grey, the original features a horizontal line.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_PCA, _FEATURES = "0.35", "features as they are"


class ComparisonDisplay:
    """Comparison of estimators with PCA.

    The display shows scores and variance explained against the number of components,
    and images of the components. It is recommended to use
    :meth:`~ComparisonDisplay.from_estimators`, or to draw the result of
    :func:`skae.compare`.

    Parameters
    ----------
    comparison : Comparison
        Result of :func:`skae.compare`.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The axes of the scores, of the variance explained, and of the components of each
        estimator that is shown.

    comparison_ : Comparison
        The comparison, which can be printed as a table.

    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    skae.compare : Compute the comparison.
    ComponentsDisplay : The components of one estimator.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoder
    >>> from skae.plotting import ComparisonDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = ComparisonDisplay.from_estimators(
    ...     SparseAutoencoder(tol=0.2, random_state=0),
    ...     X[:200] / 16,
    ...     y[:200],
    ...     n_components=[8, 16],
    ...     cv=2,
    ... )
    >>> [ax.get_title() for ax in display.axes_[2:]]
    ['PCA, 16', 'SparseAutoencoder, 16']
    >>> plt.show()
    """

    axes_: list[Axes]
    figure_: Figure | SubFigure

    def __init__(self, comparison: Any) -> None:
        self.comparison = comparison

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        y: Any = None,
        *,
        n_shown: int = 2,
        n_tiles: int = 36,
        **params: Any,
    ) -> Self:
        """Compare estimators, and draw the comparison.

        Parameters
        ----------
        estimators : estimator, list or dict of str to estimator
            See :func:`skae.compare`.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        y : array-like of shape (n_samples,), default=None
            Labels or targets.

        n_shown : int, default=2
            Number of estimators whose components are drawn, PCA first.

        n_tiles : int, default=36
            Maximal number of components that are drawn for each estimator.

        **params : dict
            Other arguments of :func:`skae.compare`.

        Returns
        -------
        ComparisonDisplay
            The display, drawn.
        """
        from skae.model_selection._compare import compare

        display = cls(compare(estimators, X, y, **params))
        return display.plot(n_shown=n_shown, n_tiles=n_tiles)

    def plot(self, *, n_shown: int = 2, n_tiles: int = 36) -> Self:
        """Draw the comparison.

        Parameters
        ----------
        n_shown : int, default=2
            Number of estimators whose components are drawn, PCA first.

        n_tiles : int, default=36
            Maximal number of components that are drawn for each estimator.

        Returns
        -------
        ComparisonDisplay
            The display.
        """
        check_count("n_tiles", n_tiles)
        shown = self._shown()[:n_shown]
        figure, axes = pyplot().subplots(
            1,
            2 + len(shown),
            figsize=(8 + 3 * len(shown), 3.8),
            width_ratios=[1.3, 1.3] + [1] * len(shown),
            layout="constrained",
        )
        table = self.comparison
        _curves(axes[0], table.fold_scores, table.rows, "score", "error")
        _curves(axes[1], table.fold_explained, table.rows, "explained", None)
        axes[0].set_ylabel(table.score_name)
        axes[1].set_ylabel("variance explained, held out")
        axes[0].legend(fontsize="small")
        for ax, (name, size) in zip(axes[2:], shown, strict=True):
            model = last_step(table.fitted[name, size])
            ComponentsDisplay(
                _components(model)[:n_tiles], title=f"{name}, {size}"
            ).plot(ax)
        self.axes_, self.figure_, self.comparison_ = list(axes), figure, table
        return self

    def _shown(self) -> list[tuple[str, int]]:
        """Names and largest sizes of the estimators with components, PCA first."""
        largest: dict[str, int] = {}
        for name, size in self.comparison.fitted:
            model = self.comparison.fitted[name, size]
            if model is not None and _components(last_step(model)) is not None:
                largest[name] = max(size, largest.get(name, 0))
        return sorted(largest.items(), key=lambda item: item[0] != "PCA")


def _components(model: Any) -> Any:
    """Decoder weights of the units or, if there are none, encoder weights."""
    own = getattr(model, "components_", None)
    return getattr(model, "decoder_components_", own)


def _curves(
    ax: Axes,
    folds: dict[tuple[str, int], npt.NDArray[Any]],
    rows: Any,
    measure: str,
    error: str | None,
) -> None:
    """Draw a line for each estimator, with bands of one standard error."""
    names = list(dict.fromkeys(name for name, _ in folds))
    others = [name for name in names if name not in ("PCA", _FEATURES)]
    sizes = sorted({size for name, size in folds if name != _FEATURES})
    for name in names:
        mine = sorted(
            (row for row in rows if row["estimator"] == name),
            key=lambda row: row["components"],
        )
        x = np.array([row["components"] for row in mine])
        y = np.array([row[measure] for row in mine])
        if np.isnan(y).all():
            continue
        if name == _FEATURES:
            if measure == "score":
                ax.axhline(y[0], color="0.6", linestyle="--", linewidth=1, label=name)
            continue
        colour = _PCA
        if name != "PCA":
            colour = _COLOURS[others.index(name) % len(_COLOURS)]
        marker = "s" if name == "PCA" else "o"
        ax.plot(x, y, marker=marker, markersize=4, color=colour, label=name)
        if error is not None:
            reach = np.array([row[error] for row in mine])
            ax.fill_between(x, y - reach, y + reach, color=colour, alpha=0.15, lw=0)
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    ax.set_xlabel("components")
    ax.grid(alpha=0.3)
