"""Sparse coding, plain and topographic."""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from skae._sklearn import Interval, StrOptions, check_sample_weight, validate_params
from skae.core.coding import NoPooling, TorusPooling
from skae.engines.rows import RowEngine
from skae.estimators._coder import DTYPES, BaseCoder
from skae.estimators._dictionary import (
    MAX_ITER_ENCODE,
    Batches,
    Model,
    Report,
    Sums,
    encode,
    improve,
    random_dictionary,
)
from skae.estimators._training import Moments
from skae.solvers import NotFiniteError

# sparsity_weight="scale" is this fraction of the mean squared length of a row. A few
# times more, and the dictionary's penalty lets units go that explain little.
_WEIGHT = 0.003


class SparseCoding(BaseCoder):
    """DOCSTRING"""

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "sparsity_weight": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"scale"}),
        ],
        "dictionary_penalty": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"scale"}),
        ],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "topography": ["array-like", None],
        "pool_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "code_max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=None,
        *,
        sparsity_weight="scale",
        dictionary_penalty="scale",
        epsilon=1e-5,
        topography=None,
        pool_size=3,
        max_iter=200,
        code_max_iter=20,
        batch_size=1000,
        tol=0.02,
        random_state=None,
        warm_start=False,
        verbose=0,
    ):
        self.n_components = n_components
        self.sparsity_weight = sparsity_weight
        self.dictionary_penalty = dictionary_penalty
        self.epsilon = epsilon
        self.topography = topography
        self.pool_size = pool_size
        self.max_iter = max_iter
        self.code_max_iter = code_max_iter
        self.batch_size = batch_size
        self.tol = tol
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def fit(self, X, y=None, sample_weight=None):
        """Learn the dictionary from X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data, dense. float32 and float64 are kept, anything else becomes
            float64.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows. A row of weight zero counts as absent;
            a weight of two counts as the row twice within its batch.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight is not what is allowed; the
            message names it.

        Notes
        -----
        Ctrl-C ends training, keeps the dictionary of the last complete round and
        warns.
        """
        validate_params(self)
        continues = self.warm_start and hasattr(self, "components_")
        X, weights = self._validate_rows(X, sample_weight, reset=not continues)
        rng = check_random_state(self.random_state)
        self._prepare(X, weights, rng, continues, rescale=True)
        status = self._rounds(X, weights, rng)
        if status == "max_iter":
            warnings.warn(
                f"Training stopped at max_iter={self.max_iter} before it converged; "
                "increase max_iter, or tol if the loss has levelled off.",
                ConvergenceWarning,
                stacklevel=2,
            )
        elif status == "interrupted":
            warnings.warn(
                "Training interrupted by user; the dictionary so far is kept.",
                stacklevel=2,
            )
        return self

    def partial_fit(self, X, y=None, sample_weight=None):
        """One round with these rows: their codes, then the dictionary.

        The dictionary fits the codes of earlier calls too, the more recent the
        better. The first call sets what "scale" stands for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A batch of training data; several times ``n_components`` rows are best.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.

        Returns
        -------
        self : object
            The estimator itself.
        """
        validate_params(self)
        continues = hasattr(self, "components_")
        X, weights = self._validate_rows(X, sample_weight, reset=not continues)
        rng = check_random_state(self.random_state)
        self._prepare(X, weights, rng, continues, rescale=False)
        with RowEngine() as engine:
            self._round(engine, X, weights)
        return self

    def _validate_rows(self, X, sample_weight, reset):
        X = validate_data(self, X, dtype=DTYPES, order="C", reset=reset)
        weights = check_sample_weight(sample_weight, X)
        if weights is not None and not weights.all():
            X, weights = X[weights > 0], weights[weights > 0]
        return X, weights

    # -- fitting ---------------------------------------------------------------

    def _pooling(self, n_components):
        if self.topography is None:
            return NoPooling(n_components)
        shape = tuple(self.topography)
        whole = all(isinstance(edge, Integral) and edge >= 1 for edge in shape)
        if len(shape) != 2 or not whole:
            raise ValueError(
                f"topography={self.topography!r} must be two positive integers, "
                "(rows, columns), or None."
            )
        if shape[0] * shape[1] != n_components:
            raise ValueError(
                f"topography={self.topography!r} is a grid of "
                f"{shape[0] * shape[1]} units, but n_components={n_components}; "
                "choose two numbers whose product is n_components."
            )
        if self.pool_size > min(shape):
            raise ValueError(
                f"pool_size={self.pool_size} exceeds the grid of "
                f"topography={self.topography!r}; at most {min(shape)} is allowed."
            )
        return TorusPooling(int(shape[0]), int(shape[1]), int(self.pool_size))

    def _prepare(self, X, weights, rng, continues, rescale):
        """Set constants and start where there is none: attributes and ``_sums``."""
        shape = int(self.n_components or X.shape[1]), X.shape[1]
        pooling = self._pooling(shape[0])
        moments = Moments.of(X, weights)
        moments.check_magnitude(len(X), X.dtype)
        if continues and self.components_.shape != shape:
            raise ValueError(
                "Training continues from components_ of shape "
                f"{self.components_.shape}, but X and n_components now ask for "
                f"{shape}; use warm_start=False, or clone, to start afresh."
            )
        size = float(moments.mean @ moments.mean + moments.variance) ** 0.5 or 1.0
        if rescale or not continues:
            self._set_constants(size, pooling)
        if not continues:
            A = random_dictionary(rng, shape, size, self._model)
            self.components_ = A.astype(X.dtype)
            self._sums = Sums.of_nothing(*shape)
            self.n_iter_, self.loss_curve_ = 0, np.empty(0)

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

    def _rounds(self, X, weights, rng):
        """Rounds until the dictionary stands still; returns why they ended."""
        batches = Batches(len(X), int(self.batch_size or len(X)), rng)
        report = Report(int(self.verbose))
        self.n_iter_, self.loss_curve_ = 0, np.empty(0)
        try:
            with RowEngine() as engine:
                while self.n_iter_ < self.max_iter:
                    rows = batches.take()
                    part = None if weights is None else weights[rows]
                    change = self._round(engine, X[rows], part, batches.all_rows)
                    report(self.n_iter_, self.loss_curve_[-1], change)
                    if change <= self.tol:
                        return "converged"
        except KeyboardInterrupt:
            if self.n_iter_ == 0:
                raise
            return "interrupted"
        return "max_iter"

    def _round(self, engine, X, weights, all_rows=False):
        """Codes of X and the next dictionary; returns how far that is, relatively."""
        sums = self._sums.faded(all_rows)
        old = self.components_.astype(X.dtype, copy=False)
        try:
            A, loss = improve(
                engine, old, X, weights, self._model, int(self.code_max_iter), sums
            )
        except NotFiniteError:
            A = np.full_like(old, np.nan)
        if not np.isfinite(A).all():
            raise ValueError(
                f"Codes or dictionary of X overflow {X.dtype}; scale X, for instance "
                "with StandardScaler, or raise dictionary_penalty."
            )
        # All in one line, so that Ctrl-C finds a round complete or not begun.
        change = float(np.linalg.norm(A - old)) / (float(np.linalg.norm(A)) or 1.0)
        self.components_, self._sums = A, sums
        self.n_iter_ += 1
        self.loss_curve_ = np.append(self.loss_curve_, loss)
        return change

    # -- using what was learnt -------------------------------------------------

    def transform(self, X):
        """Code X with the dictionary.

        The code of a row is the minimum of the row's part of J, so it depends neither
        on the other rows nor on how they are batched.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In the dtype of X if that is float32 or float64. The root of s² + ε is
            smooth, so codes that stand for nothing are small, not exactly zero.
        """
        return self._encode(self._validate(X))

    def _encode(self, X):
        codes, converged = encode(self.components_, X, self._model)
        if not converged:
            warnings.warn(
                f"Some codes did not converge within {MAX_ITER_ENCODE} iterations; "
                "a larger epsilon or sparsity_weight makes them easier to find.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return codes

    def _decode(self, codes):
        return codes @ self.components_.astype(codes.dtype, copy=False)
