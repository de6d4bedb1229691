"""Picks the engine for an objective: rows name the one that can evaluate them.

An engine is a class whose ``of(objective, data, **options)`` returns an object with the
methods of ``protocols.Engine``. For rows of this process, ``code_memory`` is an option:
the number of bytes in which codes may be kept.
"""

from importlib import import_module
from typing import Any

from skae.core.protocols import Engine, Objective
from skae.rows.data import Data

# Imported when first asked for: dask need not be there.
ENGINES = {
    "threads": "skae.engines.threads:ThreadEngine",
    "dask": "skae.engines.dask:DaskEngine",
}


def engine_for(objective: Objective[Any], data: Data, **options: Any) -> Engine:
    """A context manager that evaluates ``objective`` over all rows of ``data``.

    Parameters
    ----------
    objective : Objective
        What to evaluate.
    data : Data
        Rows, weights and targets.
    **options : dict
        Of that engine.
    """
    module, name = ENGINES[data.X.engine].split(":")
    return getattr(import_module(module), name).of(objective, data, **options)
