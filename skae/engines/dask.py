"""The engine of dask: evaluates an objective where the blocks of rows lie.

An evaluation is one graph. θ is sent once, and each block is one task on the worker
that holds it. The objective itself runs in NumPy; dask only distributes the blocks. The
sums of the blocks are added up in a tree whose shape depends only on the number of
blocks: consecutive ones, in order, a few at a time. Hence the bits do not depend on the
number of workers, on who computed what, or on lost workers. Sums of blocks on the same
worker are added there before anything is sent. Penalties are added in this process,
which also holds the state of the solver.

When a worker is lost, dask computes its blocks again on another one. Partial results of
the current evaluation are lost with it, and the evaluation is repeated from θ.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from skae.core.blocks import Block, Sums, Workspace
from skae.core.protocols import Objective, Parameters
from skae.engines.blas import single_threaded_blas
from skae.rows.dask import Blocks, DaskRows, HeldBlock, aligned
from skae.rows.dask_tasks import LostError, Place, Task
from skae.rows.data import Data
from skae.rows.lengths import block_rows

Item = TypeVar("Item")
# ``Sums`` as they travel: dask knows the size of a tuple, not of an object of ours.
SumsAsTuple = tuple[dict[str, float], np.ndarray, Any, Any]

# Sums that are added in one go. Up to so many blocks are added in block order, which
# gives the bits of the threads that this machine would use.
_FAN_IN = 8
# Of sums that are fetched to be added here: few bytes travel faster than tasks.
_BYTES_ADDED_HERE = 2**20
# From so many blocks on the mean code is computed first: a task that needs a sum over
# n blocks carries their graph along until it is sent, and there are n such tasks.
_BLOCKS_IN_A_GRAPH = 64
_REPETITIONS = 5


class _Options(NamedTuple):
    """What a task is told of an evaluation, beside θ."""

    rows: int  # of the pieces in which a block is computed
    draw: int | None  # of the noise
    # Threads and processes inherit none; solvers try steps that overflow.
    errstate: Any


@contextmanager
def _in_pieces(
    options: _Options,
    objective: Objective[Any],
    theta: np.ndarray,
    block: HeldBlock,
    start: int,
) -> Iterator[tuple[Parameters, Iterator[Block], Workspace]]:
    """Parameters, a block in pieces, and a workspace for these; on a worker."""
    with single_threaded_blas(), np.errstate(**options.errstate):
        parameters = _parameters(objective, aligned(theta), options.draw)
        workspace = objective.workspace(min(options.rows, len(block[0])))
        yield parameters, _pieces(block, start, options.rows), workspace


def _pieces(block: HeldBlock, start: int, rows: int) -> Iterator[Block]:
    """A block cut into pieces that fit a cache, as ``ThreadEngine`` cuts all rows."""
    X, weights, targets = block
    for first in range(0, len(X), rows):
        cut = slice(first, first + rows)
        yield Block(
            aligned(X[cut]),
            None if weights is None else aligned(weights[cut]),
            start + first,
            None if targets is None else aligned(targets[cut]),
        )


def _parameters(
    objective: Objective[Any], theta: np.ndarray, draw: int | None
) -> Parameters:
    parameters = objective.parameters(theta)
    parameters.draw = draw
    objective.prepare(parameters)
    return parameters


def _code_sums(
    options: _Options,
    keep: bool,
    objective: Objective[Any],
    theta: np.ndarray,
    block: HeldBlock,
    start: int,
) -> Any:
    """Σ s_i h_i of a block; with its codes, if they are to be kept."""
    total, codes = np.zeros(objective.n_statistics), []
    cut = _in_pieces(options, objective, theta, block, start)
    with cut as (parameters, pieces, workspace):
        for piece in pieces:
            if keep:
                shape = objective.kept_shape(len(piece.X))
                codes.append(np.empty(shape, objective.dtype))
                H = codes[-1]
            else:
                H = workspace["kept", len(piece.X)]
            total += objective.statistics(parameters, piece, H, workspace)
    return (total, codes) if keep else total


def _block_sums(
    options: _Options,
    weight_sum: float,
    objective: Objective[Any],
    theta: np.ndarray,
    block: HeldBlock,
    start: int,
    code_sum: np.ndarray | None,
    codes: tuple[np.ndarray, list[np.ndarray]] | None,
) -> SumsAsTuple:
    """The ``Sums`` over a block, for what ``_code_sums`` gave of all and of this."""
    total = Sums({}, np.zeros(objective.layout.size, objective.dtype))
    cut = _in_pieces(options, objective, theta, block, start)
    with cut as (parameters, pieces, workspace):
        if code_sum is not None:
            objective.set_statistics(parameters, aligned(code_sum) / weight_sum)
        for index, piece in enumerate(pieces):
            H = aligned(codes[1][index]) if codes else None
            total += objective.block(parameters, piece, H, workspace)
    return _as_tuple(total)


def _data_losses(
    options: _Options,
    objective: Objective[Any],
    theta: np.ndarray,
    block: HeldBlock,
    start: int,
) -> float:
    """Σ s_i ℓ_i of a block."""
    cut = _in_pieces(options, objective, theta, block, start)
    with cut as (parameters, pieces, workspace):
        losses = (objective.data_loss(parameters, p, workspace) for p in pieces)
        return sum(losses)


def _as_tuple(sums: Sums) -> SumsAsTuple:
    return sums.terms, sums.gradient, sums.gram, sums.cross


def _first(pair: Sequence[Item]) -> Item:
    return pair[0]


def _add_arrays(*arrays: np.ndarray) -> np.ndarray:
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    return total


def _own(terms: dict[str, float], gradient: np.ndarray, gram: Any, cross: Any) -> Sums:
    """As ``Sums`` that may be added to: what has come from elsewhere may not."""
    rest = (None if array is None else array.copy() for array in (gram, cross))
    return Sums(dict(terms), gradient.copy(), *rest)


def _add_sums(*tuples: SumsAsTuple) -> SumsAsTuple:
    total = _own(*tuples[0])
    for sums in tuples[1:]:
        total += Sums(*sums)
    return _as_tuple(total)


def _groups(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[i : i + _FAN_IN] for i in range(0, len(items), _FAN_IN)]


def _stretches(places: Sequence[Place]) -> list[list[int]]:
    """Indices of ``places`` in order, cut where two or more of one place begin or end.

    Places that change with each index stay together: to hand a sum from one to the
    next would move as much as to bring all of them to one, and take longer.
    """
    stretches: list[list[int]] = []
    alone = False
    for _, run in groupby(range(len(places)), key=places.__getitem__):
        indices = list(run)
        if alone and len(indices) == 1:
            stretches[-1] += indices
        else:
            stretches.append(indices)
        alone = len(indices) == 1
    return stretches


class DaskEngine:
    """Evaluates an objective over blocks that dask holds; a context manager.

    Parameters
    ----------
    objective : Objective
        What to evaluate.
    blocks : Blocks
        The rows, with their weights and targets.
    rows : int, optional
        Rows of the pieces in which a block is computed; by default as many as
        ``ThreadEngine`` would take for all rows.
    keep_codes : bool, optional
        Whether workers keep the codes between the two passes of a penalty on the
        mean code, or encode twice: same bits, a sixth matrix product. By default
        they keep them if the rows and the codes fill half the workers' memory at
        most.

    Attributes
    ----------
    draw : int or None
        Of the noise, if the objective has any; None is none.
    """

    _sent: Task | None  # the objective, from enter to exit

    def __init__(
        self,
        objective: Objective[Any],
        blocks: Blocks,
        *,
        rows: int | None = None,
        keep_codes: bool | None = None,
    ) -> None:
        self.objective = objective
        self.draw: int | None = 0
        self._blocks, self._run = blocks, blocks.run
        self._places: list[Place] = []  # of the blocks; empty while it is not known
        n_samples = sum(blocks.rows)
        self._rows = rows or block_rows(n_samples, objective.numbers_per_row)
        self._keep = bool(keep_codes)
        if keep_codes is None and objective.gathers:
            kept = int(np.prod(objective.kept_shape(n_samples)))
            numbers = n_samples * objective.n_features + kept
            needed = numbers * objective.dtype.itemsize
            self._keep = needed <= self._run.memory / 2

    @classmethod
    def of(cls, objective: Objective[Any], data: Data, **options: Any) -> Self:
        """The engine for ``Data``."""
        assert isinstance(data.X, DaskRows), "which name this engine"
        return cls(objective, data.X.blocks, **options)

    def __enter__(self) -> Self:
        self._sent = self._run.send(self.objective)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._sent = None

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray, dict[str, float]]:
        """Loss, gradient and terms at ``theta``; see ``finish`` of the objective."""
        return self._repeated(self._evaluate, theta)

    def data_loss(self, theta: np.ndarray) -> float:
        """Mean loss of the rows at ``theta``: no penalties, and no gradient."""

        def compute(theta: np.ndarray) -> float:
            sent = self._run.bring(theta, self._places)
            tasks = self._each_block(
                partial(_data_losses, self._options(self.draw)), sent
            )
            return sum(self._fetched(tasks)) / self._blocks.weight_sum

        return self._repeated(compute, theta)

    def statistics(self, theta: np.ndarray) -> np.ndarray:
        """Means over all rows, uncorrupted, (n_statistics,) in float64."""

        def compute(theta: np.ndarray) -> np.ndarray:
            sent = self._run.bring(theta, self._places)
            total, _ = self._code_sum(sent, None, keep=False)
            return self._fetched([total])[0] / self._blocks.weight_sum

        return self._repeated(compute, theta)

    def _repeated(
        self, compute: Callable[[np.ndarray], Item], theta: np.ndarray
    ) -> Item:
        """``compute(theta)``, again if what it needs was lost with a worker."""
        for _ in range(_REPETITIONS):
            try:
                self._places = self._places or self._run.places(self._blocks.tasks)
                return compute(theta)
            except LostError as error:
                lost, self._places = error, []
        raise RuntimeError(
            f"Workers of the dask cluster were lost in {_REPETITIONS} attempts at one "
            "evaluation; see their logs, and call fit again when they are stable."
        ) from lost

    def _evaluate(
        self, theta: np.ndarray
    ) -> tuple[float, np.ndarray, dict[str, float]]:
        objective, weight_sum = self.objective, self._blocks.weight_sum
        parameters = _parameters(objective, theta, self.draw)
        n = len(self._blocks.tasks)
        code_sum, codes, mean = None, [None] * n, None
        # In-process workers are handed the very array, which the solver will change.
        sent = self._run.bring(theta.copy(), self._places)
        if objective.gathers:
            code_sum, kept = self._code_sum(sent, self.draw, self._keep)
            if n > _BLOCKS_IN_A_GRAPH:
                code_sum, *kept = self._run.start([code_sum, *kept])
            codes = kept or codes
        function = partial(_block_sums, self._options(self.draw), weight_sum)
        tasks = self._each_block(function, sent, [code_sum] * n, codes)
        tasks = self._gradients(tasks, theta.nbytes)
        if objective.gathers:
            *sums, code_sum = self._fetched([*tasks, code_sum])
            mean = code_sum / weight_sum
            objective.set_statistics(parameters, mean)
        else:
            sums = self._fetched(tasks)
        while len(sums) > 1:
            sums = [_add_sums(*group) for group in _groups(sums)]
        return objective.finish(parameters, _own(*sums[0]), weight_sum, mean)

    def _code_sum(
        self, sent: list[Task], draw: int | None, keep: bool
    ) -> tuple[Task, list[Task]]:
        """The task of the sum of all codes, and tasks that keep them, if any do."""
        function = partial(_code_sums, self._options(draw), keep)
        sums, codes = self._each_block(function, sent), []
        if keep:
            sums, codes = self._run.map(_first, sums, places=self._places), sums
        while len(sums) > 1:  # so small that it does not matter where
            sums, _ = self._next_level(_add_arrays, sums, [None] * len(sums))
        return sums[0], codes

    def _gradients(self, tasks: list[Task], nbytes: int) -> list[Task]:
        """Sums of ``tasks`` of so many bytes, one or few enough to be added here.

        It is the same tree wherever it is climbed.
        """
        places = self._places
        while len(tasks) > 1 and len(tasks) * nbytes > _BYTES_ADDED_HERE:
            tasks, places = self._next_level(_add_sums, tasks, places)
        return tasks

    def _options(self, draw: int | None) -> _Options:
        return _Options(self._rows, draw, np.geterr())

    def _each_block(
        self, function: Callable[..., Any], sent: list[Task], *more: list[Any]
    ) -> list[Task]:
        """Tasks of ``function(objective, theta, block, start, *more)``, each there."""
        blocks = self._blocks
        n = len(blocks.tasks)
        columns = ([self._sent] * n, sent, blocks.tasks, blocks.starts, *more)
        return self._run.map(function, *columns, places=self._places)

    def _fetched(self, tasks: list[Task]) -> list[Any]:
        return self._run.gather(tasks, needs=self._blocks.tasks)

    def _next_level(
        self, add: Callable[..., Any], tasks: list[Task], places: Sequence[Place]
    ) -> tuple[list[Task], list[Place]]:
        """Tasks that add a few of ``tasks`` each, and where they are likely to run."""
        groups = _groups(places)
        sums = list(map(partial(self._added, add), _groups(tasks), groups))
        return sums, [group[-1] for group in groups]

    def _added(
        self, add: Callable[..., Any], tasks: Sequence[Task], places: Sequence[Place]
    ) -> Task:
        """The task of the sum of ``tasks`` in order, each stretch added where it is."""
        total: list[Task] = []
        for stretch in _stretches(places):
            total += [tasks[i] for i in stretch]
            if len(total) > 1:
                columns, last = [[task] for task in total], places[stretch[-1]]
                total = self._run.map(add, *columns, places=[last])
        return total[0]
