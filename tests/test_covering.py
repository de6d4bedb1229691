"""Few cases cover what all do: whatever settings meet in one meet in a taken one."""

from itertools import combinations, product
from types import SimpleNamespace

import networks
import objectives
import pytest
from covering import covering, every_pair, every_triple, parametrize

TABLES = {
    "autoencoders": objectives.CASES,
    "quiet": [case for case in objectives.CASES if not objectives.is_noisy(case)],
    "networks": networks.CASES,
    "a product": list(product("abc", range(4), [False, True], [None, "x"])),
    "one column": [("a",), ("b",), ("a",)],
    "one case": [(1, 2, 3)],
}


def meetings(cases, strength):
    """What meets in any case: settings by their places."""
    return {
        frozenset(some)
        for case in cases
        for some in combinations(enumerate(case), min(strength, len(case)))
    }


@pytest.mark.parametrize("strength", [1, 2, 3])
@pytest.mark.parametrize("table", TABLES)
def test_all_that_meet_meet_again(table, strength):
    every = TABLES[table]
    taken = covering(every, strength)
    few = [every[i] for i in taken]
    assert meetings(few, strength) == meetings(every, strength)
    assert len(set(few)) == len(few)


def test_the_same_are_taken_again():
    every = TABLES["networks"]
    assert covering(every, 2) == covering(every, 2)


@pytest.mark.parametrize("table", ["autoencoders", "networks"])
def test_few_are_few(table):
    every = TABLES[table]
    assert len(covering(every, 2)) < len(every) / 15
    assert len(covering(every, 3)) < len(every) / 4


def test_what_is_refused_is_not_asked_for():
    """No case of the product has both 0 and "a"."""
    every = [(i, s, f) for i, s, f in product(range(3), "ab", [0, 1]) if i or s != "a"]
    few = [every[i] for i in covering(every, 2)]
    assert meetings(few, 2) == meetings(every, 2) and len(few) < len(every)


def test_a_new_setting_joins():
    every = list(product("abc", range(3), [False, True]))
    more = [*every, *product("d", range(3), [False, True])]
    few = [more[i] for i in covering(more, 2)]
    assert {case[:2] for case in few} == set(product("abcd", range(3)))


def given(decorator, every_case):
    """The names and the cases that a test so decorated is run on."""
    found = []
    metafunc = SimpleNamespace(
        definition=SimpleNamespace(iter_markers=lambda name: [decorator.mark]),
        parametrize=lambda names, cases, ids: found.append((names, cases)),
    )
    parametrize(metafunc, every_case)
    return found[0]


def test_each_setting_of_a_case_meets_those_of_other_arguments():
    every, kinds = networks.CASES, [[], {}]
    for decorator, strength in ((every_pair, 2), (every_triple, 3)):
        marked = decorator(case=every, kind=kinds)
        names, few = given(marked, every_case=False)
        assert names == ("case", "kind")
        flat = [(*case, str(kind)) for case, kind in few]
        expected = [(*case, str(kind)) for case, kind in product(every, kinds)]
        assert meetings(flat, strength) == meetings(expected, strength)
        assert len(few) < len(every) / 2
        assert given(marked, every_case=True)[1] == list(product(every, kinds))


def test_values_need_be_neither_hashable_nor_different():
    marked = every_pair(of=[[1], [1]], by=[{}, {"a": 1}, {"b": 1}], last=[True, False])
    names, few = given(marked, every_case=False)
    assert names == ("of", "by", "last") and len(few) == 6
    assert len(given(marked, every_case=True)[1]) == 12


def test_the_option_is_there(pytestconfig):
    assert pytestconfig.getoption("every_case") in (False, True)
