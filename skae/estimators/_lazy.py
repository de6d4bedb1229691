"""Methods that map rows to rows, on dask's collections: lazily, chunk by chunk."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from skae.rows.dask_collections import compute, is_dask, lazily

Method = TypeVar("Method", bound=Callable[..., Any])


def on_chunks(method: Method) -> Method:
    """Let a method that maps rows to rows take dask's collections too."""

    @wraps(method)
    def either(self: Any, X: Any) -> Any:
        # The one place beside reading that asks: nothing is to be read yet.
        return lazily(self, method.__name__, X) if is_dask(X) else method(self, X)

    return cast("Method", either)  # called alike


def computed(*arrays: Any) -> tuple[Any, ...]:
    """The arrays, those of dask's collections in this process."""
    if not any(map(is_dask, arrays)):
        return arrays
    return compute(arrays)
