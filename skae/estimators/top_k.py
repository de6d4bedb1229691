"""The TopK autoencoder, whose codes have few non-zero entries."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, csr_matrix, issparse
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from skae._sklearn import CallbackSupportMixin, Interval, StrOptions, validate_params
from skae.core.top_k import SparseEncoder, TopKObjective
from skae.core.top_k_selection import SELECTIONS
from skae.engines.blas import single_threaded_blas
from skae.engines.sparse_codes import filled, firing, sparse_codes
from skae.estimators._callbacks import fit_task
from skae.estimators._fitting import (
    ExtremeRowMixin,
    unchanged_on_error,
    warn_if_cut_short,
)
from skae.estimators._lazy import on_chunks
from skae.estimators._parameters import (
    TRAINING_CONSTRAINTS,
    DocLinkMixin,
    Seed,
    check_works,
    n_codes,
    nested_prefixes,
)
from skae.estimators._reconstruction import ReconstructionMixin
from skae.rows.masked import refuse_masked
from skae.rows.reading import DTYPES, MatrixLike, read
from skae.training import top_k
from skae.training.early_stopping import hold_out
from skae.training.problem import Problem, Settings
from skae.training.run import fit

_MAX_SEED = np.iinfo(np.int32).max
# Units for each feature where their number is not given.
_EXPANSION = 8
_AUTO = StrOptions({"auto"})
_ROWS_TO_START = 1024
# max_iter=None is the number of epochs with this many steps, but at least two.
_STEPS, _LEAST_EPOCHS = 5000, 2
_LARGEST_BATCH, _SMALLEST_BATCH, _BATCHES = 1024, 64, 16
# A unit of average use is active once in n/k rows. Dead units miss this many times.
_TURNS_MISSED = 256


class TopKAutoencoder(
    ReconstructionMixin,
    DocLinkMixin,
    CallbackSupportMixin,
    ExtremeRowMixin,
    BaseEstimator,
):
    r"""Autoencoder whose codes have few non-zero entries.

    It learns a dictionary with many more units than there are features, and represents
    each row by only a few of them. It is useful to interpret embeddings of words,
    sentences or images. The code h and the reconstruction x̂ of a row x are

    .. math::

        h = \mathrm{ReLU}(\mathrm{top}_k(W (x - c) + b)), \qquad
        \hat x = D^\top h + c, \qquad \|D_j\| = 1,

    where top-k keeps the largest entries and sets the others to zero [1]_. It keeps the
    k m largest entries of a batch of m rows [2]_, or the k largest entries of each row.
    Training minimises

    .. math::

        J = \frac{1}{n} \sum_i \|\hat x_i - x_i\|^2 + \alpha v R,

    where v is the variance of the rows, summed over the columns. The term R revives
    dead units, which have not been active for many rows. The dead units learn to
    reconstruct the errors e = x − x̂, using the d/2 dead units with the largest entries
    for each row of d features. R is the fraction of the variance of the errors that
    remains after this reconstruction.

    With ``prefixes``, the first term of J is the mean over reconstructions from the
    first p_1, the first p_2, ..., and all units [3]_. The first units then learn the
    coarse features.

    The solver is Adam, on batches of rows. The atoms D_j are normalised to length one
    after each step, and the component of the gradient along them is removed. All matrix
    products except that of the encoder use only the non-zero codes where this is
    faster. ``transform`` returns the codes as a CSR matrix, so a dense matrix of all
    codes is never formed.

    Parameters
    ----------
    n_components : int, default=None
        Number of units n. None means 8 units for each feature.

    n_nonzero_coefs : int, float or "auto", default="auto"
        Number k of non-zero codes of a row, in (0, n_components]. With
        ``selection="batch"`` this is the mean over the rows, and can be a fraction such
        as 7.5. With ``selection="row"`` this is the maximum for each row.
        "auto" is a sixth of the number of features, at least 1 and at most 32: with k
        near the number of features, a few units reconstruct every row, and the others
        die.

    selection : {"batch", "row"}, default="batch"
        "batch" keeps the largest entries of a batch of rows, so that rows that are
        difficult to reconstruct have more codes. ``transform`` then keeps all entries
        above ``threshold_``, so that the code of a row does not depend on other rows.
        "row" keeps the k largest entries of each row, like orthogonal matching pursuit.

    prefixes : sequence of int, default=None
        Numbers of units such as (64, 256), in ascending order and at most
        ``n_components``. The first 64 units, the first 256 units and all units then
        learn to reconstruct the rows without the other units. The code of a prefix is
        the slice ``transform(X)[:, :64]``. None uses all units only.

    auxiliary_weight : float, default=1/32
        Weight α of the term that revives dead units, in [0, inf).

    dead_after : int or "auto", default="auto"
        Number of consecutive rows, at least 1, on which a unit must be inactive to be
        dead. "auto" is 256 n/k, in which a unit of average use is active 256 times, but
        at most the number of rows.

    max_iter : int, default=None
        Number of epochs, at least 1. None means the number of epochs with 5000 batches,
        but at least two.

    batch_size : int or "auto", default="auto"
        Number of rows of a batch, at least 1. "auto" is 1/16 of the rows, but between
        64 and 1024.

    learning_rate : {"linear", "constant"}, default="linear"
        With "linear", the rate decreases linearly to zero after ``max_iter`` epochs,
        and training never ends before. With "constant", training ends when the loss
        does not decrease any more, see ``tol``.

    learning_rate_init : float, default=0.03
        Initial learning rate of Adam, in (0, inf), relative to the typical size of the
        entries: 1/√d for W and D, and the spread of the features for b and c. A larger
        rate learns faster, but if it is too large, more units are dead.

    tol : float, default=1e-3
        With ``learning_rate="constant"``, training ends when the relative decrease of
        the loss, estimated from the last quarter of the epochs, is at most ``tol``.
        With ``early_stopping``, it ends when the score has increased by less than
        ``tol`` in ``n_iter_no_change`` epochs.

    shuffle : bool, default=True
        Whether to shuffle the rows in each epoch.

    early_stopping : bool, default=False
        Whether to hold out some rows, and to keep the weights that explain most of
        their variance.

    validation_fraction : float, default=0.1
        Fraction of the rows to hold out, in (0, 1).

    n_iter_no_change : int, default=10
        Number of epochs without progress after which training ends, at least 1.

    random_state : int, RandomState instance or None, default=None
        Seed of the initial atoms, the batches and the held-out rows. Pass an int for
        reproducible results.

    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous call.

    verbose : int, default=0
        1 prints a line every tenth epoch, 2 prints a line every epoch.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        W, the weights of the encoder.

    intercept_hidden_ : ndarray of shape (n_components,)
        b, the biases of the units.

    decoder_components_ : ndarray of shape (n_components, n_features)
        D, the dictionary. Its rows are the atoms: what a unit with code 1 adds to the
        reconstruction.

    intercept_visible_ : ndarray of shape (n_features,)
        c, the output biases. Training starts from the column means.

    threshold_ : float
        With ``selection="batch"``, ``transform`` keeps the entries above this value. It
        is a running mean, over about 100 batches, of the smallest code that was kept.

    activation_frequency_ : ndarray of shape (n_components,)
        Fraction of the training rows on which each unit is active, with the final
        weights. After ``partial_fit``, of the rows of the last call.

    l0_ : float
        Mean number of non-zero codes of a training row.

    dead_fraction_ : float
        Fraction of the units that are not active on any training row.

    loss_ : float
        J of the last epoch, or of the epoch whose weights were kept, in squared units
        of X. It is the mean over the batches during this epoch.

    loss_terms_ : dict
        The terms "errors" and "auxiliary" of J.

    loss_curve_ : ndarray of shape (n_iter_,)
        J of each epoch.

    validation_scores_ : ndarray of shape (n_iter_,) or None
        Scores on the held-out rows after each epoch.

    n_iter_ : int
        Number of epochs, including those of later calls of ``partial_fit``.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all feature names of X are strings.

    See Also
    --------
    SparseAutoencoder : Codes are small for most rows, but never exactly zero.
    SparseCoding : Codes are found by optimisation for each row.
    sklearn.decomposition.MiniBatchDictionaryLearning : Codes are found by orthogonal
        matching pursuit or the lasso, without an encoder.
    skae.inspection.top_samples : Find the samples with the largest codes of a unit.

    Notes
    -----
    X can be an array, a memory map or a sparse matrix. Sparse matrices are converted to
    dense arrays one batch at a time. The code of a row is exactly the same alone and
    among other rows, because rows are encoded in blocks of a fixed size. ``predict``,
    ``score_samples`` and ``score`` accept dask collections, but ``fit`` does not.

    If all rows are equal, they are reconstructed by c, and all codes are zero.

    ``fit`` warns if more than a quarter of the units are dead. This happens if there
    are too few rows for so many units, if k is near the number of features, or if
    training was short.

    References
    ----------
    .. [1] L. Gao, T. Dupré la Tour, H. Tillman, G. Goh, R. Troll, A. Radford,
       I. Sutskever, J. Leike and J. Wu, "Scaling and evaluating sparse autoencoders",
       2024, arXiv:2406.04093. Section A.2 normalises the loss of dead units in the
       same way.
    .. [2] B. Bussmann, P. Leask and N. Nanda, "BatchTopK sparse autoencoders", 2024,
       arXiv:2412.06410.
    .. [3] B. Bussmann, N. Nabeshima, A. Karvonen and N. Nanda, "Learning multi-level
       features with Matryoshka sparse autoencoders", ICML 2025, arXiv:2503.17547.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import TopKAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> model = TopKAutoencoder(128, 8, max_iter=50, random_state=0).fit(X)
    >>> codes = model.transform(X)
    >>> codes.shape, round(codes.nnz / len(X))
    ((1797, 128), 8)
    >>> bool(model.score(X) > 0.85)
    True
    """

    def __init__(
        self,
        n_components: int | None = None,
        n_nonzero_coefs: float | str = "auto",
        *,
        selection: str = "batch",
        prefixes: Sequence[int] | None = None,
        auxiliary_weight: float = 1 / 32,
        dead_after: int | str = "auto",
        max_iter: int | None = None,
        batch_size: int | str = "auto",
        learning_rate: str = "linear",
        learning_rate_init: float = 3e-2,
        tol: float = 1e-3,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.n_nonzero_coefs = n_nonzero_coefs
        self.selection = selection
        self.prefixes = prefixes
        self.auxiliary_weight = auxiliary_weight
        self.dead_after = dead_after
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.tol = tol
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "n_nonzero_coefs": [Interval(Real, 0, None, closed="neither"), _AUTO],
        "selection": [StrOptions(set(SELECTIONS))],
        "prefixes": ["array-like", None],
        "auxiliary_weight": [Interval(Real, 0, None, closed="left")],
        "dead_after": [Interval(Integral, 1, None, closed="left"), _AUTO],
        **{
            name: allowed
            for name, allowed in TRAINING_CONSTRAINTS.items()
            if name not in ("solver", "max_fun", "growing_samples")
        },
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
    }

    def fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Fit the dictionary to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 and float64 are kept, anything else becomes
            float64. A C-contiguous array of these types is not copied; if it is a
            ``numpy.memmap``, it may be larger than memory.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows. A row with weight two counts like two
            equal rows of a batch, also for the number of codes that are kept. A row
            with weight zero is ignored.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight is invalid. The message names the
            problem.

        Notes
        -----
        Ctrl-C ends training with a warning and keeps the current weights. From
        scikit-learn 1.9 on, callbacks set by ``set_callbacks`` are called in every
        epoch.
        """
        with unchanged_on_error(self), single_threaded_blas():
            trained, extreme = self._learn(X, sample_weight)
        self._warn_of_extreme_row(extreme)
        fault = trained.fault or top_k.fault_of_dead_units(trained, vars(self))
        # With a rate that decreases to zero, max_iter is the planned end of training.
        warn_if_cut_short(self, trained.status, fault=fault)
        return self

    def _learn(self, X, sample_weight):
        """Fit; return the result of training, and an extreme row."""
        continues = self.warm_start and hasattr(self, "components_")
        data, given = self._read(X, sample_weight, reset=not continues)
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(_MAX_SEED)
        held_out = None
        if self.early_stopping:
            data, held_out = hold_out(data, self.validation_fraction, random_state)
        problem, moments = self._problem(data, self._epochs(data.n_rows))
        if held_out is not None:
            unit = held_out.moments.variance or 1.0
            validate = top_k.HeldOutErrors(problem.objective, held_out, unit)
            problem = replace(problem, validate=validate)
        with fit_task(self, *given.shown, problem.settings.max_iter) as task:
            problem = replace(problem, task=task, goes_on=continues)
            start = self._start(problem, seed, continues)
            trained = fit(problem, [start], [seed])
            self._keep(problem, trained)
            # The state of Adam, from which partial_fit would continue.
            self._state = None
        return trained, moments.extreme_row

    def partial_fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Update the weights with one pass through X, in batches.

        Use it for data that arrive in parts. The first part sets the scale of the data
        and the initial c, so it should be a representative sample of some hundred rows.
        The learning rate is constant. After ``fit``, the averages of Adam start again
        from zero.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some rows.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows. A row with weight two counts like two
            equal rows of a batch, also for the number of codes that are kept. A row
            with weight zero is ignored.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight is invalid. The message names the
            problem.
        """
        with unchanged_on_error(self), single_threaded_blas():
            trained, extreme = self._partial_fit(X, sample_weight)
        self._warn_of_extreme_row(extreme)
        if trained.fault or trained.status == "interrupted":  # and not for one epoch
            warn_if_cut_short(self, trained.status, fault=trained.fault)
        return self

    def _partial_fit(self, X, sample_weight):
        continues = hasattr(self, "components_")
        data, _ = self._read(X, sample_weight, reset=not continues)
        seed = check_random_state(self.random_state).randint(_MAX_SEED)
        problem, moments = self._problem(data, 1, self._unit if continues else None)
        once = replace(problem.settings, learning_rate="constant")
        problem = replace(problem, settings=once)
        start = self._start(problem, seed, continues)
        state = self._state if continues else None
        trained = fit(problem, [start], [seed], state=state)
        if continues:
            curve = np.append(self.loss_curve_, trained.loss_curve)
            n_iter = self.n_iter_ + trained.n_iter
            trained = replace(trained, loss_curve=curve, n_iter=n_iter)
        self._keep(problem, trained)
        self._state = trained.state
        return trained, None if continues else moments.extreme_row

    def transform(self, X: MatrixLike) -> Any:
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        sparse matrix of shape (n_samples, n_components)
            Codes of the rows, in the dtype of X if that is float32 or float64: a
            ``scipy.sparse.csr_matrix`` or, with scikit-learn's
            ``config_context(sparse_interface="sparray")``, a ``csr_array``.
        """
        rows, encoder = self._rows_and_encoder(X)
        shape = len(rows), self._n_features_out
        parts = sparse_codes(encoder, rows)
        # This option exists from scikit-learn 1.9 on.
        arrays = get_config().get("sparse_interface") == "sparray"
        return (csr_array if arrays else csr_matrix)(parts, shape=shape)

    @on_chunks
    def inverse_transform(self, X: MatrixLike) -> np.ndarray:
        """Decode codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Codes, as ``transform`` returns them.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The reconstructions.
        """
        check_is_fitted(self, "n_iter_")
        refuse_masked(X, "X")
        codes = check_array(X, accept_sparse="csr", dtype=DTYPES)
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but inverse_transform takes codes "
                f"with n_components={self._n_features_out}, as transform returns them."
            )
        return self._encoder(codes.dtype).decode(codes)

    @on_chunks
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Reconstruct X.

        The result equals ``inverse_transform(transform(X))``, except for rounding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The reconstruction of every row.
        """
        rows, encoder = self._rows_and_encoder(X)
        out = np.empty(rows.shape, rows.dtype)
        return filled(encoder.reconstruct, encoder, rows, out)

    def _rows_and_encoder(self, X):
        rows = self._rows(X)
        return rows, self._encoder(rows.dtype)

    def _squared_errors(self, rows):
        """‖x̂_i − x_i‖² of each row, in float64."""
        encoder = self._encoder(rows.dtype)
        return filled(encoder.squared_errors, encoder, rows, np.empty(len(rows)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def _encoder(self, dtype):
        kind, k = self._selection
        return SparseEncoder(
            self.components_,
            self.intercept_hidden_,
            self.decoder_components_,
            self.intercept_visible_,
            SELECTIONS[kind](k),
            self.threshold_,
            dtype,
            csr_array,
        )

    def _read(self, X, sample_weight, reset):
        """Validate parameters and data. Return ``Data`` and the original input."""
        validate_params(self)
        given = read(self, X, sample_weight, reset=reset)
        check_works(self, given, "top_k")
        return given.data(), given

    def _units(self, n_features):
        """Number of units, number of codes of a row, and the prefixes."""
        n = self.n_components
        n = _EXPANSION * n_features if n is None else int(n)
        return n, n_codes(self, n, n_features), nested_prefixes(self.prefixes, n)

    def _epochs(self, n_rows):
        if self.max_iter is not None:
            return int(self.max_iter)
        return max(_LEAST_EPOCHS, -(-_STEPS // -(-n_rows // self._batch(n_rows))))

    def _batch(self, n_rows):
        size = self.batch_size
        if size == "auto":
            size = np.clip(n_rows // _BATCHES, _SMALLEST_BATCH, _LARGEST_BATCH)
        return int(min(size, n_rows))

    def _problem(self, data, max_iter, unit=None):
        """What is to be minimised and how, and the moments of the rows."""
        n_features, dtype = data.X.shape[1], data.X.dtype
        n, k, prefixes = self._units(n_features)
        moments = data.moments
        moments.check_magnitude(data.n_rows, dtype)
        if unit is None:
            unit = 1.0 if moments.no_variation(dtype) else moments.variance
        dead_after = self.dead_after
        if dead_after == "auto":
            # At most one epoch, if there are several.
            most = data.n_rows if max_iter > 1 else np.inf
            dead_after = int(min(most, np.ceil(_TURNS_MISSED * n / k)))
        objective = TopKObjective(
            n_features,
            n,
            selection=SELECTIONS[self.selection](k),
            prefixes=prefixes,
            dtype=dtype,
            matrix=csr_array,
            auxiliary_weight=float(self.auxiliary_weight),
            dead_after=int(dead_after),
            unit=float(unit),
        )
        settings = replace(
            Settings.of(self, data.n_rows),
            solver="top_k",
            max_iter=max_iter,
            batch_size=self._batch(data.n_rows),
        )
        own = {"_selection": (self.selection, k), "_unit": float(unit)}
        attributes = partial(_fitted, objective, own)
        return Problem(objective, data, None, settings, attributes=attributes), moments

    def _start(self, problem, seed, continues):
        objective, data = problem.objective, problem.data
        if continues:
            shape = objective.n_components, objective.n_features
            if self.components_.shape != shape:
                raise ValueError(
                    f"Training continues from components_ of shape "
                    f"{self.components_.shape}, but X and n_components now ask for "
                    f"{shape}; use warm_start=False, or clone, to start afresh."
                )
            return top_k.theta_of(objective, vars(self))
        sample, mean = data.sample(_ROWS_TO_START), data.moments.mean
        X = sample.X.given
        A = (X.toarray() if issparse(X) else X) - mean
        return objective.start(
            np.random.RandomState(seed), mean, A.astype(objective.dtype), sample.weights
        )

    def _keep(self, problem, trained):
        """Set the fitted attributes, in one step."""
        objective, data = problem.objective, problem.data
        encoder = top_k.encoder_at(objective, trained.theta)
        frequency = firing(encoder, data.X, data.weights, objective.n_components)
        vars(self).update(
            {
                **problem.attributes(trained.theta, trained.n_iter),
                "activation_frequency_": frequency,
                "l0_": float(frequency.sum()),
                "dead_fraction_": float(np.mean(frequency == 0)),
                "loss_": trained.loss,
                "loss_terms_": trained.terms,
                "loss_curve_": trained.loss_curve,
                "validation_scores_": trained.validation_scores,
            }
        )


def _fitted(objective, own, theta, n_iter):
    """Attributes of an estimator whose training stops at θ."""
    return {**top_k.attributes(objective, theta), **own, "n_iter_": n_iter}
