"""Few cases in which every two or three settings meet, in place of all products.

What a fault needs to show is nearly always one setting, or two or three that meet; in
the product of all the tables it shows a hundred times. A test marked by `every_pair`
or `every_triple` therefore runs on the cases that `covering` takes. With the option
``--every-case`` of pytest it runs on all of them.

What the tables refuse is in no case, and so nothing is asked of it.
"""

from functools import cache
from itertools import combinations, product

import numpy as np
import pytest


def covering(cases, strength):
    """Some of ``cases``: any ``strength`` settings of one case meet in one of them.

    A case is a sequence of settings, as long as all others. Greedily, each that is
    taken adds the most combinations that are new; of equals, the first is taken.
    Returns where in ``cases`` they are.
    """
    numbers = {}  # of combinations, in the order in which they are met
    columns = combinations(range(len(cases[0])), min(strength, len(cases[0])))
    combined = np.transpose(
        [
            [
                numbers.setdefault((at, *(case[i] for i in at)), len(numbers))
                for case in cases
            ]
            for at in columns
        ]
    )
    missing, taken = np.ones(len(numbers), bool), []
    while missing.any():
        taken.append(int(missing[combined].sum(axis=1).argmax()))
        missing[combined[taken[-1]]] = False
    return sorted(taken)


_covering = cache(covering)  # tests share their tables


def every_pair(**values):
    """Run a test on values of its arguments, by name, until all pairs of them met.

    Of a named tuple, such as a case of ``objectives.py``, each setting counts.
    """
    return _until_all_met(2, values)


def every_triple(**values):
    """Run a test on values of its arguments, by name, until all triples of them met.

    Of a named tuple, such as a case of ``objectives.py``, each setting counts.
    """
    return _until_all_met(3, values)


def _until_all_met(strength, values):
    every = list(product(*values.values()))
    columns = [
        [_settings(number, value) for number, value in enumerate(of_one)]
        for of_one in values.values()
    ]
    settings = tuple(sum(parts, ()) for parts in product(*columns))
    few = [every[i] for i in _covering(settings, strength)]
    return pytest.mark.covering(tuple(values), every, few)


def _settings(number, value):
    """What is to meet others: a value may be something that cannot be compared."""
    return tuple(value) if hasattr(value, "_fields") else (number,)


def parametrize(metafunc, every_case):
    """Give a marked test its cases; what ``conftest.py`` does for each test."""
    for mark in metafunc.definition.iter_markers("covering"):
        names, every, few = mark.args
        metafunc.parametrize(names, every if every_case else few, ids=_name)


def _name(value):
    return str(value) if hasattr(value, "_fields") else None
