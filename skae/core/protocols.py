"""What the pieces of the core, and an engine, must offer each other.

Nothing here computes. The pieces multiply: one that offers what its protocol says goes
with all others, and is asked for what it can do, never for its class or its name.
Arrays are all float32 or all float64, unless float64 is said. Activations, outputs and
losses have no state, so that classes stand for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np

if TYPE_CHECKING:
    from skae.core.blocks import Block, Sums, Workspace
    from skae.core.layout import Layout
    from skae.core.terms import Forward

Array = np.ndarray


class Output(Protocol):
    """g of the outputs ŷ = g(z)."""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The open interval of the values; None where there is none."""

    @property
    def is_linear(self) -> bool:
        """Whether g(z) = z."""

    def apply(self, Z: Array, /) -> None:
        """Replace Z by g(Z); rows along the last axis."""

    def link(self, mean: Array, /) -> Array:
        """Finite z for which g(z) is ``mean``, (units,), as near as g allows."""


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
        """f′ there, where h is ``code_centre``."""

    @property
    def curvature(self) -> Callable[[Array, Array], Array] | None:
        """f″(Z) of H = f(Z) and f′(Z), for penalties on f′; None: it has none."""

    def derivative(self, H: Array, out: Array) -> None:
        """Write f′(Z) into ``out``, given H = f(Z)."""

    def apply_to_sum(self, Z: Array, b: Array, /) -> None:
        """Replace Z by f(Z + b)."""

    def pull_back(self, H: Array, delta: Array, scratch: Array, /) -> None:
        """Multiply ``delta`` by f′(Z) in place; all of the shape of H = f(Z)."""


class TargetLoss(Protocol):
    """ℓ(t, g(z)) of outputs and targets."""

    @property
    def outputs(self) -> Sequence[str]:
        """Names of the outputs g that it takes."""

    @property
    def is_quadratic(self) -> bool:
        """Whether it is ½ ‖g(z) − t‖²."""

    def at_mean(self, mean: Array, variance: float, observed: Any = None, /) -> float:
        """Mean loss of the outputs ``mean``, that of targets of this total variance.

        ``observed``, (n_features,), is the share of the rows that have each column; the
        variance is of what they have. None: all.
        """

    def rows(self, Z: Array, T: Array, output: Any, scratch: Any, /) -> Array:
        """ℓ, (rows,); Z, (rows, n_outputs) as T is, becomes ∂ℓ/∂Z.

        ``output`` is g, ``scratch`` room for two arrays of Z's shape, or None where g
        is linear and there are no ``entry_weights``.
        """


class Loss(TargetLoss, Protocol):
    """ℓ(x, g(z)) of rows and reconstructions, a sum over entries that have weights."""

    def at_best(self, X: Array, /) -> float:
        """Mean loss of outputs that are these rows themselves."""

    def rows(
        self,
        Z: Array,
        X: Array,
        output: Any,
        scratch: Any,
        entry_weights: Any = None,
        /,
    ) -> Array:
        """The same, with weights that broadcast to Z's shape, or None for ones."""


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

    def __call__(self, X: Array, u: Array, out: Array, /) -> Array | None:
        """Write corrupted X to ``out``; return where it is, or None: everywhere.

        All are (rows, n_features); u are 16 random bits an entry, as uint16.
        """

    def factors(self, u: Array, /) -> Array:
        """What entries with these bits are multiplied by; only if it keeps zeros."""


class Term(Protocol):
    """A term of an autoencoder's loss; ``skae.core.terms.BaseTerm`` has the defaults.

    A mean over rows adds its derivatives where it has any, while a block of rows is at
    hand, multiplied by the rows' weights s. From one of the four methods it returns the
    sum over the block of s times its value, and 0 from the others. Blocks run in
    several threads: what one method leaves to the next goes into ``forward.notes``.

    A function of the *mean* code has ``of_mean = True``, and ``value(mean)``,
    ``slope(mean)`` and ``target`` as ``skae.core.terms.MeanTerm`` says.
    """

    @property
    def name(self) -> str:
        """Its key among the terms of the loss; those of one name are added up."""

    @property
    def of_mean(self) -> bool:
        """Whether it is a function of the mean code of all rows."""

    @property
    def needs_reconstruction(self) -> bool:
        """Whether it is to find x̂ in the forward pass."""

    def add_to_reconstruction(self, forward: Forward, slope: Array, /) -> float:
        """Add ∂/∂x̂ to ``slope``, (rows, n_features); only if it needs x̂."""

    def add_to_codes(self, forward: Forward, delta: Array, /) -> float:
        """Add ∂/∂H to ``delta``, (n_components, rows), yet to be multiplied by f′."""

    def add_to_preactivations(self, forward: Forward, epsilon: Array, /) -> float:
        """Add ∂/∂Z to ``epsilon``, (n_components, rows), which has been, by now."""

    def add_to_parameters(self, forward: Forward, gradient: Any, /) -> float:
        """Add to this block's ``gradient`` what does not follow from the above.

        It has the arrays of the parameters, and all else is in it already.
        """


class Parameters(Protocol):
    """A flat vector seen as the arrays of the formulas."""

    theta: Array
    draw: int | None  # of the noise that the rows meet; None: no noise
    centers: list[Array] | None  # taken from the inputs of each centred layer

    @property
    def layers(self) -> list[tuple[Array, Array]]:
        """Weights, (units, inputs), and biases, (units,), of each layer: views."""


P = TypeVar("P", bound=Parameters)


