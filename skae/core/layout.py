"""One flat parameter vector, seen as named arrays without a copy."""

from types import SimpleNamespace

import numpy as np


class Layout:
    """Names and shapes of the arrays that lie end to end in a flat vector.

    Parameters
    ----------
    **shapes : tuple of int
        Shape of each named array, in the order in which they lie.

    Attributes
    ----------
    size : int
        Length of the flat vector.
    """

    def __init__(self, **shapes: tuple[int, ...]):
        self.shapes = shapes
        self._parts: list[tuple[str, slice, tuple[int, ...]]] = []
        stop = 0
        for name, shape in shapes.items():
            start, stop = stop, stop + int(np.prod(shape))
            self._parts.append((name, slice(start, stop), shape))
        self.size = stop

    def views(self, theta: np.ndarray) -> SimpleNamespace:
        """Arrays that share memory with ``theta``, as attributes of one object.

        Parameters
        ----------
        theta : ndarray of shape (size,)
            C-contiguous flat vector.

        Returns
        -------
        views : SimpleNamespace
            ``views.name`` has the shape given for ``name``; writing to it
            writes to ``theta``.
        """
        return SimpleNamespace(
            **{name: theta[part].reshape(shape) for name, part, shape in self._parts}
        )
