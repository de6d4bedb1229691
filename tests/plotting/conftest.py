"""Figures are drawn without a screen, drawn in full, and closed."""

import pytest


@pytest.fixture
def plt():
    """``matplotlib.pyplot``; a test that asks for it is skipped where it is missing."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")
