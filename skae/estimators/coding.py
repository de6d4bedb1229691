"""Sparse coding, plain and topographic."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skae._sklearn import (
    CallbackSupportMixin,
    Interval,
    validate_params,
)
from skae._warnings import warn
from skae.core.layers import Layers
from skae.engines.blas import single_threaded_blas
from skae.estimators._callbacks import fit_task
from skae.estimators._fitting import (
    ExtremeRowMixin,
    FittedDictionary,
    unchanged_on_error,
    warn_if_cut_short,
)
from skae.estimators._parameters import (
    STRENGTH,
    DocLinkMixin,
    Seed,
    Strength,
    check_works,
    n_units,
    resolved,
    strength,
)
from skae.estimators._reconstruction import ReconstructionMixin
from skae.export.onnx import WithoutGraph
from skae.rows.reading import MatrixLike, read
from skae.training.dictionary import MAX_ITER_ENCODE, DictionaryObjective, Encoder
from skae.training.problem import Problem, Settings
from skae.training.run import fit

# sparsity_weight="scale" is this fraction of the mean squared length of a row: a row
# of bench_sparse_coding.py's table, where most codes are silent and little is lost.
_WEIGHT = 0.01


class SparseCoding(
    WithoutGraph,
    ReconstructionMixin,
    DocLinkMixin,
    CallbackSupportMixin,
    ExtremeRowMixin,
    FittedDictionary,
    BaseEstimator,
):
    r"""Dictionary learning with smooth sparse codes, plain or topographic.

    Each row x_i is described as a sum of few atoms of a dictionary A. The code s_i of a
    row is not computed by an encoder but by optimisation. With the codes as the rows of
    S, the reconstruction is S A, and training minimises [1]_ [3]_

    .. math::

        J = \frac{1}{n} \|S A - X\|_F^2
            + \lambda \, \frac{1}{n} \sum_i \sum_r \sqrt{(V s_i^2)_r + \varepsilon}
            + \gamma \|A\|_F^2,

    where s² is taken entry by entry. By default V = I, and the middle term is a smooth
    version of Σ|s|, so that most entries of a code are close to zero.

    With ``topography`` the units lie on a grid whose opposite edges are joined [2]_.
    V[r, c] is 1 if unit c lies in the window of p x p units that starts at r, and 0
    otherwise. The penalty of a window is low if all of its units are inactive, so units
    that are active together become neighbours.

    Training alternates between two steps. First, the codes of a batch of rows are
    computed for the present dictionary. These are independent convex problems; each has
    its own L-BFGS, which starts at X Aᵀ/‖A_j‖², and all of them are computed together.
    Then the dictionary has a closed form,

    .. math::

        A = \left( \frac{1}{n} S^\top S + \gamma I \right)^{-1} \frac{1}{n} S^\top X,

    with sums over the rows of this round and, with decreasing weight, over those of
    earlier rounds.

    Parameters
    ----------
    n_components : int, default=None
        Number of units: the length of a code and the number of atoms. It may exceed the
        number of features. None uses the number of units of the grid of ``topography``
        or, without it, the number of features, but at most 8192.

    sparsity_weight : float, "scale" or ("scale", float), default="scale"
        Weight λ of the sparsity penalty, in [0, inf), in squared units of X. "scale" is
        0.01 times the mean squared length of a row, divided by the number of units in a
        window. Larger values make the codes sparser. If λ is too large, the atoms of
        some units become zero, and these units are no longer used. ("scale", 3) is
        three times "scale".

    dictionary_penalty : float, "scale" or ("scale", float), default="scale"
        Weight γ of the dictionary penalty, in (0, inf). It keeps the dictionary from
        growing while the codes shrink. "scale" is 1/``n_components``, which gives codes
        of order one. Apart from the scale of the codes, and for small ε, only λ²γ
        matters.

    epsilon : float, default=1e-5
        Smoothing ε, in (0, inf), in squared units of a code. Codes well below √ε are
        practically zero.

    topography : tuple of two int, default=None
        (rows, columns) of the grid of units. ``components_`` lists the units row by
        row. The product must be ``n_components``. None is plain sparse coding.

    pool_size : int, default=3
        Edge p of a window of neighbouring units, at most the shorter edge of the grid.
        Only used with ``topography``.

    max_iter : int, default=300
        Maximum number of rounds.

    code_max_iter : int, default=10
        Maximum number of iterations of L-BFGS for a code in a round. With more, fewer
        rounds are needed, but each takes longer, and more units are no longer used in
        the end. ``transform`` uses as many iterations as a code needs.

    batch_size : int, default=1000
        Number of rows in a round, drawn in a random order. Several times
        ``n_components`` is best. None uses all rows in every round, as does a number
        that is at least the number of rows.

    tol : float, default=0.05
        Training ends when a round changes the dictionary by no more than ``tol``,
        relative to its Frobenius norm. ``loss_curve_`` shows whether a smaller value
        would help.

    random_state : int, RandomState instance or None, default=None
        Determines the initial dictionary and the batches. Pass an int for reproducible
        results.

    warm_start : bool, default=False
        Whether ``fit`` continues from the dictionary of the previous call instead of a
        new random one.

    verbose : int, default=0
        1 prints a line for every tenth round, 2 for every round.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        A, the dictionary: what each unit adds to a reconstruction.

    loss_curve_ : ndarray of shape (n_iter_,)
        J of the rows of each round, before the dictionary was changed.

    n_iter_ : int
        Number of rounds, by ``fit`` and by calls of ``partial_fit`` after it.

    pooling_ : scipy.sparse.csr_array of shape (n_components, n_components)
        The matrix V.

    sparsity_weight_ : float
        The value of λ that was used.

    dictionary_penalty_ : float
        The value of γ that was used.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features. Only defined if X has feature names that are all strings.

    See Also
    --------
    SparseAutoencoder : Sparse codes by an encoder, without optimisation for each row.
    sklearn.decomposition.MiniBatchDictionaryLearning : Atoms of unit length, codes
        with exact zeros.
    sklearn.decomposition.FastICA : At most as many units as features, and codes that
        are linear in the rows.

    Notes
    -----
    The code of the UFLDL tutorial divides the first term by n, but not λ and γ. Its λ
    is therefore the λ here divided by n: 5e-5 with batches of 2000 rows is
    ``sparsity_weight=0.1`` here. Its γ of 1e-2 is ``dictionary_penalty=0.01``.

    There is no bias, and X is not centred, as in scikit-learn's dictionary learning.
    First remove what the atoms should not describe: the column means with
    ``StandardScaler(with_std=False)``, or the mean of each patch of an image. With the
    default weights, the codes of c X are those of X, and its dictionary is c times as
    large.

    ``transform`` computes codes in float64 for every dtype of X, and returns them in
    the dtype of X. ``fit`` computes in the dtype of X.

    References
    ----------
    .. [1] B. A. Olshausen and D. J. Field, "Emergence of simple-cell receptive field
       properties by learning a sparse code for natural images", Nature 381 (1996)
       607-609.
    .. [2] A. Hyvärinen, P. O. Hoyer and M. Inki, "Topographic independent component
       analysis", Neural Computation 13 (2001) 1527-1558.
    .. [3] A. Ng, J. Ngiam, C. Y. Foo, Y. Mai and C. Suen, UFLDL Tutorial, "Sparse
       Coding: Autoencoder Interpretation", Stanford University: the objective, the
       two steps and the start of the codes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseCoding
    >>> X, _ = load_digits(return_X_y=True)
    >>> coding = SparseCoding(topography=(8, 8), random_state=0).fit(X)
    >>> codes = coding.transform(X[:200])
    >>> codes.shape
    (200, 64)
    >>> bool(coding.score(X[:200]) > 0.9)
    True
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "sparsity_weight": STRENGTH,
        "dictionary_penalty": [
            Interval(Real, 0, None, closed="neither"),
            *STRENGTH[1:],
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
        n_components: int | None = None,
        *,
        sparsity_weight: Strength = "scale",
        dictionary_penalty: Strength = "scale",
        epsilon: float = 1e-5,
        topography: Sequence[int] | None = None,
        pool_size: int = 3,
        max_iter: int = 300,
        code_max_iter: int = 10,
        batch_size: int | None = 1000,
        tol: float = 0.05,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
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

    def fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn the dictionary from X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 and float64 are kept, other types are converted
            to float64. Sparse X, of any format, gives the same dictionary as dense X;
            only its non-zeros are multiplied, and no dense rows are formed.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows. A row of weight zero is ignored,
            without a copy of the others. A row of weight two counts twice within its
            batch.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight has a value that is not allowed. The
            message names it.

        Notes
        -----
        Ctrl-C ends training, keeps the dictionary of the last complete round and
        warns. If joblib runs this fit among others, as in a grid search, Ctrl-C ends
        all of them with KeyboardInterrupt.

        From scikit-learn 1.9 on, callbacks set by ``set_callbacks`` follow every
        round. They get the rows as targets. scikit-learn's metrics do not accept sparse
        targets, so with sparse X give ``ScoringMonitor`` a function, such as
        ``scoring={"score": lambda estimator, X, y: estimator.score(X)}``.
        """
        with unchanged_on_error(self), single_threaded_blas():
            trained, extreme = self._learn(X, sample_weight)
        self._warn_of_extreme_row(extreme)
        warn_if_cut_short(self, trained.status, fault=trained.fault, kept="dictionary")
        return self

    def _learn(self, X, sample_weight):
        """Fit; return what training gave, and an extreme row."""
        continues = self.warm_start and hasattr(self, "components_")
        data, given = self._read(X, sample_weight, reset=not continues)
        random_state = check_random_state(self.random_state)
        constants, moments = self._constants(data)
        settings = Settings(
            solver="rounds",
            max_iter=int(self.max_iter),
            tol=float(self.tol),
            batch_size=int(self.batch_size or data.n_rows),
            verbose=int(self.verbose),
        )
        problem = _problem(data, constants, settings, int(self.code_max_iter))
        start = self._start(problem.objective, random_state, moments, continues)
        with fit_task(self, *given.shown, settings.max_iter) as task:
            problem = replace(problem, task=task)
            trained = fit(problem, [start], [random_state])
            self._keep(problem, trained, constants)
        return trained, moments.extreme_row

    def partial_fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Train for one round on these rows: their codes, then the dictionary.

        The dictionary also fits the codes of earlier calls; recent calls have more
        weight. The first call determines the values of "scale".

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A batch of training data; several times ``n_components`` rows are best.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.

        Returns
        -------
        object
            The estimator itself.
        """
        with unchanged_on_error(self), single_threaded_blas():
            trained, extreme = self._partial_fit(X, sample_weight)
        self._warn_of_extreme_row(extreme)
        warn_if_cut_short(self, None, fault=trained.fault)
        return self

    def _partial_fit(self, X, sample_weight):
        continues = hasattr(self, "components_")
        data, _ = self._read(X, sample_weight, reset=not continues)
        random_state = check_random_state(self.random_state)
        constants, moments = self._constants(data)
        if continues:
            self._check_shape((constants["n_components"], data.X.shape[1]))
            self._check_same(constants)
            constants = self._fitted_constants
        settings = Settings(
            solver="rounds", max_iter=1, tol=0.0, batch_size=data.n_rows
        )
        problem = _problem(data, constants, settings, int(self.code_max_iter))
        start = self._start(problem.objective, random_state, moments, continues)
        state = self._sums if continues else None
        trained = fit(problem, [start], [random_state], state=state)
        if continues:
            curve = np.append(self.loss_curve_, trained.loss_curve)
            n_iter = self.n_iter_ + trained.n_iter
            trained = replace(trained, loss_curve=curve, n_iter=n_iter)
        self._keep(problem, trained, constants)
        return trained, None if continues else moments.extreme_row

    def transform(self, X: MatrixLike) -> np.ndarray:
        """Code X with the dictionary.

        The code of a row minimises the part of J that belongs to this row. It does not
        depend on the other rows or on batches.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            In the dtype of X if that is float32 or float64. The square root of s² + ε
            is smooth, so the codes of unused atoms are small but not exactly zero.
        """
        return super().transform(X)

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    def _read(self, X, sample_weight, reset):
        """Validate parameters and data: ``Data``, and what was given."""
        validate_params(self)
        given = read(self, X, sample_weight, reset=reset)
        check_works(self, given, "rounds")
        return given.data(), given

    def _constants(self, data):
        """Those of J, with numbers for what is "scale", and the rows' moments."""
        k, grid, window = self._units(data.X.shape[1])
        moments = data.moments
        moments.check_magnitude(data.n_rows, data.X.dtype)
        # A code that is active alone counts in window² pools.
        of_scale = _WEIGHT * ((moments.size or 1.0) / window) ** 2
        weight = resolved(self, "sparsity_weight", of_scale)
        penalty = resolved(self, "dictionary_penalty", 1 / k)
        if not penalty:
            raise ValueError(
                "dictionary_penalty must be a multiple above 0 of 'scale', got "
                f"dictionary_penalty={self.dictionary_penalty!r}."
            )
        constants = {
            "n_components": k,
            "sparsity_weight": weight,
            "dictionary_penalty": penalty,
            "epsilon": float(self.epsilon),
            "topography": grid,
            "pool_size": window,
        }
        return constants, moments

    def _units(self, n_features):
        """How many units, on what grid, with pools of what edge."""
        if self.topography is None:
            return n_units(self.n_components, n_features), None, 1
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
        return units, (int(grid[0]), int(grid[1])), int(self.pool_size)

    def _start(self, objective, random_state, moments, continues):
        """The dictionary to start from, as a flat vector."""
        if not continues:
            return objective.start(random_state, moments.size or 1.0)
        self._check_shape(objective.shape)
        with np.errstate(over="ignore"):  # refused after the round
            return self.components_.astype(objective.dtype).ravel()

    def _check_shape(self, shape):
        if self.components_.shape != shape:
            raise ValueError(
                "Training continues from components_ of shape "
                f"{self.components_.shape}, but X and n_components now ask for "
                f"{shape}; use warm_start=False, or clone, to start afresh."
            )

    def _check_same(self, constants):
        """Refuse parameters of J that changed between two calls of partial_fit."""
        fitted = self._fitted_constants
        for name in ("sparsity_weight", "dictionary_penalty"):
            (number, of_scale), used = strength(self, name), fitted[name]
            if not of_scale and number != used:
                raise ValueError(
                    f"partial_fit continues with {name}={used:g}, got {name}={number:g}"
                    f"; set {name} back, or fit afresh."
                )
        same = ("epsilon", "topography", "pool_size")
        if any(constants[name] != fitted[name] for name in same):
            raise ValueError(
                "partial_fit continues with the epsilon, topography and pool_size of "
                "the first call; set them back, or fit afresh."
            )

    def _keep(self, problem, trained, constants):
        """Set the fitted attributes, in one step."""
        vars(self).update(
            {
                **problem.objective.attributes(trained.theta),
                "loss_curve_": trained.loss_curve,
                "n_iter_": trained.n_iter,
                "pooling_": _pooling_matrix(constants),
                "sparsity_weight_": constants["sparsity_weight"],
                "dictionary_penalty_": constants["dictionary_penalty"],
                "_fitted_constants": constants,
                "_sums": trained.state,
            }
        )

    _why_no_graph = (
        "each code is found by optimisation, in no fixed number of steps. Use "
        "SparseAutoencoder, whose codes are one layer"
    )

    def __getstate__(self):
        # It is of a class that is private to SciPy, and the constants say as much.
        return {k: v for k, v in super().__getstate__().items() if k != "pooling_"}

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_fitted_constants" in state:
            self.pooling_ = _pooling_matrix(self._fitted_constants)

    def _encoder(self, dtype):
        A = self.components_
        constants, n_features = self._fitted_constants, A.shape[1]
        return Encoder(A, DictionaryObjective.of(constants, n_features, A.dtype))

    def _decoder(self, dtype):
        A = self.components_
        return Layers([A.T], [np.zeros(A.shape[1])], ["identity"], dtype)

    def _code_scale(self, dtype):
        """Codes are coefficients of atoms of about one length: they are kept."""
        return None

    def _check_codes(self, encode):
        if not encode.converged:
            warn(
                f"Some codes did not converge within {MAX_ITER_ENCODE} iterations; "
                "a larger epsilon or sparsity_weight makes them easier to find.",
                ConvergenceWarning,
            )


def _pooling_matrix(constants):
    """The V of the formulas."""
    objective = DictionaryObjective.of(constants, 1, float)
    k, indices = constants["n_components"], objective.pooling.indices()
    return csr_array((np.ones(len(indices[0])), indices), shape=(k, k))


def _problem(data, constants, settings, code_max_iter):
    X = data.X
    objective = DictionaryObjective.of(constants, X.shape[1], X.dtype, code_max_iter)

    def attributes(theta, n_iter):
        own = {"_fitted_constants": constants, "n_iter_": n_iter}
        return {**objective.attributes(theta), **own}

    return Problem(objective, data, None, settings, attributes=attributes)
