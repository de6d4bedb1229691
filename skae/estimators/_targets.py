"""Targets: what outputs are compared with, and how any kind of y becomes that."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target


@dataclass(frozen=True)
class Targets:
    """What the outputs of a stack are and are compared by."""

    output: str  # of ``NetworkObjective``
    loss: str
    # From y, or a chunk of it, to (rows, n_outputs); None: the rows are the targets.
    encode: Callable | None = None
    labels: np.ndarray | None = None  # each keeps its share of the rows held out
    fitted: dict = field(default_factory=dict)  # attributes beside the network's


def numbers(y):
    """Numbers as (rows, n_outputs)."""
    if y.dtype.kind not in "biufO":  # a chunk's objects are tried, as those of arrays
        raise ValueError(
            f"y must be numbers, got {y.dtype}; for classes, use "
            "StackedAutoencoderClassifier."
        )
    return y[:, np.newaxis] if y.ndim == 1 else y


def indicators(y):
    """An indicator matrix as it is, dense."""
    return y.toarray() if issparse(y) else y


def one_hot(classes, y):
    """1 in the column of the class of each row, 0 elsewhere."""
    targets = np.zeros((len(y), len(classes)))
    targets[np.arange(len(y)), np.searchsorted(classes, np.ravel(y))] = 1
    return targets


def class_targets(given, known=None):
    """The ``Targets`` of a classifier.

    Parameters
    ----------
    given : Given
        Whose y holds classes, or is an indicator matrix.
    known : ndarray of shape (n_classes,), optional
        Those of an earlier fit that goes on.
    """
    y = given.y_values()
    check_classification_targets(y)
    kind = type_of_target(y)
    if kind == "multiclass-multioutput":
        raise ValueError(
            "y has several columns of classes; StackedAutoencoderClassifier takes one "
            "column of classes, or an indicator matrix of 0 and 1."
        )
    if kind == "multilabel-indicator":
        _check_indicators(y)
        fitted = {"classes_": np.arange(y.shape[1])}
        return Targets("logistic", "log_loss", indicators, fitted=fitted)
    y = column_or_1d(y, warn=True)
    classes = _classes(y, known)
    encode, fitted = partial(one_hot, classes), {"classes_": classes}
    return Targets("softmax", "cross_entropy", encode, y, fitted)


def _check_indicators(y):
    y = indicators(y)
    if not np.isin(y, (0, 1)).all():
        raise ValueError(
            "Multilabel y must be an indicator matrix of 0 and 1, got the values "
            f"{np.unique(y).tolist()}; for instance, use (y > 0).astype(int)."
        )


def _classes(y, known):
    classes = np.unique(y)
    if known is not None:
        unknown = np.setdiff1d(classes, known)
        if len(unknown):
            raise ValueError(
                f"warm_start=True continues with the classes {known.tolist()}, but y "
                f"also has {unknown.tolist()}; use warm_start=False to start afresh."
            )
        classes = known
    if len(classes) < 2:
        raise ValueError(
            "StackedAutoencoderClassifier needs at least two classes, but y has "
            f"one class only: {classes.tolist()}."
        )
    return classes
