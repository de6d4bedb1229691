"""How alike two dictionaries are: units of one matched with units of the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_array

from skae.inspection._checks import DTYPES


def matched_units(A: Any, B: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Match each atom of one dictionary with one of another, as like as can be.

    Of all ways to pair them, the one with the largest sum of cosines (Hungarian
    method). A unit that is the negative of another is not like it, as codes above zero
    have it.

    Parameters
    ----------
    A : array-like of shape (n_units_a, n_features)
        Atoms, such as ``decoder_components_``; any length.
    B : array-like of shape (n_units_b, n_features)
        Others, of the same features.

    Returns
    -------
    rows_a : ndarray of int of shape (n_matched,)
        Rows of A, in ascending order: all of them if B has no fewer.
    rows_b : ndarray of int of shape (n_matched,)
        The row of B that each is matched with.
    cosines : ndarray of shape (n_matched,)
        Of these pairs, in [−1, 1], float64.

    Raises
    ------
    ValueError
        If they have different numbers of columns.

    Examples
    --------
    >>> from skae.inspection import matched_units
    >>> A = [[1.0, 0.0], [0.0, 1.0]]
    >>> B = [[0.0, 5.0], [3.0, 0.0], [-1.0, 0.0]]
    >>> matched_units(A, B)
    (array([0, 1]), array([1, 0]), array([1., 1.]))
    """
    A = check_array(A, dtype=DTYPES, input_name="A").astype(np.float64)
    B = check_array(B, dtype=DTYPES, input_name="B").astype(np.float64)
    if A.shape[1] != B.shape[1]:
        raise ValueError(
            f"A has {A.shape[1]} columns and B {B.shape[1]}; pass dictionaries of the "
            "same features."
        )
    cosines = _directions(A) @ _directions(B).T
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    return rows, columns, cosines[rows, columns]


def stability(A: Any, B: Any) -> float:
    """Measure how much of a dictionary comes back in another, as from another seed.

    The mean cosine of units that are matched one to one [1]_.

    Parameters
    ----------
    A : array-like of shape (n_units_a, n_features)
        Atoms, such as ``decoder_components_``; any length.
    B : array-like of shape (n_units_b, n_features)
        Others, of the same features.

    Returns
    -------
    float
        1 where the smaller dictionary is part of the other, whatever the order of the
        units; about 0 for unrelated ones in many dimensions.

    See Also
    --------
    matched_units : Which unit is matched with which.

    References
    ----------
    .. [1] G. Paulo and N. Belrose, "Sparse autoencoders trained on the same data learn
       different features", 2025, arXiv:2501.16615, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.inspection import stability
    >>> A = np.eye(4)
    >>> stability(A, A[::-1])
    1.0
    """
    return float(matched_units(A, B)[2].mean())


def _directions(A: np.ndarray) -> np.ndarray:
    """Rows of length one; an atom of zeros stays, and is like none."""
    lengths = np.linalg.norm(A, axis=1, keepdims=True)
    return np.divide(A, lengths, out=np.zeros_like(A), where=lengths > 0)