class Objective(Protocol[P]):
    """Loss and gradient as sums over blocks of rows; whoever adds them is an engine.

    An evaluation is ``parameters``, ``prepare``, if it ``gathers`` also ``statistics``
    of all blocks and ``set_statistics``, then ``block`` of all blocks, and ``finish``.
    """

    dtype: np.dtype  # float32 or float64, of parameters, rows and gradient
    layout: Layout
    by_feature: bool  # whether the weights of a feature lie together in θ

    @property
    def n_features(self) -> int:
        """Columns of the rows."""

    @property
    def activations(self) -> Sequence[Activation]:
        """Of the hidden layers, which are all ``layers`` but the last."""

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a row keeps in cache, which sets the size of the blocks."""

    @property
    def multiplications_per_row(self) -> int:
        """Of the matrix products, for loss and gradient."""

    @property
    def penalty_weights(self) -> Array | None:
        """c, (size,), of a term Σ_j c_j |θ_j| left out of the gradient, or None."""

    @property
    def gathers(self) -> bool:
        """Whether statistics must be gathered over all rows before any ``block``."""

    @property
    def n_statistics(self) -> int:
        """Length of the vector of sums; it may be 0."""

    def parameters(self, theta: Array, /) -> P:
        """See θ, (size,), as arrays, no copy; ``draw`` and ``centers`` may be set."""

    def prepare(self, parameters: P, /) -> None:
        """Compute what all blocks share, once an evaluation."""

    def workspace(self, max_rows: int, /) -> Workspace:
        """Buffers for one thread and blocks of up to so many rows."""

    def kept_shape(self, rows: int, /) -> tuple[int, ...]:
        """Of what a block of so many rows may keep from ``statistics`` for ``block``.

        ``workspace["kept", rows]`` is room for it where it is not kept.
        """

    def statistics(
        self, parameters: P, block: Block, kept: Array, workspace: Workspace, /
    ) -> Array:
        """Σ s_i (·) of a block, (n_statistics,) in float64; writes to ``kept``."""

    def set_statistics(self, parameters: P, mean: Array, /) -> None:
        """Hand over the sums of all rows, divided by Σ s_i."""

    def block(
        self, parameters: P, block: Block, kept: Array | None, workspace: Workspace, /
    ) -> Sums:
        """Sums of loss and gradient; overwritten by the next with this workspace."""

    def data_loss(self, parameters: P, block: Block, workspace: Workspace, /) -> float:
        """Σ s_i ℓ_i alone, of one block."""

    def finish(
        self, parameters: P, total: Sums, weight_sum: float, mean: Any = None, /
    ) -> tuple[float, Array, dict[str, float]]:
        """Loss, gradient, in ``total``'s place, and terms, the data's first."""

    def start(self, random_state: np.random.RandomState, /) -> Array:
        """θ′, in the solver's coordinates, drawn at random, (size,)."""

    def units(
        self,
        mean: Array,
        spread: float,
        target_mean: Any = None,
        target_spread: Any = None,
    ) -> tuple[Array, Array, list[Array]]:
        """Scale, shift, (size,) each, and centers of those coordinates, in float64.

        θ = scale ∘ θ′ + shift, and then W m is taken from the biases of each layer
        whose inputs have a center m. Rows have means, (n_features,), and a spread > 0;
        so have targets, by default those of the rows.
        """

    def attributes(self, theta: Array, /) -> dict[str, Any]:
        """Fitted attributes by name: copies of the arrays of θ."""

    def theta_of(self, attributes: Mapping[str, Any], /) -> Array:
        """θ of fitted attributes, of which there may be more: the inverse."""


class SparseObjective(Objective[P], Protocol[P]):
    """An objective of blocks whose rows are ``SparseRows``."""

    by_column: bool  # whether blocks are best stored so; then the two below are asked

    @property
    def product_columns(self) -> Iterable[int]:
        """Columns of the dense factors of an evaluation's sparse products."""

    @property
    def dense_multiplications_per_row(self) -> int:
        """Of the other products."""


class CodeProducts(Protocol):
    """The products that training takes of the sparse codes of a batch.

    There are n_components units, the first p of which reconstruct the rows, too, for
    each of the prefixes p_1 < … < p_G = n_components.
    """

    def residuals(self, D: Array, A: Array, /) -> Array:
        """R_g = Σ_{p ≥ p_g} (reconstructions from the first p units − A).

        R has shape (rows, G, n_features), the atoms D (n_components, n_features), and
        A (rows, n_features).
        """

    def backward(
        self, R: Array, s: Array, D: Array, A: Array, slope_D: Array, slope_W: Array, /
    ) -> Array:
        """Gradient of ½ Σ_i s_i Σ_p ‖…‖², once ``residuals`` has been called.

        R is what that gave times s, (rows,). The slopes of the atoms, less what is
        along them, and of the encoder are written to ``slope_D`` and ``slope_W``,
        (n_components, n_features) each; those of the units' biases, (n_components,),
        are returned.
        """


class Engine(Protocol):
    """Evaluates an objective over all rows; a context manager that holds threads."""

    draw: int | None  # of the noise, if the objective has any

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: Any) -> bool | None: ...

    def __call__(self, theta: Array, /) -> tuple[float, Array, dict[str, float]]:
        """Loss, gradient, which the next call may overwrite, and terms at θ."""

    def data_loss(self, theta: Array, /) -> float:
        """Mean loss of the rows at θ: no penalties, and no gradient."""

    def statistics(self, theta: Array, /) -> Array:
        """Means over all rows, uncorrupted, (n_statistics,) in float64."""
