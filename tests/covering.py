"""Few cases in which every two or three settings meet, in place of all products.

What a fault needs to show is nearly always one setting, or two or three that meet; in
the product of all the tables it shows a hundred times. A test marked by `every_pair`,
`every_triple` or `pairs_of` therefore runs on the cases that `covering` takes. With
the option ``--every-case`` of pytest it runs on all of them.

What the tables refuse is in no case, and so nothing is asked of it.
"""

from itertools import combinations, product

import numpy as np
import pytest


def covering(cases, strength):
    """Some of ``cases``: any ``strength`` settings of one case meet in one of them.

    A case is a sequence of settings, as long as all others. Greedily, each that is
    taken adds the most combinations that are new; of equals, the first is taken.
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
        taken.append(missing[combined].sum(axis=1).argmax())
        missing[combined[taken[-1]]] = False
    return [cases[i] for i in sorted(taken)]


def every_pair(cases):
    """Run a test on a ``case`` of these at a time, until all pairs of settings met."""
    return pytest.mark.covering("case", cases, covering(cases, 2))


def every_triple(cases):
    """Run a test on a ``case`` of these at a time, until all triples of them met."""
    return pytest.mark.covering("case", cases, covering(cases, 3))


def pairs_of(**values):
    """Run a test on values of its arguments, by name, until all pairs of them met."""
    indices = list(product(*(range(len(of_one)) for of_one in values.values())))
    every, few = (
        [
            tuple(of_one[i] for of_one, i in zip(values.values(), case, strict=True))
            for case in cases
        ]
        for cases in (indices, covering(indices, 2))
    )
    return pytest.mark.covering(tuple(values), every, few)


def parametrize(metafunc, every_case):
    """Give a marked test its cases; what `conftest.py` does for each test."""
    for mark in metafunc.definition.iter_markers("covering"):
        names, every, few = mark.args
        ids = str if names == "case" else None
        metafunc.parametrize(names, every if every_case else few, ids=ids)
