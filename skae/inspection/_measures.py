"""Measures of codes: variance explained, sparsity and interpretability."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import diags_array, issparse
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils.multiclass import check_classification_targets

from skae.inspection._checks import check_transforms, checked, checked_pair, is_integer

_ROWS_AT_A_TIME = 1024


def explained_variance(estimator: Any, X: Any) -> float:
    """Measure the fraction of the variance of X that codes explain.

    The result is 1 − Σ_i ‖x_i − x̂_i‖² / Σ_i ‖x_i − x̄‖², with the column means x̄.
    Without subtracting the means, the result would be close to 1 for every
    reconstruction if the columns are far from zero.

    Parameters
    ----------
    estimator : object
        A fitted autoencoder, ``DictionaryLearning``, ``NMF``, ``PCA`` or another
        estimator with ``transform`` and ``inverse_transform``. Instead of
        ``inverse_transform``, it can have ``components_``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        At least two rows, not all equal.

    Returns
    -------
    float
        1 is perfect, 0 is no better than the column means. There is no lower bound.

    Raises
    ------
    ValueError
        If X has no variance.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import explained_variance
    >>> X, _ = load_digits(return_X_y=True)
    >>> pca = PCA(10).fit(X)
    >>> ratio = pca.explained_variance_ratio_.sum()
    >>> bool(abs(explained_variance(pca, X) - ratio) < 1e-9)
    True
    """
    check_transforms(estimator)
    X = checked(X, "X")
    mean = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    errors = variance = 0.0
    for start in range(0, X.shape[0], _ROWS_AT_A_TIME):
        rows = X[start : start + _ROWS_AT_A_TIME]
        residuals = _reconstructed(estimator, rows).astype(np.float64)
        dense = rows.toarray() if issparse(rows) else rows
        residuals -= dense
        errors += float(np.vdot(residuals, residuals))
        deviations = dense - mean
        variance += float(np.vdot(deviations, deviations))
    rounding = 10 * np.finfo(X.dtype).eps * np.linalg.norm(mean)
    if variance <= X.shape[0] * rounding**2:
        raise ValueError(
            "The rows of X are all equal, so there is no variance to explain; pass "
            "rows that differ."
        )
    return 1 - errors / variance


def _reconstructed(estimator: Any, rows: Any) -> np.ndarray:
    codes = estimator.transform(rows)
    if hasattr(estimator, "inverse_transform"):
        rows = estimator.inverse_transform(codes)
        return rows.toarray() if issparse(rows) else np.asarray(rows)
    return np.asarray(codes @ estimator.components_)


def hoyer_sparsity(codes: Any) -> np.ndarray:
    """Measure the sparsity of each code by Hoyer's ratio of norms.

    For a code h with m entries, this is (√m − ‖h‖₁/‖h‖₂) / (√m − 1). It is 0 if all
    entries have the same absolute value, and 1 if only one entry is not zero [1]_.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)
        At least two columns.

    Returns
    -------
    ndarray of shape (n_samples,)
        Values in [0, 1]. NaN for codes of zeros only; ``np.nanmean`` ignores them.

    References
    ----------
    .. [1] P. O. Hoyer, "Non-negative matrix factorization with sparseness
       constraints", JMLR 5 (2004) 1457-1469, section 3.1.

    Examples
    --------
    >>> from skae.inspection import hoyer_sparsity
    >>> hoyer_sparsity([[0.0, 3.0, 0.0, 0.0], [2.0, 2.0, -2.0, 2.0]])
    array([1., 0.])
    """
    codes = checked(codes, "codes")
    units = codes.shape[1]
    if units < 2:
        raise ValueError(
            "codes must have at least two columns for their sparsity to mean "
            f"anything, got {units}."
        )
    size = abs(codes)
    sums = np.asarray(size.sum(axis=1, dtype=np.float64)).ravel()
    squares = size.multiply(size) if issparse(size) else np.square(size)
    lengths = np.sqrt(np.asarray(squares.sum(axis=1, dtype=np.float64)).ravel())
    with np.errstate(invalid="ignore"):
        return (units**0.5 - sums / lengths) / (units**0.5 - 1)


def sparse_probing(codes: Any, y: Any, k: int = 1, *, cv: int = 5) -> float:
    """Measure how well a linear model separates classes with few units.

    If each unit has one meaning, few units are sufficient for a good classifier [1]_.
    The k units with the largest ANOVA F-value are selected. Their codes are divided by
    the largest code of each unit, and a logistic regression on them is cross-validated.
    All these steps use the training folds only.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)
        What ``transform`` returns.
    y : array-like of shape (n_samples,)
        Class labels.
    k : int, default=1
        Number of units that the classifier uses, from 1 to n_components.
    cv : int, default=5
        Number of stratified folds, at least 2.

    Returns
    -------
    float
        Mean accuracy on the held-out folds, in [0, 1].

    References
    ----------
    .. [1] W. Gurnee et al., "Finding neurons in a haystack: case studies with sparse
       probing", TMLR 2023, arXiv:2305.01610.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import TopKAutoencoder
    >>> from skae.inspection import sparse_probing
    >>> X, y = load_digits(return_X_y=True)
    >>> model = TopKAutoencoder(64, 4, max_iter=20, random_state=0).fit(X)
    >>> codes = model.transform(X)
    >>> sparse_probing(codes, y == 0, k=1) < sparse_probing(codes, y == 0, k=10)
    True
    """
    codes = checked(codes, "codes")
    if not is_integer(k) or not 1 <= k <= codes.shape[1]:
        raise ValueError(
            f"k={k!r} must be an integer from 1 to {codes.shape[1]}, the number of "
            "units."
        )
    y = np.asarray(y)
    check_classification_targets(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        # A unit that is constant in a fold has no F-value, and is not selected.
        active = np.asarray((codes != 0).sum(axis=0)).ravel() > 0
    if active.sum() >= k:
        codes = codes[:, np.flatnonzero(active)]
    probe = make_pipeline(
        SelectKBest(_f_values, k=int(k)),
        MaxAbsScaler(),
        LogisticRegression(max_iter=1000),
    )
    return float(cross_val_score(probe, codes, y, cv=cv).mean())


def _f_values(codes: Any, y: np.ndarray) -> np.ndarray:
    """The ANOVA F-value of each column; zero where a column is constant."""
    classes, of_row = np.unique(y, return_inverse=True)
    counts = np.bincount(of_row)
    members = (of_row == np.arange(len(classes))[:, np.newaxis]).astype(np.float64)
    sums = members @ codes
    squares = codes.multiply(codes) if issparse(codes) else np.square(codes)
    total = np.asarray(squares.sum(axis=0, dtype=np.float64)).ravel()
    mean = sums.sum(axis=0) / len(y)
    explained = (np.square(sums) / counts[:, np.newaxis]).sum(axis=0)
    between = explained - len(y) * mean**2
    within = np.maximum(total - explained, np.finfo(np.float64).eps * total)
    factor = (len(y) - len(classes)) / (len(classes) - 1)
    return factor * np.divide(
        between, within, out=np.zeros_like(between), where=within > 0
    )


def monosemanticity(codes: Any, X: Any) -> np.ndarray:
    r"""Measure the similarity of the samples that activate each unit.

    For unit j, this is the mean cosine similarity of all pairs of samples, weighted by
    the product of their codes [1]_,

    .. math::

        m_j = \frac{\sum_{i \ne l} |h_{ij}| \, |h_{lj}| \cos(x_i, x_l)}
            {\sum_{i \ne l} |h_{ij}| \, |h_{lj}|} .

    A high value means that the unit has one meaning. With u_i = x_i/‖x_i‖ the
    numerator is ‖Σ_i abs(h_ij) u_i‖² − Σ_i h_ij² ‖u_i‖², so the computation does not
    need the pairs.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)
        What ``transform`` returns.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The vectors whose cosines are computed: the rows that were encoded, or
        embeddings of the same samples by another model. Subtract the column means if
        they are far from zero. Otherwise all samples are similar.

    Returns
    -------
    ndarray of shape (n_components,)
        Values in [−1, 1], float64. NaN for units that are active on fewer than two
        samples.

    References
    ----------
    .. [1] M. Pach, S. Karthik, Q. Bouniot, S. Belongie and Z. Akata, "Sparse
       autoencoders learn monosemantic features in vision-language models", NeurIPS
       2025, arXiv:2504.02821, equation 9. There, activations are in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from skae.inspection import monosemanticity
    >>> X = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> monosemanticity([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]], X)
    array([1., 0.])
    """
    codes, X = checked_pair(codes, X, ("codes", "X"))
    h = abs(codes).astype(np.float64)
    squares = X.multiply(X) if issparse(X) else np.square(X)
    lengths = np.sqrt(np.asarray(squares.sum(axis=1, dtype=np.float64)).ravel())
    there = lengths > 0
    inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=there)
    directions = diags_array(inverse) @ X
    sums = h.T @ directions
    sums = sums.toarray() if issparse(sums) else sums
    h_squared = h.multiply(h) if issparse(h) else np.square(h)
    own = np.asarray(h_squared.sum(axis=0)).ravel()
    # A row of zeros has cosine 0 with every row, also with itself.
    own_cosines = np.asarray(h_squared.T @ there.astype(np.float64)).ravel()
    pairs = np.asarray(h.sum(axis=0)).ravel() ** 2 - own
    active = np.asarray((h > 0).sum(axis=0)).ravel()
    cosines = np.vecdot(sums, sums) - own_cosines
    out = np.full(codes.shape[1], np.nan)
    return np.divide(cosines, pairs, out=out, where=(active > 1) & (pairs > 0))
