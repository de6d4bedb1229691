"""The option ``--every-case``, and the mark of tests that it lengthens."""

import covering


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
