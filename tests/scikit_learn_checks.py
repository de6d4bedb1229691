"""scikit-learn's checks for estimators, with names that cost little."""

from functools import cache

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks


def with_checks(estimators, **options):
    """``parametrize_with_checks``, but each estimator is written out only once.

    Its names contain the estimator, and are made for each of a hundred checks. That is
    a third of the time in which all tests are collected.
    """
    mark = parametrize_with_checks(estimators, **options)
    return pytest.mark.parametrize(*mark.args, ids=cache(mark.kwargs["ids"]))
