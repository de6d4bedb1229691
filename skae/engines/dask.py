"""Blocks of rows on a cluster: dask holds them, this calls the objective on them.

Nothing of the mathematics is written in dask's arrays. An evaluation is one graph: it
sends θ once, each block becomes one task where its rows lie, and the sums of the blocks
are added up in a tree whose shape depends on the number of blocks alone: consecutive
ones, in order, a few at a time. So the bits do not depend on who computed what, nor on
how many workers there are, nor on whether one of them was lost on the way. Who adds
does depend on it: blocks that follow each other on one worker are added there before
anything is sent. Penalties are added at the end, here, and so is everything the solver
keeps.

When a worker is lost, dask computes its blocks again elsewhere. What only that worker
had of an evaluation is lost with it; then the evaluation is repeated from θ.
"""

from functools import partial
from itertools import groupby

import numpy as np

from skae.core.blocks import Block, Sums
from skae.engines.blas import single_threaded_blas
from skae.rows.dask import aligned
from skae.rows.dask_tasks import LostError
from skae.rows.lengths import block_rows

# Sums that are added in one go. Up to so many blocks are added in block order, which
# gives the bits of the threads that this machine would use.
_FAN_IN = 8
# Of sums that are fetched to be added here: few bytes travel faster than tasks.
_BYTES_ADDED_HERE = 2**20
# From so many blocks on the mean code is computed first: a task that needs a sum over
# n blocks carries their graph along until it is sent, and there are n such tasks.
_BLOCKS_IN_A_GRAPH = 64
_REPETITIONS = 5


def _pieces(block, start, rows):
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


def _parameters(objective, theta, draw):
    parameters = objective.parameters(theta)
    parameters.draw = draw
    objective.prepare(parameters)
    return parameters


def _code_sums(options, objective, theta, block, start):
    """Σ s_i h_i of a block; with its codes, if they are to be kept."""
    total, codes = np.zeros(objective.n_statistics), []
    with single_threaded_blas(), np.errstate(**options["errstate"]):
        parameters = _parameters(objective, aligned(theta), options["draw"])
        workspace = objective.workspace(min(options["rows"], len(block[0])))
        for piece in _pieces(block, start, options["rows"]):
            if options["keep"]:
                shape = objective.kept_shape(len(piece.X))
                codes.append(np.empty(shape, objective.dtype))
                H = codes[-1]
            else:
                H = workspace["kept", len(piece.X)]
            total += objective.statistics(parameters, piece, H, workspace)
    return (total, codes) if options["keep"] else total


def _block_sums(options, objective, theta, block, start, code_sum, codes):
    """The ``Sums`` over a block, as a tuple."""
    total = Sums({}, np.zeros(objective.layout.size, objective.dtype))
    with single_threaded_blas(), np.errstate(**options["errstate"]):
        parameters = _parameters(objective, aligned(theta), options["draw"])
        if code_sum is not None:
            mean = aligned(code_sum) / options["weight_sum"]
            objective.set_statistics(parameters, mean)
        workspace = objective.workspace(min(options["rows"], len(block[0])))
        pieces = _pieces(block, start, options["rows"])
        kept = codes[1] if codes else None
        for index, piece in enumerate(pieces):
            H = aligned(kept[index]) if kept else None
            total += objective.block(parameters, piece, H, workspace)
    # dask knows the size of a tuple, not that of an object of ours.
    return _as_tuple(total)


def _data_losses(options, objective, theta, block, start):
    """Σ s_i ℓ_i of a block."""
    with single_threaded_blas(), np.errstate(**options["errstate"]):
        parameters = _parameters(objective, aligned(theta), options["draw"])
        workspace = objective.workspace(min(options["rows"], len(block[0])))
        return sum(
            objective.data_loss(parameters, piece, workspace)
            for piece in _pieces(block, start, options["rows"])
        )


def _as_tuple(sums):
    return sums.terms, sums.gradient, sums.gram, sums.cross


def _first(pair):
    return pair[0]


def _add_arrays(*arrays):
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    return total


def _own(terms, gradient, gram, cross):
    """As ``Sums`` that may be added to: what has come from elsewhere may not."""
    rest = (None if array is None else array.copy() for array in (gram, cross))
    return Sums(dict(terms), gradient.copy(), *rest)


def _add_sums(*tuples):
    total = _own(*tuples[0])
    for sums in tuples[1:]:
        total += Sums(*sums)
    return _as_tuple(total)


def _groups(items):
    return [items[i : i + _FAN_IN] for i in range(0, len(items), _FAN_IN)]


def _stretches(places):
    """Indices of ``places`` in order, cut where two or more of one place begin or end.

    Places that change with each index stay together: to hand a sum from one to the
    next would move as much as to bring all of them to one, and take longer.
    """
    stretches, alone = [], False
    for _, run in groupby(range(len(places)), key=places.__getitem__):
        run = list(run)
        if alone and len(run) == 1:
            stretches[-1] += run
        else:
            stretches.append(run)
        alone = len(run) == 1
    return stretches


