"""The option ``--every-case``, and a cluster of dask for the modules that ask."""

import covering
import pytest


@pytest.fixture(scope="module")
def threads():
    """A client of two workers in this process, for as long as a module needs it.

    They start in no time, and all that runs beside their threads is slower for it.
    """
    pytest.importorskip("dask.distributed")
    from dask_data import cluster

    with cluster() as client:
        yield client


def pytest_addoption(parser):
    parser.addoption(
        "--every-case",
        action="store_true",
        help="run tests of tables on every case, not only until all pairs or triples "
        "of settings have met",
    )


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "covering(names, every, few): of `covering.py`, which makes them"
    )


def pytest_generate_tests(metafunc):
    covering.parametrize(metafunc, metafunc.config.getoption("every_case"))
