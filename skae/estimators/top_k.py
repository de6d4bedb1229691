"""The TopK autoencoder: codes of which few are not zero."""

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
from skae.estimators._fitting import unchanged_on_error, warn_if_cut_short
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
from skae.training.early_stopping import hold_out
from skae.training.problem import Problem, Settings
from skae.training.run import fit
from skae.training.top_k import HeldOutErrors, attributes, encoder_at, theta_of

_MAX_SEED = np.iinfo(np.int32).max
# Units for each feature where their number is not given.
_EXPANSION = 8
_ROWS_TO_START = 1024
# max_iter=None is as many epochs as make so many steps, and two at the least.
_STEPS, _LEAST_EPOCHS = 5000, 2
_LARGEST_BATCH, _SMALLEST_BATCH, _BATCHES = 1024, 64, 16
# A unit of average use fires once in n/k rows; dead is what misses so many of these.
_TURNS_MISSED = 256


class TopKAutoencoder(
    ReconstructionMixin,
    DocLinkMixin,
    CallbackSupportMixin,
    BaseEstimator,
):
    """Autoencoder whose codes have few non-zeros out of thousands of units.

    For embeddings of words, sentences or pictures: an overcomplete dictionary of
    features that can be read, of which each row uses few. Code and reconstruction of a
    row x are::

        h = ReLU(top-k(W (x − c) + b)),    x̂ = Dᵀ h + c,    ‖D_j‖ = 1,

    where top-k keeps the largest entries [1]_: the k m largest of a batch of m rows
    [2]_, or the k largest of each row. Training minimises::

        J = (1/n) Σ_i ‖x̂_i − x_i‖² + α v R,

    where v is the variance of the rows, Σ over the columns. R revives dead units: of
    the errors e = x − x̂ it is the fraction of their variance that remains when the
    dead units, which have long been silent, reconstruct them, the d/2 most active ones
    of each row, for d features. With ``prefixes`` the first term becomes the mean of
    those of the first p_1, p_2, … and of all units [3]_, so that the first ones are
    the coarse features.

    The solver is Adam, on batches of rows. The atoms D_j are kept at length one: the
    gradient's part along them is taken away, and they are normalised after each step.
    All products but the encoder's take the non-zeros of the codes alone, and
    ``transform`` returns them as a CSR matrix, so that no dense matrix of all codes is
    ever formed.

    Parameters
    ----------
    n_components : int, default=None
        Number of units. None takes 8 for each feature.

    n_nonzero_coefs : int or float, default=32
        Codes of a row that are not zero, k, above 0 and ``n_components`` at most. They
        are so many on average with ``selection="batch"``, where k may be a fraction
        such as 7.5, and so many at most with ``selection="row"``.

    selection : {"batch", "row"}, default="batch"
        "batch" lets rows that need more codes have more. ``transform`` then keeps all
        codes above ``threshold_``, so that the code of a row does not depend on the
        rows beside it. "row" keeps the k largest of each row, as orthogonal matching
        pursuit does.

    prefixes : sequence of int, default=None
        Numbers of units, in ascending order and ``n_components`` at most, that are to
        reconstruct by themselves, such as (64, 256). All units are added at the end
        where they are not there. The code of a prefix is the slice
        ``transform(X)[:, :64]``. None asks it of all units only.

    auxiliary_weight : float, default=1/32
        Weight α of the loss of dead units, in [0, inf).

    dead_after : int or "auto", default="auto"
        Rows on end, at least 1, for which a unit must be silent to count as dead.
        "auto" is 256 n/k for n units, but not more than there are rows: a unit of
        average use would have been active 256 times.

    max_iter : int, default=None
        Epochs, each of which goes through all rows once, at least 1. None takes as many
        as make 5000 batches, and at least two.

    batch_size : int or "auto", default="auto"
        Rows of a batch, at least 1. "auto" is a sixteenth of the rows, between 64 and
        1024.

    learning_rate : {"linear", "constant"}, default="linear"
        "linear" lets the rate fall from step to step, down to nothing after
        ``max_iter`` epochs, which are all done. "constant" keeps it, and training ends
        when the loss stands still.

    learning_rate_init : float, default=0.03
        Size of a first step of Adam, in (0, inf), relative to the typical size of an
        entry: 1/√d of W and D, the spread of the features of b and c. More learns
        faster, and too much leaves units dead.

    tol : float, default=1e-3
        With ``learning_rate="constant"``, training has converged when the loss would
        fall by no more than this, relatively, as estimated from the last quarter of the
        epochs. With ``early_stopping``, what the score must rise by in
        ``n_iter_no_change`` epochs.

    shuffle : bool, default=True
        Whether batches are drawn anew in each epoch.

    early_stopping : bool, default=False
        Whether rows are held out, and the weights that explain most of their variance
        kept.

    validation_fraction : float, default=0.1
        Of the rows to hold out, in (0, 1).

    n_iter_no_change : int, default=10
        Epochs, at least 1, without progress after which training ends; see ``tol``.

    random_state : int, RandomState instance or None, default=None
        Draws the first atoms, the batches and the rows held out. Pass an int for the
        same bits each time.

    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous call.

    verbose : int, default=0
        1 prints a line every tenth epoch, 2 every epoch.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        W, the weights of the encoder.

    intercept_hidden_ : ndarray of shape (n_components,)
        b.

    decoder_components_ : ndarray of shape (n_components, n_features)
        D, the dictionary: what a unit adds to a reconstruction for a code of one.

    intercept_visible_ : ndarray of shape (n_features,)
        c, at first the column means.

    threshold_ : float
        What codes of ``transform`` exceed with ``selection="batch"``: a running mean,
        over about a hundred batches, of the smallest code that was kept.

    activation_frequency_ : ndarray of shape (n_components,)
        The fraction of the training rows on which each unit is active, with the final
        weights; of ``partial_fit``, of the rows of the last call.

    l0_ : float
        Codes of a training row that are not zero, on average: the sum of the above.

    dead_fraction_ : float
        The fraction of the units that are active on no training row.

    loss_ : float
        J of the last epoch, or of the one that was kept, in squared units of X: the
        mean over its batches as they came.

    loss_terms_ : dict
        Its terms "errors" and "auxiliary".

    loss_curve_ : ndarray of shape (n_iter_,)
        J of each epoch.

    validation_scores_ : ndarray of shape (n_iter_,) or None
        Scores on the rows held out after each epoch.

    n_iter_ : int
        Number of epochs done, by ``fit`` and by ``partial_fit`` since.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had any that are all strings.

    See Also
    --------
    SparseAutoencoder : Codes that are small most of the time, and never exactly zero.
    SparseCoding : Codes found by optimisation, for each row.
    sklearn.decomposition.MiniBatchDictionaryLearning : Codes by orthogonal matching
        pursuit or the lasso, without an encoder.
    skae.inspection.top_samples : The samples with the largest codes of each unit.

    Notes
    -----
    Rows may be dense, a memory map or sparse; of sparse ones a batch at a time is made
    dense. A row has the same code alone and among others, to the bit: rows are encoded
    in blocks of one size. dask's collections are refused by ``fit``;
    ``predict``, ``score_samples`` and ``score`` take them.

    Where all rows are equal they are c, and all codes are zero.

    References
    ----------
    .. [1] L. Gao, T. Dupré la Tour, H. Tillman, G. Goh, R. Troll, A. Radford,
       I. Sutskever, J. Leike and J. Wu, "Scaling and evaluating sparse autoencoders",
       2024, arXiv:2406.04093: sections 2.3 and A.2, where dead units' loss is
       normalised by what is to be explained, as here.
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
        n_nonzero_coefs: float = 32,
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
        "n_nonzero_coefs": [Interval(Real, 0, None, closed="neither")],
        "selection": [StrOptions(set(SELECTIONS))],
        "prefixes": ["array-like", None],
        "auxiliary_weight": [Interval(Real, 0, None, closed="left")],
        "dead_after": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
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
        """Learn the dictionary from X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 and float64 are kept, anything else becomes
            float64. A C-contiguous array of these types is not copied; if it is a
            ``numpy.memmap``, it may be larger than memory.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows. A weight of two counts as the row twice
            within its batch, also among the codes that are kept of it; of zero as its
            absence.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight is not what is allowed; the
            message names it.

        Notes
        -----
        Ctrl-C ends training, keeps the weights so far and warns. From scikit-learn 1.9
        on, callbacks set by ``set_callbacks`` follow every epoch.
        """
        with unchanged_on_error(self), single_threaded_blas():
            trained = self._learn(X, sample_weight)
        # With a rate that falls to nothing max_iter is no limit, but the end.
        warn_if_cut_short(self, trained.status, fault=trained.fault)
        return self

    def _learn(self, X, sample_weight):
        """Fit, warn of nothing, and return what training gave."""
        continues = self.warm_start and hasattr(self, "components_")
        data, given = self._read(X, sample_weight, reset=not continues)
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(_MAX_SEED)
        held_out = None
        if self.early_stopping:
            data, held_out = hold_out(data, self.validation_fraction, random_state)
        problem = self._problem(data, self._epochs(data.n_rows))
        if held_out is not None:
            unit = held_out.moments.variance or 1.0
            validate = HeldOutErrors(problem.objective, held_out, unit)
            problem = replace(problem, validate=validate)
        with fit_task(self, *given.shown, problem.settings.max_iter) as task:
            problem = replace(problem, task=task, goes_on=continues)
            start = self._start(problem, seed, continues)
            trained = fit(problem, [start], [seed])
            self._keep(problem, trained)
            # Of batches, which the next call of partial_fit would go on from.
            self._state = None
        return trained

    def partial_fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Go through X once, in batches, and improve the weights.

        For data that come in pieces. The first piece sets the scale of the data and the
        first c, so it should be as mixed as the whole, and have some hundred rows. The
        rate of learning is constant. After ``fit``, Adam's averages begin anew.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some rows.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows. A weight of two counts as the row twice
            within its batch, also among the codes that are kept of it; of zero as its
            absence.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight is not what is allowed; the
            message names it.
        """
        with unchanged_on_error(self), single_threaded_blas():
            trained = self._partial_fit(X, sample_weight)
        if trained.fault or trained.status == "interrupted":  # and not for one epoch
            warn_if_cut_short(self, trained.status, fault=trained.fault)
        return self

    def _partial_fit(self, X, sample_weight):
        continues = hasattr(self, "components_")
        data, _ = self._read(X, sample_weight, reset=not continues)
        seed = check_random_state(self.random_state).randint(_MAX_SEED)
        problem = self._problem(data, 1, self._unit if continues else None)
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
        return trained

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
        # From scikit-learn 1.9 on it is asked for one or the other.
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
            The rows that the codes stand for.
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
        """Reconstruct X: ``inverse_transform(transform(X))``, but for rounding.

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
        """Validate parameters and data: ``Data``, and what was given."""
        validate_params(self)
        given = read(self, X, sample_weight, reset=reset)
        check_works(self, given, "top_k")
        return given.data(), given

    def _units(self, n_features):
        """How many units, how many codes of a row, and the prefixes."""
        n = self.n_components
        n = _EXPANSION * n_features if n is None else int(n)
        return n, n_codes(self, n), nested_prefixes(self.prefixes, n)

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
        n_features, dtype = data.X.shape[1], data.X.dtype
        n, k, prefixes = self._units(n_features)
        moments = data.moments
        moments.check_magnitude(data.n_rows, dtype)
        if unit is None:
            unit = 1.0 if moments.no_variation(dtype) else moments.variance
        dead_after = self.dead_after
        if dead_after == "auto":
            # A whole pass at the most, if there is another one.
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
        settings = Settings(
            solver="top_k",
            max_iter=max_iter,
            tol=float(self.tol),
            batch_size=self._batch(data.n_rows),
            learning_rate=self.learning_rate,
            learning_rate_init=float(self.learning_rate_init),
            shuffle=self.shuffle,
            n_iter_no_change=int(self.n_iter_no_change),
            verbose=int(self.verbose),
        )
        own = {"_selection": (self.selection, k), "_unit": float(unit)}
        return Problem(
            objective, data, None, settings, attributes=partial(_fitted, objective, own)
        )

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
            return theta_of(objective, vars(self))
        sample, mean = data.sample(_ROWS_TO_START), data.moments.mean
        X = sample.X.given
        A = (X.toarray() if issparse(X) else X) - mean
        return objective.start(
            np.random.RandomState(seed), mean, A.astype(objective.dtype), sample.weights
        )

    def _keep(self, problem, trained):
        """Set the fitted attributes, in one step."""
        objective, data = problem.objective, problem.data
        encoder = encoder_at(objective, trained.theta)
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
    """Attributes with which an estimator that stopped at θ is as good as fitted."""
    return {**attributes(objective, theta), **own, "n_iter_": n_iter}