class DaskEngine:
    """Evaluates an objective over blocks that dask holds; a context manager.

    Parameters
    ----------
    objective : AutoencoderObjective or NetworkObjective
        What to evaluate; see ``skae.core.blocks`` for what it is asked.
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
    draw : int
        Of the noise, if the objective has any.
    """

    def __init__(self, objective, blocks, *, rows=None, keep_codes=None):
        self.objective, self.draw = objective, 0
        self._blocks, self._run = blocks, blocks.run
        self._places = None  # of the blocks, as far as it is known
        n_samples = sum(blocks.rows)
        self._rows = rows or block_rows(n_samples, objective.numbers_per_row)
        self._keep = keep_codes
        if keep_codes is None and objective.gathers:
            kept = int(np.prod(objective.kept_shape(n_samples)))
            numbers = n_samples * objective.n_features + kept
            needed = numbers * objective.dtype.itemsize
            self._keep = needed <= self._run.memory / 2

    @classmethod
    def of(cls, objective, data, **options):
        """The engine for ``Data``."""
        return cls(objective, data.X.blocks, **options)

    def __enter__(self):
        self._sent = self._run.send(self.objective)
        return self

    def __exit__(self, *exception):
        self._sent = None

    def __call__(self, theta):
        """Loss, gradient and terms at ``theta``; see ``finish``."""
        return self._repeated(self._evaluate, theta)

    def data_loss(self, theta):
        """Mean loss of the rows at ``theta``: no penalties, and no gradient."""

        def compute(theta):
            sent = self._run.bring(theta, self._places)
            tasks = self._each_block(
                partial(_data_losses, self._options(self.draw)), sent
            )
            return sum(self._fetched(tasks)) / self._blocks.weight_sum

        return self._repeated(compute, theta)

    def statistics(self, theta):
        """Means over all rows, uncorrupted, (n_statistics,) in float64."""

        def compute(theta):
            sent = self._run.bring(theta, self._places)
            total, _ = self._code_sum(sent, None, keep=False)
            return self._fetched([total])[0] / self._blocks.weight_sum

        return self._repeated(compute, theta)

    def _repeated(self, compute, theta):
        for _ in range(_REPETITIONS):
            try:
                if self._places is None:
                    self._places = self._run.places(self._blocks.tasks)
                return compute(theta)
            except LostError as error:
                lost, self._places = error, None
        raise RuntimeError(
            f"Workers of the dask cluster were lost in {_REPETITIONS} attempts at one "
            "evaluation; see their logs, and call fit again when they are stable."
        ) from lost

    def _evaluate(self, theta):
        objective, weight_sum = self.objective, self._blocks.weight_sum
        parameters = _parameters(objective, theta, self.draw)
        n = len(self._blocks.tasks)
        code_sum, codes, mean = None, [None] * n, None
        # In-process workers are handed the very array, which the solver will change.
        sent = self._run.bring(theta.copy(), self._places)
        if objective.gathers:
            code_sum, kept = self._code_sum(sent, self.draw, self._keep)
            if n > _BLOCKS_IN_A_GRAPH:
                code_sum, *kept = self._run.start([code_sum, *(kept or [])])
            codes = kept or codes
        options = self._options(self.draw, weight_sum=weight_sum)
        columns = sent, [code_sum] * n, codes
        sums = self._each_block(partial(_block_sums, options), *columns)
        tasks = self._gradients(sums, theta.nbytes)
        if objective.gathers:
            *sums, code_sum = self._fetched([*tasks, code_sum])
            mean = code_sum / weight_sum
            objective.set_statistics(parameters, mean)
        else:
            sums = self._fetched(tasks)
        while len(sums) > 1:
            sums = [_add_sums(*group) for group in _groups(sums)]
        return objective.finish(parameters, _own(*sums[0]), weight_sum, mean)

    def _code_sum(self, sent, draw, keep):
        """The task of the sum of all codes, and tasks that keep them."""
        options = self._options(draw, keep=keep)
        sums, codes = self._each_block(partial(_code_sums, options), sent), None
        if keep:
            sums, codes = self._run.map(_first, sums, places=self._places), sums
        while len(sums) > 1:  # so small that it does not matter where
            sums, _ = self._next_level(_add_arrays, sums, [None] * len(sums))
        return sums[0], codes

    def _gradients(self, tasks, nbytes):
        """Sums of ``tasks`` of so many bytes, one or few enough to be added here.

        It is the same tree wherever it is climbed.
        """
        places = self._places
        while len(tasks) > 1 and len(tasks) * nbytes > _BYTES_ADDED_HERE:
            tasks, places = self._next_level(_add_sums, tasks, places)
        return tasks

    def _options(self, draw, **more):
        # Threads and processes inherit no errstate; solvers try steps that overflow.
        return {"rows": self._rows, "draw": draw, "errstate": np.geterr(), **more}

    def _each_block(self, function, sent, *columns):
        blocks = self._blocks
        n = len(blocks.tasks)
        columns = ([self._sent] * n, sent, blocks.tasks, blocks.starts, *columns)
        return self._run.map(function, *columns, places=self._places)

    def _fetched(self, tasks):
        return self._run.gather(tasks, needs=self._blocks.tasks)

    def _next_level(self, add, tasks, places):
        """Tasks that add a few of ``tasks`` each, and where they are likely to run."""
        tasks, places = _groups(tasks), _groups(places)
        sums = list(map(partial(self._added, add), tasks, places))
        return sums, [group[-1] for group in places]

    def _added(self, add, tasks, places):
        """The task of the sum of ``tasks`` in order, each stretch added where it is."""
        total = []
        for stretch in _stretches(places):
            total += [tasks[i] for i in stretch]
            if len(total) > 1:
                columns, last = [[task] for task in total], places[stretch[-1]]
                total = self._run.map(add, *columns, places=[last])
        return total[0]
