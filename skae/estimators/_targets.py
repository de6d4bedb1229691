"""Targets in dask's chunks: what they are, and what an objective compares with."""

from functools import partial

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets

from skae.rows.dask_collections import is_dask, parts_of


def check_given(estimator, y):
    """Refuse None for y."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None."
        )


def columns(y):
    """Numbers as (rows, n_outputs)."""
    return y[:, np.newaxis] if y.ndim == 1 else y


def one_hot(classes, y):
    """1 in the column of the class of each row, 0 elsewhere."""
    targets = np.zeros((len(y), len(classes)))
    targets[np.arange(len(y)), np.searchsorted(classes, y.ravel())] = 1
    return targets


def is_one_column(y):
    """Whether y holds one target a row."""
    return np.ndim(y) == 1 if not is_dask(y) else y.ndim == 1


def distinct(y):
    """The values of y, sorted, found chunk by chunk."""
    import dask

    if not is_dask(y):
        values = np.unique(np.asarray(y))
    else:
        unique = dask.delayed(_distinct, pure=False)
        values = np.unique(np.concatenate(dask.compute(*map(unique, parts_of(y)))))
    assert_all_finite(values, input_name="y")
    return values


def _distinct(part):
    return np.unique(np.asarray(part))


def class_targets(estimator, y):
    """What a classifier's fit makes of y.

    Parameters
    ----------
    estimator : StackedAutoencoderClassifier
        Knows its classes where ``fit`` continues.
    y : dask array, DataFrame or Series, or array-like
        Classes, or an indicator matrix.

    Returns
    -------
    classes : ndarray
        As ``classes_``.
    encode : callable
        From a chunk of y to the targets of the output units.
    multilabel : bool
        Whether y is an indicator matrix.
    """
    if estimator.class_weight is not None:
        raise ValueError(
            "class_weight counts the classes of all rows, which dask collections do "
            f"not allow; got class_weight={estimator.class_weight!r}: use "
            "class_weight=None, and sample_weight."
        )
    check_given(estimator, y)
    values = distinct(y)
    width = 1 if is_one_column(y) else y.shape[1]
    if width > 1:
        if not np.isin(values, (0, 1)).all():
            raise ValueError(
                "Multilabel y must be an indicator matrix of 0 and 1, got the values "
                f"{values.tolist()}; use (y > 0).astype(int), say."
            )
        return np.arange(width), columns, True
    check_classification_targets(values)
    classes, _ = estimator._codes(values)
    return classes, partial(one_hot, classes), False
