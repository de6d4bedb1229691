"""How active the hidden units are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from skae.core.activations import ACTIVATIONS
from skae.plotting._common import dense, last_step, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D
    from matplotlib.patches import StepPatch

_TARGET_COLOUR = "#D55E00"  # told from blue by every kind of colour vision


class ActivationDisplay:
    """Histograms of the mean activations of the units, and of all codes.

    The left histogram shows whether the units reach the target for their mean
    activation, and whether some are always inactive ("dead"). The right histogram, on a
    logarithmic scale, shows whether the codes are sparse or only small.

    Use :meth:` ActivationDisplay.from_estimator` to create a display.

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        The codes of some rows.

    target : float, default=None
        Target for the mean activation of every unit, which is marked by a line. None
        draws no line.

    name : str, default=None
        Name of the estimator, for the titles.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        The axes of the mean activations and of the codes.

    figure_ : matplotlib Figure
        The figure of the axes.

    mean_histogram_ : matplotlib StepPatch
        Number of units against mean activation.

    code_histogram_ : matplotlib StepPatch
        Number of entries of ``codes`` against their value.

    target_line_ : matplotlib Line2D or None
        The line that marks the target.

    See Also
    --------
    ComponentsDisplay : Weights of the units, as images.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoder
    >>> from skae.plotting import ActivationDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = SparseAutoencoder(36, tol=0.05, random_state=0).fit(X)
    >>> display = ActivationDisplay.from_estimator(autoencoder, X)
    >>> round(display.target, 2)
    0.33
    >>> plt.show()
    """

    axes_: npt.NDArray[np.object_]
    figure_: Figure | SubFigure
    mean_histogram_: StepPatch
    code_histogram_: StepPatch
    target_line_: Line2D | None

    def __init__(
        self,
        codes: npt.ArrayLike,
        *,
        target: float | None = None,
        name: str | None = None,
    ) -> None:
        self.codes = codes
        self.target = target
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        bins: int = 50,
        ax: Sequence[Axes] | npt.NDArray[np.object_] | None = None,
    ) -> Self:
        """Encode X and draw how active the units are, with unscaled codes.

        Parameters
        ----------
        estimator : object
            A fitted estimator with ``transform``: an autoencoder, ``PCA``,
            ``BernoulliRBM``, or a pipeline that ends in one. With ``sparsity="kl"``,
            its ``sparsity_target_`` is marked; for tanh units it is converted to the
            units of their codes.

        X : array-like of shape (n_samples, n_features)
            Data. For the training data without ``sample_weight``, the means are
            ``mean_activation_``.

        bins : int, default=50
            Number of bins for the codes. The histogram of the units has as many bins as
            the square root of the number of units.

        ax : sequence of two matplotlib Axes, default=None
            Axes to draw in. None creates a figure.

        Returns
        -------
        ActivationDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator makes no codes, or ``ax`` is not a pair.
        """
        final = last_step(estimator)
        check_is_fitted(final)
        if not hasattr(estimator, "transform"):
            raise ValueError(
                f"{type(final).__name__} has no transform, so it computes no codes; "
                "pass the steps of the pipeline that do, such as pipeline[:-1]."
            )
        codes = dense(estimator.transform(X))
        if getattr(final, "scale_codes", False):
            codes = codes * final.code_scale_
        display = cls(
            codes,
            target=_target(final),
            name=type(final).__name__,
        )
        return display.plot(ax, bins=bins)

    def plot(
        self,
        ax: Sequence[Axes] | npt.NDArray[np.object_] | None = None,
        *,
        bins: int = 50,
    ) -> Self:
        """Draw the histograms.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Axes to draw in. None creates a figure.

        bins : int, default=50
            Number of bins for the codes. The histogram of the units has as many bins as
            the square root of the number of units.

        Returns
        -------
        ActivationDisplay
            The display.
        """
        if ax is None:
            _, ax = pyplot().subplots(1, 2, figsize=(9, 3.5), layout="constrained")
            ax[0].locator_params(axis="x", nbins=5)
            ax[0].locator_params(axis="y", integer=True)
        axes = np.ravel(np.asarray(ax, dtype=np.object_))
        if len(axes) != 2:
            raise ValueError(
                f"ax must be two Axes, for mean activations and for codes; got "
                f"{len(axes)}."
            )
        codes = np.asarray(self.codes)
        n_samples, n_components = codes.shape
        means, all_codes = axes
        self.mean_histogram_ = _histogram(means, codes.mean(axis=0), "sqrt")
        self.code_histogram_ = _histogram(all_codes, codes.ravel(), bins)
        self.target_line_ = None
        if self.target is not None:
            self.target_line_ = means.axvline(
                self.target,
                color=_TARGET_COLOUR,
                linestyle="--",
                label=f"target {self.target:g}",
            )
            means.legend()
        of = "" if self.name is None else f"{self.name}: "
        means.set(
            title=f"{of}{n_components} units",
            xlabel="mean activation",
            ylabel="units",
        )
        all_codes.set(
            title=f"codes of {n_samples} rows",
            xlabel="code",
            ylabel="entries",
            yscale="log",
            ylim=(0.5, None),
        )
        self.axes_, self.figure_ = axes, means.figure
        return self


def _histogram(
    ax: Axes, values: npt.NDArray[np.floating], bins: int | str
) -> StepPatch:
    rounding = 10 * np.finfo(np.result_type(values, np.float32)).eps
    values = values.astype(np.float64)
    low, high = values.min(), values.max()
    if high - low <= rounding * max(abs(low), abs(high)):
        # Equal but for rounding, as where units are dead: one bar, not noise.
        values.fill(low)
    counts, edges = np.histogram(values, bins)
    return ax.stairs(counts, edges, fill=True)


def _target(estimator: Any) -> float | None:
    """The mean code asked for: ρ, in the range of the codes."""
    if getattr(estimator, "sparsity", None) != "kl":
        return None
    activation: Any = ACTIVATIONS[estimator.activation]
    low, high = activation.bounds
    return low + estimator.sparsity_target_ * (high - low)
