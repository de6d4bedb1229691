"""The types of arrays, named for what they hold; their shapes are in the docstrings."""

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.floating]  # float32 or float64, as everything with decimals
Matrix = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
