"""Adam: steps from the gradients of small batches, each entry with its own scale."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import inf

import numpy as np

from skae.solvers.result import Iteration, NotFiniteError, Result

# Entries updated together: eight passes over them then stay in cache.
_CHUNK = 2**16
# Below this many entries a second thread costs more than it does.
_ENTRIES_WORTH_THREADS = 2**18


class Adam:
    """The state of the iteration: two running means for each entry of x.

    With the gradient g of step t, and everything entry by entry,

        m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²
        x ← x − η s m̂ / (√v̂ + ε/s),  m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ),

    which is Kingma and Ba's algorithm [1]_ for x/s, written for x. Their step is
    about η whatever the scale of the gradient, so it has to suit the scale of x.

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
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay of the running means, in [0, 1).
    epsilon : float, default=1e-8
        ε, in units of the gradient by x/s.
    n_threads : int, default=1
        Threads among which a long x is shared. The result is the same for any.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, ICLR
       2015, Algorithm 1.
    """

    def __init__(
        self,
        size,
        dtype,
        *,
        learning_rate=1e-3,
        scale=1.0,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_threads=1,
    ):
        self.learning_rate = learning_rate
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.t = 0
        self.n_threads = n_threads if size >= _ENTRIES_WORTH_THREADS else 1
        self.m, self.v = np.zeros(size, dtype), np.zeros(size, dtype)
        self._chunks = _chunks(np.broadcast_to(scale, size))

    def step(self, x, gradient, pool=None):
        """Update x in place.

        Parameters
        ----------
        x, gradient : ndarray of shape (size,)
            The point, and the gradient there.
        pool : Executor, optional
            Computes all but one of the threads' shares.
        """
        self.t += 1
        if pool is None or self.n_threads == 1:
            self._update(self._chunks, x, gradient)
            return
        shares = [self._chunks[i :: self.n_threads] for i in range(self.n_threads)]
        others = [pool.submit(self._update, s, x, gradient) for s in shares[1:]]
        self._update(shares[0], x, gradient)
        for other in others:
            other.result()

    def _update(self, chunks, x, gradient):
        # Both corrections of the bias go into the step and into ε.
        bias_1 = 1 - self.beta_1**self.t
        bias_2 = (1 - self.beta_2**self.t) ** 0.5
        rate = self.learning_rate * bias_2 / bias_1
        step = np.empty(min(_CHUNK, len(x)), x.dtype)
        for chunk, scale in chunks:
            g, m, v = gradient[chunk], self.m[chunk], self.v[chunk]
            s = step[: len(g)]
            np.subtract(g, m, out=s)
            s *= 1 - self.beta_1
            m += s
            np.multiply(g, g, out=s)
            s -= v
            s *= 1 - self.beta_2
            v += s
            np.sqrt(v, out=s)
            s += self.epsilon * bias_2 / scale
            np.divide(m, s, out=s)
            s *= rate * scale
            x[chunk] -= s


def _chunks(scale):
    """(slice, scale) of chunks over each of which the scale is one number."""
    edges = [0, *(np.flatnonzero(np.diff(scale)) + 1), len(scale)]
    return [
        (slice(start, min(start + _CHUNK, last)), float(scale[first]))
        for first, last in pairwise(edges)
        for start in range(first, last, _CHUNK)
    ]


def minimize_adam(
    fun,
    x0,
    batches,
    *,
    max_iter=200,
    tol=1e-4,
    n_iter_no_change=10,
    adam=None,
    callback=None,
):
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
        Limit of epochs.
    tol, n_iter_no_change : float and int, default=1e-4 and 10
        Stop when the mean value over an epoch has not fallen below the lowest so far
        by `tol`, `n_iter_no_change` epochs in a row. None for the latter is never.
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
    x = np.array(x0)
    if adam is None:
        adam = Adam(x.size, x.dtype)
    lowest, stale, n_iter, n_fun = inf, 0, 0, 0
    value, status = inf, "max_iter"
    with (
        _Pool(adam.n_threads - 1) as pool,
        np.errstate(over="ignore", invalid="ignore"),
    ):
        try:
            while n_iter < max_iter:
                total = weights = 0.0
                for batch in batches():
                    batch_value, gradient, weight = fun(x, batch)
                    adam.step(x, gradient, pool)
                    total += weight * batch_value
                    weights += weight
                    n_fun += 1
                value = total / weights
                n_iter += 1
                if not (np.isfinite(value) and np.isfinite(x).all()):
                    raise NotFiniteError(f"not finite in epoch {n_iter}")
                if callback is not None:
                    view = x.view()
                    view.flags.writeable = False
                    callback(Iteration(n_iter, n_fun, value, None, None, view))
                stale = 0 if value < lowest - tol else stale + 1
                lowest = min(lowest, value)
                if n_iter_no_change is not None and stale >= n_iter_no_change:
                    status = "no_change"
                    break
        except StopIteration:
            status = "stopped"
        except KeyboardInterrupt:
            if n_iter == 0:
                raise
            status = "interrupted"
    return Result(x, value, None, None, n_iter, n_fun, status)


class _Pool:
    """A ThreadPoolExecutor, or None where no other thread is wanted."""

    def __init__(self, n_threads):
        self._pool = ThreadPoolExecutor(n_threads, "skae-adam") if n_threads else None

    def __enter__(self):
        return self._pool

    def __exit__(self, *exception):
        if self._pool is not None:
            self._pool.shutdown()
