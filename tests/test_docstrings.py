"""Docstrings of the public names: numpydoc finds no fault, and their examples run.

numpydoc judges every class of ``skae`` and ``skae.plotting``, every function of
``skae.inspection``, and every method and property of theirs that is written here. What
scikit-learn adds to an estimator has scikit-learn's docstrings, which are not judged.
"""

import doctest

import pytest

import skae
import skae.inspection
import skae.plotting

validate = pytest.importorskip("numpydoc.validate").validate

CLASSES = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (skae, skae.plotting)
    for name in module.__all__
    if not name.startswith("_")
}

FUNCTIONS = {
    f"skae.inspection.{name}": getattr(skae.inspection, name)
    for name in skae.inspection.__all__
}


def own_members(cls):
    """Public names of a class that skae defines, but for the request methods.

    Those scikit-learn puts on each class by itself. A function has none.
    """
    for name in dir(cls) if isinstance(cls, type) else ():
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if not name.startswith("_") and not name.endswith("_request"):
            if owner.__module__.startswith("skae"):
                yield name


MEMBERS = [f"{name}.{m}" for name, cls in CLASSES.items() for m in own_members(cls)]

# All of numpydoc's checks apply to a class. The page of a method stands below that
# of its class, which has the long text, the links and the example.
NOT_ASKED_OF_MEMBERS = {"ES01", "EX01", "SA01"}


def faults(name):
    return {f"{code}: {text}" for code, text in validate(name)["errors"]}


@pytest.mark.parametrize("name", CLASSES)
def test_class_is_valid(name):
    assert faults(name) == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_valid(name):
    # The page of the user guide has the long text and the links.
    left = {fault for fault in faults(name) if fault[:4] not in {"ES01", "SA01"}}
    assert left == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples_of_functions_run(name):
    (test,) = doctest.DocTestFinder().find(FUNCTIONS[name], name)
    result = doctest.DocTestRunner().run(test)
    assert result.failed == 0 and result.attempted > 1


@pytest.mark.parametrize("name", MEMBERS)
def test_member_is_valid(name):
    left = {fault for fault in faults(name) if fault[:4] not in NOT_ASKED_OF_MEMBERS}
    assert left == set()


def undocumented(x):
    """returns x"""
    return x


def test_fault_is_seen():
    # A summary without a capital letter, and a parameter that is not described.
    found = faults(f"{__name__}.undocumented")
    assert any("SS02" in fault for fault in found)
    assert any("PR01" in fault for fault in found)


@pytest.mark.parametrize("name", [n for n in CLASSES if "Display" not in n])
def test_examples_run(name):
    # Those of the displays need a screenless Matplotlib: tests/plotting has them.
    tests = doctest.DocTestFinder().find(CLASSES[name], name)
    results = [doctest.DocTestRunner().run(test) for test in tests if test.examples]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 3


def test_star_import_gives_the_public_names():
    names = {}
    exec("from skae import *", names)
    del names["__builtins__"]
    assert sorted(names) == sorted(skae.__all__)
    assert all(
        name == "__version__" or callable(value) for name, value in names.items()
    )
