"""Adam: steps from the gradients of small batches, each entry with its own scale."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from math import ceil, inf
from sys import maxsize
from typing import Any, TypeVar

import numpy as np

from skae._one_pass import in_one_pass
from skae.solvers.arrays import Vector, copied, on_device, read_only
from skae.solvers.result import Callback, Iteration, NotFiniteError, Result
from skae.solvers.stopping import still_to_be_had

Batch = TypeVar("Batch")
BatchFunction = Callable[[Vector, Batch], tuple[float, Vector, float]]

# Entries updated together: the passes over them then stay in cache. 785,000 of
# float32 took 1.3 ms at a time of 2**16, 1.6 at 2**14, 2.8 at 2**12. A second thread
# did not help (1.4 ms; 2.6 just after a matrix product, whose threads still spin).
_CHUNK = 2**16
_FEW_CHANGES = 16  # of the scale, so that chunks are long
# Steps after which what has become next to nothing is made zero. Processors take many
# times as long with numbers below the least normal one.
_TIDY = 128
_Chunk = tuple[slice, float | Vector, float | Vector | None]


class Adam:
    """The state of the iteration: two running means for each entry of x.

    It is Kingma and Ba's algorithm [1]_ for f/u as a function of x/s, written for f
    and x. With the gradient g of f at step t, and everything entry by entry,

        m ← β₁ m + (1 − β₁) g s/u      v ← β₂ v + (1 − β₂) (g s/u)²
        x ← x − η s m̂ / (√v̂ + ε),      m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ).

    A step is about η s whatever the scale of the gradient, so it has to suit the
    scale of x.

    A penalty Σ c_j |x_j| beside f enters as its proximal step in the metric of the
    step before it [2]_, which draws each entry towards zero and stops it there:

        x ← sign(x) max(|x| − η_x c, 0),    η_x = η (s²/u) / (√v̂ + ε).

    η_x is what multiplies the gradient of f. With η c for a threshold, the same for
    all entries, x would come to rest elsewhere than at a minimum of the sum; with c
    sign(x) as part of g, entries would pass through zero and none stay.

    Now and then entries of x/s that are below the cube root of the least normal number
    (2e-13 in float32) are made zero, and so are those of m and v before they leave the
    range of normal numbers. Where nothing but weight decay moves an entry, such as a
    weight of a constant column, it would get there, and later steps would take several
    times as long.

    Parameters
    ----------
    size : int
        Length of x.
    dtype : dtype
        float32 or float64.
    learning_rate : float, default=1e-3
        η.
    scale : float or ndarray of shape (size,), default=1.0
        s, the typical size of x's entries. It is best constant over long stretches.
    unit : float, default=1.0
        u, the typical size of f. With it and s, squares of gradients stay within
        the range of float32.
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay of the running means, in [0, 1).
    epsilon : float, default=1e-8
        ε.
    like : array, default=None
        Lies where x does; None is on the host.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, ICLR
       2015, Algorithm 1.
    .. [2] J. Yun, A. C. Lozano and E. Yang, Adaptive proximal gradient methods for
       structured neural networks, NeurIPS 2021, where η_x for the L1 penalty is the
       diagonal of their preconditioner's inverse, as in Adam.
    """

    def __init__(
        self,
        size: int,
        dtype: np.dtype[np.floating] | type[np.floating],
        *,
        learning_rate: float = 1e-3,
        scale: float | Vector = 1.0,
        unit: float = 1.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        like: Any = None,
    ) -> None:
        self.learning_rate, self.unit = learning_rate, unit
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.t = 0
        self.m = np.zeros(size, dtype, like=like)
        self.v = np.zeros(size, dtype, like=like)
        self._scale: Vector = np.broadcast_to(scale, size)
        self.penalise(None)

    def penalise(self, l1: float | Vector | None) -> None:
        """Set the weights c_j of Σ c_j |x_j|, (size,) or one number, or None.

        They are best constant over long stretches.
        """
        self._penalised = l1 is not None
        c = np.broadcast_to(0.0 if l1 is None else l1, self._scale.shape)
        # A device gains nothing from short chunks, and each takes a while to start.
        length = len(c) if on_device(self.m) else _CHUNK
        self._chunks = [
            (part, *map(self._beside, of_part))
            for part, *of_part in _chunks(self._scale, c, length)
        ]
        self._longest = max(part.stop - part.start for part, _, _ in self._chunks)

    def _beside(self, value: Any) -> Any:
        """An array where x lies; numbers and None as they are."""
        return np.asarray(value, like=self.m) if np.ndim(value) else value

    def step(self, x: Vector, gradient: Vector) -> None:
        """Update x in place.

        Parameters
        ----------
        x, gradient : ndarray of shape (size,)
            The point, and the gradient there.
        """
        self.t += 1
        # Both corrections of the bias go into the step and into ε.
        bias_1 = 1 - self.beta_1**self.t
        bias_2 = (1 - self.beta_2**self.t) ** 0.5
        rate = self.learning_rate * bias_2 / bias_1
        epsilon = self.epsilon * bias_2
        shape = 1 + self._penalised, self._longest
        buffers = np.empty(shape, self.m.dtype, like=self.m)
        for chunk, scale, c in self._chunks:
            g, m, v = gradient[chunk], self.m[chunk], self.v[chunk]
            of_m = (1 - self.beta_1) * scale / self.unit
            of_v = (1 - self.beta_2) ** 0.5 * scale / self.unit
            pull = None
            if c is not None:
                pull = self.learning_rate * bias_2 * scale * (scale / self.unit) * c
            of_means = of_m, of_v, self.beta_1, self.beta_2
            of_step = epsilon, rate * scale, pull
            scratch = buffers[0, : len(g)], buffers[-1, : len(g)]
            in_one_pass(_move, x[chunk], m, v, g, *of_means, *of_step, scratch=scratch)
        if self.t % _TIDY == 0:
            self._tidy(x)

    def _tidy(self, x: Vector) -> None:
        """Make entries of x, m and v that are next to nothing zero."""
        least = float(np.finfo(self.m.dtype).tiny)
        for chunk, scale, _ in self._chunks:
            # Until the next time, m falls to a millionth, and v by an eighth.
            bounds = scale * least ** (1 / 3), least**0.75, least**0.95
            for values, bound in zip((x, self.m, self.v), bounds, strict=True):
                values[chunk] *= np.abs(values[chunk]) >= bound


def _move(
    x: Vector,
    m: Vector,
    v: Vector,
    g: Vector,
    of_m: float | Vector,
    of_v: float | Vector,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    rate: float | Vector,
    pull: float | Vector | None,
    s: Vector,
    threshold: Vector,
) -> None:
    """A step of x and both means, in place; see ``Adam`` for the formulas.

    All that an entry meets is one function, so that it is one pass on a device.

    Parameters
    ----------
    x, m, v, g : ndarray of shape (entries,)
        The point, both means and the gradient.
    of_m, of_v : float or ndarray of shape (entries,)
        What g is multiplied by in m, and in v before it is squared.
    beta_1, beta_2, epsilon : float
        β₁, β₂, and ε for √v, whose bias is not corrected.
    rate, pull : float or ndarray of shape (entries,)
        What m/(√v + ε) is multiplied by in the step, and 1/(√v + ε) in the threshold
        of the penalty; a ``pull`` of None is no penalty.
    s, threshold : ndarray of shape (entries,)
        Overwritten; ``threshold`` only if there is a penalty.
    """
    np.multiply(g, of_m, out=s)
    m *= beta_1
    m += s
    np.multiply(g, of_v, out=s)
    s *= s
    v *= beta_2
    v += s
    np.sqrt(v, out=s)
    s += epsilon
    if pull is not None:
        np.divide(pull, s, out=threshold)
    np.divide(m, s, out=s)
    s *= rate
    x -= s
    if pull is not None:
        # Soft-thresholding: x less what of it lies within the threshold.
        np.minimum(x, threshold, out=s)
        np.negative(threshold, out=threshold)
        np.maximum(s, threshold, out=s)
        x -= s


def _chunks(scale: Vector, c: Vector, length: int) -> list[_Chunk]:
    """(slice, scale, c) of chunks of at most this length, both one number in each.

    None stands for a c of zero. Where they change so often that chunks would be short,
    both are arrays.
    """
    size = len(scale)
    changes = np.flatnonzero((np.diff(scale) != 0) | (np.diff(c) != 0))
    if len(changes) > max(_FEW_CHANGES, size // length):
        parts = [slice(start, start + length) for start in range(0, size, length)]
        return [(part, scale[part], c[part] if c.any() else None) for part in parts]
    edges = [0, *(changes + 1), len(scale)]
    return [
        (
            slice(start, min(start + length, last)),
            float(scale[first]),
            float(c[first]) or None,
        )
        for first, last in pairwise(edges)
        for start in range(first, last, length)
    ]


def minimize_adam(
    fun: BatchFunction[Batch],
    x0: Vector,
    batches: Callable[[], Iterable[Batch]],
    *,
    max_iter: int = 200,
    tol: float = 1e-3,
    atol: float = 0.0,
    n_iter_no_change: int | None = 10,
    least_steps: int = 0,
    adam: Adam | None = None,
    callback: Callback | None = None,
) -> Result:
    """Minimise a mean of many functions by Adam, one batch of them at a time.

    Parameters
    ----------
    fun : callable
        ``fun(x, batch) -> (value, gradient, weight)``: mean value and gradient of the
        functions of a batch, and the weight of that mean in the mean over an epoch.
        The gradient may be written to the same array at every call.
    x0 : ndarray of shape (n,)
        Starting point, float32 or float64.
    batches : callable
        ``batches() -> iterable``: the batches of another epoch, in their order.
    max_iter : int, default=200
        Limit of epochs, at least 1.
    tol, atol, n_iter_no_change : float, float and int, default=1e-3, 0 and 10
        Stop when the decrease that is still to be had is at most `tol` times the lowest
        mean value over an epoch, or at most `atol`. It is estimated as three times that
        of the last quarter of the epochs, `n_iter_no_change` at least. None for the
        latter is never.
    least_steps : int, default=0
        And of epochs that have so many steps at least: where an epoch has few, ten of
        them are no time to wait.
    adam : Adam, default=None
        State to go on from; it is changed. None starts with the defaults.
    callback : callable, default=None
        Called as ``callback(iteration)`` with an `Iteration` after each epoch; its
        value is the mean of the values met on the way. If it raises StopIteration, the
        solver returns with status "stopped".

    Returns
    -------
    Result
        The last point, and the mean value over the last epoch. There is no gradient.

    Raises
    ------
    ValueError
        If `max_iter` is less than 1, or an epoch has no batches.
    NotFiniteError
        If a value, or x after an epoch, is not finite.
    KeyboardInterrupt
        Only before the first epoch has ended; later, the result has status
        "interrupted".

    Examples
    --------
    >>> import numpy as np
    >>> from skae.solvers.adam import Adam, minimize_adam
    >>> data = np.random.RandomState(0).normal(3.0, 1.0, size=(100, 1))
    >>> def fun(x, rows):
    ...     residual = x - data[rows]
    ...     value = np.mean(residual**2) / 2
    ...     return value, residual.mean(axis=0), len(residual)
    >>> halves = lambda: [slice(0, 50), slice(50, 100)]
    >>> adam = Adam(1, np.float64, learning_rate=0.02)
    >>> result = minimize_adam(fun, np.zeros(1), halves, adam=adam)
    >>> bool(abs(result.x[0] - data.mean()) < 0.1)
    True
    """
    if max_iter < 1:
        raise ValueError(f"max_iter={max_iter!r} must be at least 1")
    x = copied(x0)
    if adam is None:
        adam = Adam(x.size, x.dtype, like=x)
    n_iter = n_fun = 0
    lowest, value, status = [inf], inf, "max_iter"
    patience = maxsize if n_iter_no_change is None else n_iter_no_change
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            while n_iter < max_iter:
                total = weights = 0.0
                for batch in batches():
                    batch_value, gradient, weight = fun(x, batch)
                    adam.step(x, gradient)
                    total += weight * batch_value
                    weights += weight
                    n_fun += 1
                if not weights:
                    raise ValueError(
                        f"batches() must yield batches that weigh something, but those "
                        f"of epoch {n_iter + 1} weigh {weights!r} in all"
                    )
                value = total / weights
                if not (np.isfinite(value) and np.isfinite(x).all()):
                    raise NotFiniteError(f"not finite in epoch {n_iter + 1}")
                n_iter += 1
                if callback is not None:
                    seen = read_only(x)
                    callback(Iteration(n_iter, n_fun, value, None, None, seen))
                lowest.append(min(lowest[-1], value))
                least = max(tol * abs(lowest[-1]), atol)
                window = max(patience, ceil(least_steps * n_iter / n_fun))
                if still_to_be_had(lowest, window) <= least:
                    status = "no_change"
                    break
        except StopIteration:
            status = "stopped"
        except KeyboardInterrupt:
            if n_iter == 0:
                raise
            status = "interrupted"
    return Result(x, value, None, None, n_iter, n_fun, status)
