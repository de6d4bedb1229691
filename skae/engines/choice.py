"""Which engine evaluates an objective: the one where the rows lie."""

from skae.core.blocks import is_remote
from skae.engines.threads import ThreadEngine


def engine_for(objective, data):
    """A context manager that evaluates ``objective`` over all rows of ``data``.

    Parameters
    ----------
    objective : AutoencoderObjective or NetworkObjective
        What to evaluate.
    data : Data
        Rows, weights and targets: arrays of this machine, or ``RemoteArray``.

    Returns
    -------
    engine : ThreadEngine or DaskEngine
    """
    # Asked of the rows, so that dask is not imported where there is none.
    if is_remote(data.X):
        return data.X.engine(objective)
    return ThreadEngine(objective, data.X, data.weights, targets=data.targets)
