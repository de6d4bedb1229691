"""Refuses masked arrays, because NumPy would convert them without their mask.

The numbers under the mask, such as fill values, would be used as data.
"""

from typing import Any

import numpy as np


def refuse_masked(array: Any, name: str) -> None:
    """Refuse a ``numpy.ma.MaskedArray`` of which entries are masked.

    ``numpy.asarray`` returns what lies under the mask, such as fill values.
    """
    if not isinstance(array, np.ma.MaskedArray):
        return
    n_masked = int(np.ma.count_masked(array))
    if n_masked:
        raise ValueError(
            f"{name} is a masked array with {n_masked} masked entries, which are "
            f"missing values; fill them in, for instance with "
            f"SimpleImputer().fit_transform({name}.filled(numpy.nan)), or leave their "
            f"rows out, with numpy.ma.compress_rows({name})."
        )
