"""The option ``--every-case``, threads for all, and what single tests ask for."""

import gc
import os

# Processes of tests share the cores, on which more threads of BLAS than one each would
# wait for those of the others. BLAS reads this when NumPy is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import covering
import pytest
from sklearn import config_context
from threadpoolctl import threadpool_limits


@pytest.fixture
def two_blas_threads():
    """For tests of what several threads do, and of who limits them."""
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.fixture
def array_api(monkeypatch):
    """Let the checks of the array API run where scikit-learn and SciPy have it."""
    with monkeypatch.context() as attempt:
        attempt.setenv("SCIPY_ARRAY_API", "1")
        try:
            with config_context(array_api_dispatch=True):
                pass
        except ImportError:
            return
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


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
    parser.addoption(
        "--fuzz",
        type=int,
        metavar="N",
        help="draws of tests/test_fuzz.py, at random; without, some that are always "
        "the same",
    )


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "covering(names, every, few): of `covering.py`, which makes them"
    )


def pytest_collection_finish():
    """The garbage collector need not look at what stays: thousands of tests."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc):
    covering.parametrize(metafunc, metafunc.config.getoption("every_case"))
