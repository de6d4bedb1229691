"""The examples in the displays' docstrings run, and say what they print."""

import doctest
import warnings

import pytest

import skae.plotting


@pytest.mark.parametrize("name", skae.plotting.__all__)
def test_example(plt, name):
    (test,) = [
        test
        for test in doctest.DocTestFinder().find(getattr(skae.plotting, name), name)
        if test.examples
    ]
    with warnings.catch_warnings():
        # plt.show() has no screen here.
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
        failures, tried = doctest.DocTestRunner().run(test)
    assert failures == 0 and tried > 4
