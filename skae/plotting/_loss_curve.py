"""The loss against the iterations of training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from skae.plotting._common import last_step, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D

Curve = Sequence[float] | npt.NDArray[np.floating]

# Okabe and Ito's colours, told apart by every kind of colour vision. The parts of a
# loss have its colour, and dashes that say which part it is.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = {
    "reconstruction": "--",
    "decay": ":",
    "sparsity": "-.",
    "contraction": (0, (12, 4)),
}
_OTHER_DASHES = (0, (3, 1, 1, 1, 1, 1))


class LossCurveDisplay:
    """The loss after each iteration, and its parts.

    Use :meth:` LossCurveDisplay.from_estimator` to create a display. To compare
    estimators, draw the second one in the axes of the first.

    Parameters
    ----------
    curves : dict of str to array-like of shape (n_iter,)
        The loss after each iteration, by label: a single curve, or one for each stage
        of training.

    parts : dict of str to array-like of shape (n_iter,), default=None
        Parts of the loss, by label. They are drawn in the colour of the first curve. A
        part that is always zero is not drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the drawing.

    figure_ : matplotlib Figure
        The figure of the axes.

    lines_ : dict of str to matplotlib Line2D
        The curves, by label.

    part_lines_ : dict of str to matplotlib Line2D
        The parts, by label.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores against the number of
        training rows.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAutoencoder, SparseAutoencoder
    >>> from skae.plotting import LossCurveDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> sparse = SparseAutoencoder(16, tol=0.05, random_state=0).fit(X)
    >>> contractive = ContractiveAutoencoder(16, tol=0.05, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(sparse)
    >>> list(display.part_lines_)
    ['reconstruction', 'decay', 'sparsity']
    >>> display = LossCurveDisplay.from_estimator(contractive, ax=display.ax_)
    >>> plt.show()
    """

    ax_: Axes
    figure_: Figure | SubFigure
    lines_: dict[str, Line2D]
    part_lines_: dict[str, Line2D]

    def __init__(
        self, curves: Mapping[str, Curve], *, parts: Mapping[str, Curve] | None = None
    ) -> None:
        self.curves = curves
        self.parts = parts

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        parts: bool = True,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the loss curve of a fitted estimator.

        Parameters
        ----------
        estimator : object
            A fitted estimator with ``loss_curve_`` (an autoencoder, or scikit-learn's
            MLP), or with ``loss_curves_``, which is a dict with the curve of each stage
            by name, or a list of curves. For a pipeline, the last step is used; for a
            search, the best estimator.

        name : str, default=None
            Name in the legend. None uses the name of the class.

        parts : bool, default=True
            Whether to draw the parts of the loss, ``loss_curve_terms_``, if the
            estimator has them.

        ax : matplotlib Axes, default=None
            Axes to draw in, such as ``ax_`` of another display. None creates a
            figure.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no loss curve.
        """
        estimator = last_step(estimator)
        check_is_fitted(estimator)
        name = type(estimator).__name__ if name is None else name
        terms = getattr(estimator, "loss_curve_terms_", {}) if parts else {}
        return cls(_curves(estimator, name), parts=terms).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in, such as ``ax_`` of another display. None creates a
            figure.

        Returns
        -------
        LossCurveDisplay
            The display.
        """
        if ax is None:
            _, ax = pyplot().subplots(figsize=(7, 4.5), layout="constrained")
            ax.set_prop_cycle(color=_COLOURS)
            ax.locator_params(axis="x", integer=True)
        self.lines_ = {
            label: _line(ax, curve, label) for label, curve in self.curves.items()
        }
        style = {"color": next(iter(self.lines_.values())).get_color(), "linewidth": 1}
        self.part_lines_ = {
            label: _line(ax, part, "_", linestyle=_dashes(label), **style)
            for label, part in (self.parts or {}).items()
            if np.any(part)
        }
        ax.set(xlabel="iteration", ylabel="loss", yscale="log")
        _legend(ax, self.part_lines_)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _line(ax: Axes, curve: Curve, label: str, **style: Any) -> Line2D:
    iterations = np.arange(1, len(curve) + 1)
    # A line of one point cannot be seen.
    marker = "o" if len(curve) == 1 else None
    (line,) = ax.plot(iterations, curve, label=label, marker=marker, **style)
    return line


def _dashes(part: str) -> Any:
    return _DASHES.get(part, _OTHER_DASHES)


def _legend(ax: Axes, parts: Iterable[str]) -> None:
    """Curves by colour, then parts by dashes: once, however many curves have them."""
    _, labels = ax.get_legend_handles_labels()
    for part in parts:
        if part not in labels:
            style = {"color": "0.3", "linewidth": 1, "linestyle": _dashes(part)}
            ax.plot([], [], label=part, **style)
    handles, _ = ax.get_legend_handles_labels()
    empty = [line for line in ax.lines if np.size(line.get_xdata()) == 0]
    samples = [h for h in handles if h in empty]
    ax.legend(handles=[*(h for h in handles if h not in samples), *samples])


def _curves(estimator: Any, name: str) -> dict[str, Curve]:
    """Label -> curve, from whichever form the estimator keeps its curves in."""
    for attribute in ("loss_curves_", "loss_curve_"):
        curves = getattr(estimator, attribute, None)
        # A stack of RBMs that is not fine-tuned has an empty dict, and then None.
        if curves is not None and not (isinstance(curves, Mapping) and not curves):
            break
    else:
        raise ValueError(
            f"LossCurveDisplay needs an estimator with loss_curve_ or loss_curves_, "
            f"which {type(estimator).__name__} does not have; pass an estimator that "
            "is trained in iterations, or such a step of the pipeline."
        )
    if isinstance(curves, Mapping):
        return {f"{name}: {stage}": curve for stage, curve in curves.items()}
    in_stages = len(curves) > 0 and np.ndim(curves[0]) > 0
    if not in_stages:
        return {name: curves}
    return {f"{name}: stage {i}": curve for i, curve in enumerate(curves, 1)}
