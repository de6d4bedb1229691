"""Similarity of two dictionaries, by matching their units."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_array

from skae.inspection._checks import DTYPES, refuse_estimator


def matched_units(A: Any, B: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Match the atoms of two dictionaries one to one by their similarity.

    The matching has the largest possible sum of cosines (Hungarian method). Atoms with
    opposite directions are not similar, because codes of a TopK autoencoder are not
    negative.

    Parameters
    ----------
    A : array-like of shape (n_units_a, n_features)
        Atoms of the first dictionary, such as ``decoder_components_``. They are scaled
        to length one.
    B : array-like of shape (n_units_b, n_features)
        Atoms of the second dictionary, with the same features.

    Returns
    -------
    rows_a : ndarray of int of shape (n_matched,)
        Indices of rows of A, in ascending order. They are all rows of A, unless B has
        fewer rows.
    rows_b : ndarray of int of shape (n_matched,)
        Indices of the rows of B that they are matched with.
    cosines : ndarray of shape (n_matched,)
        Cosines of these pairs, in [−1, 1], float64.

    Raises
    ------
    ValueError
        If A and B have different numbers of columns.

    Examples
    --------
    >>> from skae.inspection import matched_units
    >>> A = [[1.0, 0.0], [0.0, 1.0]]
    >>> B = [[0.0, 5.0], [3.0, 0.0], [-1.0, 0.0]]
    >>> matched_units(A, B)
    (array([0, 1]), array([1, 0]), array([1., 1.]))
    """
    for array, name in ((A, "A"), (B, "B")):
        refuse_estimator(array, name, "decoder_components_")
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
    """Measure the similarity of two dictionaries, such as those of two seeds.

    The result is the mean cosine of the atoms, matched one to one [1]_.

    Parameters
    ----------
    A : array-like of shape (n_units_a, n_features)
        Atoms of the first dictionary, such as ``decoder_components_``. They are scaled
        to length one.
    B : array-like of shape (n_units_b, n_features)
        Atoms of the second dictionary, with the same features.

    Returns
    -------
    float
        1 if the larger dictionary contains all atoms of the smaller one, in any order.
        About 0 for unrelated dictionaries with many features.

    See Also
    --------
    matched_units : The matched pairs of atoms.

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
    """Rows scaled to length one; rows of zeros are not changed."""
    lengths = np.linalg.norm(A, axis=1, keepdims=True)
    return np.divide(A, lengths, out=np.zeros_like(A), where=lengths > 0)
