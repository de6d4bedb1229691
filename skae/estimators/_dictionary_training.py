"""How sparse coding learns its dictionary: what is set, checked and repeated."""

from numbers import Integral

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import check_random_state

from skae._sklearn import check_sample_weight, validate_params
from skae.core.blocks import Data
from skae.core.coding import NoPooling, TorusPooling
from skae.engines.row_map import RowEngine
from skae.estimators._callbacks import Iterations, fit_task
from skae.rows.dask_collections import refuse_dask
from skae.rows.memory_map import Release
from skae.rows.moments import Moments
from skae.rows.picked import PickedRows
from skae.rows.reading import validate_rows
from skae.solvers import NotFiniteError
from skae.training.dictionary import (
    Batches,
    Model,
    Report,
    Sums,
    improve,
    random_dictionary,
)

# sparsity_weight="scale" is this fraction of the mean squared length of a row: a row
# of bench_sparse_coding.py's table, where most codes are silent and little is lost.
_WEIGHT = 0.01


class DictionaryTraining:
    """What is behind ``fit`` and ``partial_fit`` of ``SparseCoding``."""

    def _fit(self, X, sample_weight):
        """Fit, and return how training ended."""
        validate_params(self)
        continues = self.warm_start and hasattr(self, "components_")
        X, weights = self._validate_rows(X, sample_weight, reset=not continues)
        rng = check_random_state(self.random_state)
        start, sums = self._prepare(X, weights, rng, continues, rescale=True)
        with fit_task(self, X, X, weights, int(self.max_iter)) as task:
            return self._rounds(start, sums, X, weights, rng, task)

    def _partial_fit(self, X, sample_weight):
        validate_params(self)
        continues = hasattr(self, "components_")
        X, weights = self._validate_rows(X, sample_weight, reset=not continues)
        rng = check_random_state(self.random_state)
        start, sums = self._prepare(X, weights, rng, continues, rescale=False)
        rows = PickedRows.that_count(X, weights)
        with RowEngine() as engine:
            self._round(engine, start, sums, rows, first=not continues)

    def _validate_rows(self, X, sample_weight, reset):
        refuse_dask(self, X)
        X = validate_rows(self, X, order="C", reset=reset)
        return X, check_sample_weight(sample_weight, X)

    def _pooling(self, n_features):
        """Which units share a pool; it knows how many units there are."""
        if self.topography is None:
            return NoPooling(int(self.n_components or n_features))
        grid = tuple(self.topography)
        whole = all(isinstance(edge, Integral) and edge >= 1 for edge in grid)
        if len(grid) != 2 or not whole:
            raise ValueError(
                f"topography={self.topography!r} must be two positive integers, "
                "(rows, columns), or None."
            )
        units = int(grid[0]) * int(grid[1])
        if self.n_components not in (None, units):
            raise ValueError(
                f"topography={self.topography!r} is a grid of {units} units, got "
                f"n_components={self.n_components}; use n_components={units} or None, "
                "or a grid of as many units."
            )
        if self.pool_size > min(grid):
            raise ValueError(
                f"pool_size={self.pool_size} exceeds an edge of "
                f"topography={self.topography!r}; use at most {min(grid)}, or a "
                "larger grid."
            )
        return TorusPooling(int(grid[0]), int(grid[1]), int(self.pool_size))

    def _prepare(self, X, weights, rng, continues, rescale):
        """Set the constants; return the dictionary to start from, and its sums."""
        pooling = self._pooling(X.shape[1])
        shape = pooling.n_components, X.shape[1]
        moments = Moments.of(X, weights)
        moments.check_magnitude(Data(X, weights).n_rows, X.dtype)
        if continues and self.components_.shape != shape:
            raise ValueError(
                "Training continues from components_ of shape "
                f"{self.components_.shape}, but X and n_components now ask for "
                f"{shape}; use warm_start=False, or clone, to start afresh."
            )
        size = float(moments.mean @ moments.mean + moments.variance) ** 0.5 or 1.0
        if rescale or not continues:
            self._set_constants(size, pooling)
        else:
            self._check_same_model(pooling)
        if continues:
            start = self.components_
            sums = Sums.of_nothing(*shape) if rescale else self._sums
        else:
            A = random_dictionary(rng, shape, size, self._model)
            start, sums = A.astype(X.dtype), Sums.of_nothing(*shape)
        return start, sums

    def _check_same_model(self, pooling):
        """Refuse parameters of J that changed between two calls of partial_fit."""
        model = self._model
        for name in ("sparsity_weight", "dictionary_penalty"):
            given, used = getattr(self, name), getattr(model, name)
            if given != "scale" and float(given) != used:
                raise ValueError(
                    f"partial_fit goes on with {name}={used:g}, got {name}={given!r}; "
                    f"set {name} back, or fit afresh."
                )
        if float(self.epsilon) != model.epsilon or vars(pooling) != vars(model.pooling):
            raise ValueError(
                "partial_fit goes on with the epsilon, topography and pool_size of the "
                "first call; set them back, or fit afresh."
            )

    def _set_constants(self, size, pooling):
        """Give numbers to what is "scale"; ``size`` is the typical length of a row."""
        k, window = pooling.n_components, pooling.size
        scaled = self.sparsity_weight == "scale", self.dictionary_penalty == "scale"
        # A code that is active alone counts in window² pools.
        weight = _WEIGHT * (size / window) ** 2 if scaled[0] else self.sparsity_weight
        penalty = 1 / k if scaled[1] else self.dictionary_penalty
        self.sparsity_weight_ = float(weight)
        self.dictionary_penalty_ = float(penalty)
        self._model = Model(
            self.sparsity_weight_,
            self.dictionary_penalty_,
            float(self.epsilon),
            pooling,
        )
        indices = pooling.indices()
        self.pooling_ = csr_array((np.ones(len(indices[0])), indices), shape=(k, k))

    def _rounds(self, start, sums, X, weights, rng, task):
        """Rounds until the dictionary stands still; returns why they ended."""
        rows = PickedRows.that_count(X, weights)
        batches = Batches(len(rows), int(self.batch_size or len(rows)), rng)
        report, release = Report(int(self.verbose)), Release(X)
        tasks = None
        if task is not None:
            tasks = Iterations(task, "round", lambda theta, n_iter: {})
        n_iter = 0
        try:
            with RowEngine() as engine:
                while n_iter < self.max_iter:
                    if tasks is not None:
                        tasks.begin()
                    batch, first = batches.take(rows), n_iter == 0
                    change = self._round(
                        engine, start, sums, batch, batches.all_rows, first
                    )
                    release.after_gathering(len(batch))
                    start, sums, n_iter = self.components_, self._sums, self.n_iter_
                    report(n_iter, self.loss_curve_[-1], change)
                    if tasks is not None and tasks.end(n_iter, lambda: None):
                        return "stopped"
                    if change <= self.tol:
                        return "converged"
        except KeyboardInterrupt:
            if n_iter == 0:
                raise
            if tasks is not None:
                tasks.close()
            return "interrupted"
        return "max_iter"

    def _round(self, engine, old, sums, rows, all_rows=False, first=False):
        """Codes of rows, the next dictionary; returns how far that is, relatively.

        Attributes change in the end only, so that what a round that fails leaves is
        what was there before.
        """
        sums = sums.faded(all_rows)
        old = old.astype(rows.dtype, copy=False)
        try:
            A, loss = improve(
                engine, old, rows, self._model, int(self.code_max_iter), sums
            )
        except NotFiniteError:
            A = np.full_like(old, np.nan)
        if not np.isfinite(A).all():
            raise ValueError(
                f"Codes or dictionary of X overflow {rows.dtype}; scale X, for "
                "instance with StandardScaler, or raise dictionary_penalty."
            )
        change = float(np.linalg.norm(A - old)) / (float(np.linalg.norm(A)) or 1.0)
        if first:
            self._begin()
        self.components_, self._sums = A, sums
        self.n_iter_ += 1
        self.loss_curve_ = np.append(self.loss_curve_, loss)
        return change

    def _begin(self):
        self.n_iter_, self.loss_curve_ = 0, np.empty(0)
