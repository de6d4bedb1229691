"""Activity of units: samples with the largest codes, frequencies and dead units."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from skae.inspection._checks import check_transforms, checked, is_integer


def top_samples(
    estimator: Any, X: Any, unit: int, n: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Find the samples with the largest codes of one unit.

    Look at these samples to interpret a unit: the unit represents what they have in
    common.

    Parameters
    ----------
    estimator : object
        A fitted autoencoder, ``DictionaryLearning``, ``NMF``, another estimator with
        ``transform``, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Input of ``transform``.
    unit : int
        Index of the unit, from 0 to the number of units minus one.
    n : int, default=10
        Maximal number of samples, at least 1.

    Returns
    -------
    indices : ndarray of int of shape (n_found,)
        Indices of rows of X, ordered by decreasing code. Equal codes are ordered as in
        X. Only samples with a positive code are returned, so there may be fewer than
        ``n``.
    codes : ndarray of shape (n_found,)
        The codes of these rows.

    Raises
    ------
    ValueError
        If there is no such unit, or ``n`` is not a positive integer.

    See Also
    --------
    skae.plotting.TopActivationsDisplay : Draw these samples.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import TopKAutoencoder
    >>> from skae.inspection import top_samples
    >>> X, y = load_digits(return_X_y=True)
    >>> model = TopKAutoencoder(64, 4, max_iter=20, random_state=0).fit(X)
    >>> indices, codes = top_samples(model, X, unit=0, n=5)
    >>> indices.shape, bool((codes[:-1] >= codes[1:]).all())
    ((5,), True)
    """
    check_transforms(estimator)
    return top_of_codes(checked(estimator.transform(X), "codes"), unit, n)


def top_of_codes(codes: Any, unit: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the samples with the largest codes in an array or CSR matrix of codes."""
    if not is_integer(n) or n < 1:
        raise ValueError(f"n must be an integer of 1 or more, got n={n!r}.")
    units = codes.shape[1]
    if not is_integer(unit) or not 0 <= unit < units:
        raise ValueError(
            f"unit={unit!r} must be an integer from 0 to {units - 1}, for there are "
            f"{units} units."
        )
    column = codes[:, [unit]].toarray().ravel() if issparse(codes) else codes[:, unit]
    order = np.argsort(-column, kind="stable")[:n]
    order = order[column[order] > 0]
    return order, column[order]


def activation_frequency(codes: Any) -> np.ndarray:
    """Measure how often each unit is active, as the fraction of non-zero codes.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)
        What ``transform`` returns.

    Returns
    -------
    ndarray of shape (n_components,)
        Fractions in [0, 1], float64.

    See Also
    --------
    dead_units : Units that are never active.

    Examples
    --------
    >>> from skae.inspection import activation_frequency
    >>> activation_frequency([[0.0, 1.0], [0.0, -2.0], [0.0, 0.0], [0.0, 3.0]])
    array([0.  , 0.75])
    """
    codes = checked(codes, "codes")
    # Zeros can be stored in a sparse matrix.
    active = np.asarray((codes != 0).sum(axis=0)).ravel()
    return active / codes.shape[0]


def dead_units(codes: Any) -> np.ndarray:
    """Find the units that are zero on all samples.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)
        What ``transform`` returns for many rows, such as the training set. On only a
        few rows, most units of a sparse code are zero.

    Returns
    -------
    ndarray of int of shape (n_dead,)
        Indices of these units, in ascending order.

    See Also
    --------
    activation_frequency : How often each unit is active.

    Examples
    --------
    >>> from skae.inspection import dead_units
    >>> dead_units([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    array([0])
    """
    return np.flatnonzero(activation_frequency(codes) == 0)
