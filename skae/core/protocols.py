"""What the pieces of the core, and an engine, must offer each other.

Nothing here computes. The pieces multiply: any that offers what its protocol says goes
with all others, and is asked for what it can do, never for its class or its name.
Activations, outputs and losses have no state, so classes stand for them. Arrays are
float32 or float64, of one dtype, unless float64 is said; n_statistics may be 0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np

if TYPE_CHECKING:
    from skae.core.blocks import Block, Sums, Workspace
    from skae.core.layout import Layout
    from skae.core.terms import Forward


class Output(Protocol):
    """g of the outputs ŷ = g(z)."""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The open interval of the values; None where there is none."""

    @property
    def is_linear(self) -> bool:
        """Whether g(z) = z."""

    def apply(self, Z: np.ndarray, /) -> None:
        """Replace Z by g(Z); rows along the last axis."""

    def link(self, mean: np.ndarray, /) -> np.ndarray:
        """z for which g(z) is ``mean``, (units,), as near as g allows, and finite."""


class Activation(Output, Protocol):
    """f of the codes h = f(z), entry by entry, f′ being a function of h."""

    @property
    def code_centre(self) -> float:
        """The middle of typical codes, where inputs are of order one."""

    @property
    def code_spread(self) -> float:
        """How far typical codes are from there."""

    @property
    def slope(self) -> float:
        """f′ in the middle."""

    @property
    def curvature(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
        """``curvature(H, slope)``: f″(Z), given H = f(Z) and f′(Z); None: it has none.

        Penalties on f′ need it.
        """

    def derivative(self, H: np.ndarray, out: np.ndarray) -> None:
        """Write f′(Z) into ``out``, given H = f(Z)."""

    def pull_back(
        self, H: np.ndarray, delta: np.ndarray, scratch: np.ndarray, /
    ) -> None:
        """Multiply ``delta`` by f′(Z) in place; all of the shape of H = f(Z)."""


class TargetLoss(Protocol):
    """ℓ(t, g(z)) of outputs and targets."""

    @property
    def outputs(self) -> Sequence[str]:
        """Names of the outputs g that it takes."""

    @property
    def is_quadratic(self) -> bool:
        """Whether it is ½ ‖g(z) − t‖²."""

    def at_mean(self, mean: np.ndarray, variance: float, /) -> float:
        """Mean loss where all outputs are ``mean``, (n_outputs,), that of the targets.

        ``variance`` is the sum of the targets' variances.
        """

    def rows(
        self, Z: np.ndarray, T: np.ndarray, output: Any, scratch: Any, /
    ) -> np.ndarray:
        """ℓ, (rows,); Z, (rows, n_outputs) as T is, becomes ∂ℓ/∂Z.

        ``output`` is g, and ``scratch`` room for two arrays of Z's shape; it may be
        None where g is linear and there are no ``entry_weights``.
        """


class Loss(TargetLoss, Protocol):
    """ℓ(x, g(z)) of a row and its reconstruction: a sum over entries."""

    def rows(
        self,
        Z: np.ndarray,
        T: np.ndarray,
        output: Any,
        scratch: Any,
        entry_weights: np.ndarray | None = None,
        /,
    ) -> np.ndarray:
        """The same, with weights of the entries that broadcast to the shape of Z."""


class Corruption(Protocol):
    """Noise as a pure function of rows and random bits."""

    @property
    def selects(self) -> bool:
        """Whether some entries are corrupted and others kept: ``emphasis`` needs it."""

    @property
    def keeps_zeros(self) -> bool:
        """Whether entries are multiplied, so that zeros stay zero."""

    @property
    def is_fraction(self) -> bool:
        """Whether its level is a fraction of the entries, in [0, 1]."""

    def __call__(
        self, X: np.ndarray, u: np.ndarray, out: np.ndarray, /
    ) -> np.ndarray | None:
        """Write corrupted X to ``out``; return where it is, or None: everywhere.

        All are (rows, n_features); u are 16 random bits an entry, as uint16.
        """

    def factors(self, u: np.ndarray, /) -> np.ndarray:
        """What entries with these bits are multiplied by; only if it keeps zeros."""


class Term(Protocol):
    """A term of an autoencoder's loss; ``skae.core.terms.BaseTerm`` has the defaults.

    One that is a mean over rows adds its derivatives where it has any, while a block of
    rows is at hand, weighted by the rows' weights, and returns Σ_i s_i (its value)_i
    from one of the four methods and 0 from the others. Blocks run in several threads
    at a time: what one method leaves to the next goes into ``forward.notes``.

    One of the *mean* code has ``of_mean = True``, ``value(mean)``, ``slope(mean)`` and
    ``target``, the mean code to aim at, a float: see ``skae.core.terms.MeanTerm``.
    """

    @property
    def name(self) -> str:
        """Its key among the terms of the loss; terms of one name are added up."""

    @property
    def of_mean(self) -> bool:
        """Whether it is a function of the mean code of all rows."""

    @property
    def needs_reconstruction(self) -> bool:
        """Whether it is to find ``reconstruction`` and ``targets`` in the forward."""

    def add_to_reconstruction(self, forward: "Forward", slope: np.ndarray, /) -> float:
        """Add ∂/∂x̂ to ``slope``, (rows, n_features); only if it needs x̂."""

    def add_to_codes(self, forward: "Forward", delta: np.ndarray, /) -> float:
        """Add ∂/∂H to ``delta``, (n_components, rows), not yet multiplied by f′."""

    def add_to_preactivations(
        self, forward: "Forward", epsilon: np.ndarray, /
    ) -> float:
        """Add ∂/∂Z to ``epsilon``, (n_components, rows), which has been, by now."""

    def add_to_parameters(self, forward: "Forward", gradient: Any, /) -> float:
        """Add to the arrays of ``gradient``, all else being in it already.

        That is what the term's derivatives by θ have beside those that follow by back-
        propagation from the three above. ``gradient`` has the arrays of the objective's
        parameters, summed over this block's rows.
        """


class Parameters(Protocol):
    """A flat vector seen as the arrays of the formulas."""

    theta: np.ndarray
    draw: int | None  # of the noise that the rows meet; None none
    centers: list[np.ndarray] | None  # taken from the inputs of each centred layer

    @property
    def layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights, (units, inputs), and biases, (units,), of each layer: views."""


P = TypeVar("P", bound=Parameters)


class Objective(Protocol[P]):
    """Loss and gradient as sums over blocks of rows; whoever adds them is an engine.

    An evaluation is ``parameters``, ``prepare``, then, if ``gathers``, ``statistics``
    of all blocks and ``set_statistics``, then ``block`` of all blocks, and ``finish``.
    """

    dtype: np.dtype  # float32 or float64, of parameters, rows and gradient
    layout: "Layout"
    by_feature: bool  # whether the weights of a feature lie together in θ

    @property
    def n_features(self) -> int:
        """Columns of the rows."""

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a row keeps in cache, which sets the size of the blocks."""

    @property
    def multiplications_per_row(self) -> int:
        """Of the matrix products, for loss and gradient."""

    @property
    def penalty_weights(self) -> np.ndarray | None:
        """c, (size,), of a term Σ_j c_j |θ_j| left out of the gradient, or None."""

    @property
    def gathers(self) -> bool:
        """Whether statistics must be gathered over all rows before any ``block``."""

    @property
    def n_statistics(self) -> int:
        """Length of the vector of sums."""

    def parameters(self, theta: np.ndarray, /) -> P:
        """See θ, (size,), as arrays without a copy; ``draw`` and ``centers`` are None.

        Whoever evaluates sets these two.
        """

    def prepare(self, parameters: P, /) -> None:
        """Compute what all blocks share, once an evaluation."""

    def workspace(self, max_rows: int, /) -> "Workspace":
        """Buffers for one thread and blocks of up to so many rows."""

    def kept_shape(self, rows: int, /) -> tuple[int, ...]:
        """Shape of what a block may keep from ``statistics`` for ``block``.

        ``workspace["kept", rows]`` is room for it where it is not kept.
        """

    def statistics(
        self, parameters: P, block: "Block", kept: np.ndarray, workspace: "Workspace", /
    ) -> np.ndarray:
        """Σ s_i (·) of a block, (n_statistics,) float64; writes to ``kept``."""

    def set_statistics(self, parameters: P, mean: np.ndarray, /) -> None:
        """Hand over the sums of all rows, divided by Σ s_i."""

    def block(
        self,
        parameters: P,
        block: "Block",
        kept: np.ndarray | None,
        workspace: "Workspace",
        /,
    ) -> "Sums":
        """Sums of loss and gradient; overwritten by the next with this workspace."""

    def data_loss(
        self, parameters: P, block: "Block", workspace: "Workspace", /
    ) -> float:
        """Σ s_i ℓ_i alone, of one block."""

    def finish(
        self,
        parameters: P,
        total: "Sums",
        weight_sum: float,
        mean: np.ndarray | None = None,
        /,
    ) -> tuple[float, np.ndarray, dict[str, float]]:
        """Loss, gradient, in ``total``'s place, and terms, the data's first."""

    def start(self, random_state: np.random.RandomState, /) -> np.ndarray:
        """θ′, in the solver's coordinates, drawn at random, (size,)."""

    def units(
        self,
        mean: np.ndarray,
        spread: float,
        target_mean: np.ndarray | None = None,
        target_spread: float | None = None,
        /,
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Scale, shift, (size,) each, and centers of those coordinates, in float64.

        θ = scale ∘ θ′ + shift, and then W m is taken from the biases of each layer
        whose inputs have a center m. Rows have means, (n_features,), and a spread > 0;
        so have targets, by default those of the rows.
        """

    def attributes(self, theta: np.ndarray, /) -> dict[str, Any]:
        """Fitted attributes by name: copies of the arrays of θ."""

    def theta_of(self, attributes: Mapping[str, Any], /) -> np.ndarray:
        """θ of fitted attributes, of which there may be more: the inverse."""


class SparseObjective(Objective[P], Protocol[P]):
    """An objective of blocks whose rows are ``SparseRows``."""

    by_column: bool  # whether blocks are best stored by column; the two below say why

    @property
    def product_columns(self) -> Iterable[int]:
        """Columns of the dense factors of an evaluation's sparse products."""

    @property
    def dense_multiplications_per_row(self) -> int:
        """Of the other products."""


class Engine(Protocol):
    """Evaluates an objective over all rows; a context manager."""

    draw: int | None  # of the noise, if the objective has any

    def __enter__(self) -> Self:
        """Take threads, buffers and whatever else is to be given back."""

    def __exit__(self, *exception: Any) -> bool | None:
        """Give it back."""

    def __call__(
        self, theta: np.ndarray, /
    ) -> tuple[float, np.ndarray, dict[str, float]]:
        """Loss, gradient, which the next call may overwrite, and terms at θ."""

    def data_loss(self, theta: np.ndarray, /) -> float:
        """Mean loss of the rows at θ: no penalties, and no gradient."""

    def statistics(self, theta: np.ndarray, /) -> np.ndarray:
        """Means over all rows, uncorrupted, (n_statistics,) in float64."""
