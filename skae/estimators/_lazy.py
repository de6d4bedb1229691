"""Methods that map rows to rows, on dask's collections: lazily, chunk by chunk."""

from functools import wraps

from skae.rows.dask_collections import is_dask, lazily


def on_chunks(method):
    """Let a method that maps rows to rows take dask's collections too."""

    @wraps(method)
    def either(self, X):
        # The one place beside reading that asks: nothing is to be read yet.
        return lazily(self, method.__name__, X) if is_dask(X) else method(self, X)

    return either
