"""Few cases cover what all do: whatever settings meet in one meet in a taken one."""

from itertools import combinations, product
from types import SimpleNamespace

import networks
import objectives
import pytest
from covering import covering, every_pair, every_triple, pairs_of, parametrize

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
    few = covering(every, strength)
    assert meetings(few, strength) == meetings(every, strength)
    assert len(set(few)) == len(few) and set(few) <= set(every)
    assert few == covering(every, strength)


@pytest.mark.parametrize("table", ["autoencoders", "networks"])
def test_few_are_few(table):
    every = TABLES[table]
    assert len(covering(every, 2)) < len(every) / 15
    assert len(covering(every, 3)) < len(every) / 4


def test_what_is_refused_is_not_asked_for():
    """No case of the product has both 0 and "a"."""
    every = [(i, s, f) for i, s, f in product(range(3), "ab", [0, 1]) if i or s != "a"]
    few = covering(every, 2)
    assert all(case in every for case in few)
    assert meetings(few, 2) == meetings(every, 2) and len(few) < len(every)


def test_a_new_setting_joins():
    every = list(product("abc", range(3), [False, True]))
    more = [*every, *product("d", range(3), [False, True])]
    assert {case[0] for case in covering(more, 2)} == set("abcd")
    assert {case[:2] for case in covering(more, 2)} == set(product("abcd", range(3)))


def given(decorator, every_case):
    """The names and the cases that a test so decorated is run on."""
    found = []
    metafunc = SimpleNamespace(
        definition=SimpleNamespace(iter_markers=lambda name: [decorator.mark]),
        parametrize=lambda names, cases, ids: found.append((names, cases)),
    )
    parametrize(metafunc, every_case)
    return found[0]


def test_decorators_give_all_cases_where_all_are_asked_for():
    every = networks.CASES
    for decorator, strength in ((every_pair, 2), (every_triple, 3)):
        marked = decorator(every)
        assert given(marked, every_case=False) == ("case", covering(every, strength))
        assert given(marked, every_case=True) == ("case", every)


def test_values_by_name_need_not_be_hashable():
    marked = pairs_of(of=[[1], [2]], by=[{}, {"a": 1}, {"b": 1}], last=[True, False])
    names, few = given(marked, every_case=False)
    assert names == ("of", "by", "last") and len(few) == 6
    values = product([[1], [2]], [{}, {"a": 1}, {"b": 1}], [True, False])
    assert given(marked, every_case=True)[1] == list(values)
    seen = [(a, b) for case in few for a, b in combinations(enumerate(case), 2)]
    assert all(((0, [i]), (2, last)) in seen for i in (1, 2) for last in (True, False))


def test_the_option_is_there(pytestconfig):
    assert pytestconfig.getoption("every_case") in (False, True)
