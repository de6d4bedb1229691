"""What every autoencoder of one hidden layer shares: fit, on either path."""

import sys
from abc import ABCMeta, abstractmethod
from copy import deepcopy
from dataclasses import replace
from functools import partial
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from skae._sklearn import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_sample_weight,
    validate_params,
)
from skae.core.activations import ACTIVATIONS
from skae.core.autoencoder import AutoencoderObjective
from skae.core.blocks import Data, is_remote
from skae.core.layers import Layers
from skae.core.losses import LOSSES
from skae.core.sparse_autoencoder import sparse_objective
from skae.estimators._callbacks import fit_task
from skae.estimators._doc_link import DocLinkMixin
from skae.estimators._fitting import unchanged_on_error, warn_if_cut_short
from skae.estimators._outputs import OutputMixin, zeros
from skae.estimators._reconstruction import ReconstructionMixin
from skae.rows.dask_collections import is_dask, remote_data, shown
from skae.rows.moments import Moments, Scale
from skae.rows.reading import validate_rows
from skae.training.coordinates import Coordinates
from skae.training.early_stopping import HeldOutLoss, hold_out
from skae.training.problem import (
    PENALTY_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    Problem,
    Settings,
)
from skae.training.run import mean_code, random_start, train

_MAX_SEED = np.iinfo(np.int32).max


def _scaled_alpha(spread):
    """alpha="scale" for data of spread s: min(1e-3, 0.03 s⁴).

    An encoder's weights grow as 1/s and the loss falls as s², so a fixed alpha
    would drown data in small units; a decoder's grow as s, in step with the loss,
    hence the bound. The constants were chosen by trial for codes that a linear
    classifier reads well, on digits in [0, 1], not for the best reconstruction.
    """
    # spread**4 alone would overflow for the largest data.
    return min(1e-3, 0.03 * min(1, spread) ** 4)


def _scaled_elastic_net(spread, l1_ratio):
    """alpha="scale" beside an L1 part: 1/(l1_ratio/a₁ + (1 − l1_ratio)/a₂).

    a₂ is ``_scaled_alpha``, for squares of the weights. a₁ is for absolute values: an
    encoder's grow as 1/s and a decoder's as s while the loss falls and grows as s², so
    a₁ = min(0.005 s, 0.02 s³) keeps the penalty of either small beside the loss. The
    constants were chosen by trial on digits in three units, for codes that classify
    about as well as with weight decay. The harmonic mean lets neither part exceed
    what it would be alone: l1_ratio α ≤ a₁ and (1 − l1_ratio) α ≤ a₂.
    """
    if not l1_ratio:
        return _scaled_alpha(spread)
    # Of the smallest data s³ and s⁴ would be zero, and divided by.
    least = sys.float_info.min
    absolute = max(least, min(0.005 * spread, 0.02 * spread**3))
    squares = max(least, _scaled_alpha(spread))
    return 1 / (l1_ratio / absolute + (1 - l1_ratio) / squares)


def _is_stochastic(estimator):
    if estimator.solver == "adam":
        return True
    raise AttributeError(
        f"partial_fit needs solver='adam', got solver={estimator.solver!r}: L-BFGS "
        "works on all rows at once; use set_params(solver='adam'), or warm_start=True "
        "with fit."
    )


def _with_task(problem, index):
    """The problem of one of several starts: each is a task."""
    if problem.task is None:
        return problem
    max_iter = problem.settings.max_iter
    return replace(problem, task=problem.task.subtask("start", max_iter, index))


def _train_once(problem, start, seed):
    """Train from one of several starts, maybe in another process."""
    if problem.task is not None:
        problem.task.begin()
    trained = train(problem, start, seed)
    if problem.task is not None:
        problem.task.end()
    return trained


def _badness(run):
    scores = run.validation_scores
    return run.loss if scores is None or not len(scores) else -scores.max()


class BaseAutoencoder(
    OutputMixin,
    ReconstructionMixin,
    DocLinkMixin,
    CallbackSupportMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Fit and partial_fit; a subclass says what it penalises."""

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        **OutputMixin._parameter_constraints,
        "tied_weights": ["boolean"],
        **PENALTY_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    @abstractmethod
    def _terms(self, data, scale, n_components, random_state):
        """What the objective has beside loss and decay, as keyword arguments."""

    def fit(self, X, y=None, sample_weight=None):
        """Learn the weights from X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 and float64 are kept, anything else becomes
            float64. A C-contiguous array of these types is not copied; if it is a
            ``numpy.memmap``, it may be larger than memory. Sparse X, of any format,
            gives the weights that dense X gives; see the notes.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows. A weight of two counts as the row
            twice (but meets the noise of a denoising autoencoder once), of zero
            as its absence.

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
        Ctrl-C ends training, keeps the weights so far and warns. Inside a
        grid search it ends the fit of the moment only.

        From scikit-learn 1.9 on, callbacks set by ``set_callbacks`` follow every
        iteration, epoch or start, such as scikit-learn's ``ProgressBar``. The targets
        they are shown are the rows: ``ScoringMonitor(scoring=["r2"])`` scores
        reconstructions.

        Of sparse X, products take the non-zeros only. With
        ``output_activation="identity"`` and ``loss="squared_error"`` no
        reconstruction is formed, so that with k components an evaluation costs
        O(nnz k + (n_samples + n_features) k²) operations; L-BFGS works on a second
        copy of the non-zeros, by columns. Other outputs, and losses with
        ``emphasis``, compare with dense rows, a block at a time; so do corruptions
        other than masking. Masking of sparse rows draws the noise of zeros too,
        so it takes time for each of the n_samples x n_features entries, once
        for every ``redraw_every`` iterations. Callbacks are shown the sparse rows as
        targets, which scikit-learn's metrics refuse: give ``ScoringMonitor`` a
        function instead, such as ``scoring={"score": lambda estimator, X, y:
        estimator.score(X)}``.
        """
        with unchanged_on_error(self):
            trained = self._fit(X, sample_weight)
        warn_if_cut_short(self, trained.status, fault=trained.fault)
        return self

    def _fit(self, X, sample_weight):
        """Fit, and return what training gave."""
        continues = self.warm_start and hasattr(self, "components_")
        data = self._rows(X, sample_weight, reset=not continues)
        random_state = check_random_state(self.random_state)
        seeds = random_state.randint(_MAX_SEED, size=int(self.n_init))
        told, held_out = shown(X, sample_weight, data), None
        if self.early_stopping:
            data, held_out = hold_out(data, self.validation_fraction, random_state)
        problem = self._problem(data, random_state, held_out=held_out)
        once = continues or len(seeds) == 1
        n_tasks = problem.settings.max_iter if once else len(seeds)
        with fit_task(self, *told, n_tasks, sequential=once) as task:
            problem = replace(problem, task=task)
            if continues:
                trained = train(problem, self._warm_start(problem), seeds[0])
            else:
                trained = self._best(problem, seeds)
            self._keep(problem, trained)
        return trained

    @available_if(_is_stochastic)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Go through X once, in mini-batches, and improve the weights.

        For data that come in pieces. The first piece sets what is relative to the
        scale of the data (``alpha_``, the penalties' weights and Adam's units), so it
        should be as mixed as the whole. Rows are not held out here.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some rows.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        AttributeError
            If ``solver`` is not "adam".
        ValueError
            If a parameter, X or sample_weight is not what is allowed; the
            message names it.
        """
        with unchanged_on_error(self):
            trained = self._partial_fit(X, sample_weight)
        if trained.fault or trained.status == "interrupted":  # and not for one epoch
            warn_if_cut_short(self, trained.status, fault=trained.fault)
        return self

    def _partial_fit(self, X, sample_weight):
        data = self._rows(X, sample_weight, reset=not hasattr(self, "components_"))
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(_MAX_SEED)
        problem = self._problem(data, random_state, getattr(self, "_moments", None))
        once = replace(problem.settings, max_iter=1)
        problem = replace(problem, settings=once)
        if hasattr(self, "components_"):
            start = self._warm_start(problem)
        else:
            start = random_start(problem.objective, seed)
        batches = getattr(self, "_mini_batches", None)
        if batches is not None:
            # A copy: a piece that is refused must leave no trace.
            batches = deepcopy(batches) if batches.suits(problem) else None
        trained = train(problem, start, seed, batches)
        self._keep(problem, trained)
        return trained

    def _rows(self, X, sample_weight, reset):
        """Validate parameters and data."""
        validate_params(self)
        self._check_combinations()
        if is_dask(X) or is_remote(X):
            data = remote_data(self, X, sample_weight=sample_weight, reset=reset)
            self._check_range(data.X, data.weights)
            return data
        X = validate_rows(self, X, order="C", reset=reset)
        weights = check_sample_weight(sample_weight, X)
        self._check_range(X, weights)
        return Data(X, weights)

    def _problem(self, data, random_state, moments=None, held_out=None):
        """What is to be minimised, and how; sets what "scale" came to."""
        dtype, n_features = data.X.dtype, data.X.shape[1]
        own = Moments.of(data.X, data.weights)
        own.check_magnitude(data.n_rows, dtype)
        if moments is None or moments.no_variation(dtype):
            moments = own
        spread = moments.spread
        unit = LOSSES[self.loss].at_mean(moments.mean, moments.variance)
        if moments.no_variation(dtype):
            spread = unit = 1.0
        n_components = int(self.n_components or n_features)
        scaled = self.alpha == "scale"
        # A float of Python's promotes no float32 array, a NumPy one would.
        alpha, l1_ratio = self.alpha, float(self.l1_ratio)
        self.alpha_ = float(_scaled_elastic_net(spread, l1_ratio) if scaled else alpha)
        make = sparse_objective if issparse(data.X) else AutoencoderObjective
        objective = make(
            n_features,
            n_components,
            activation=self.activation,
            output=self.output_activation,
            loss=self.loss,
            alpha=(1 - l1_ratio) * self.alpha_,
            l1=l1_ratio * self.alpha_,
            tied_weights=self.tied_weights,
            dtype=dtype,
            **self._terms(data, Scale(unit, spread), n_components, random_state),
        )
        validate = None
        if held_out is not None:
            validate = HeldOutLoss(objective, held_out, unit)
        coordinates = Coordinates(
            objective, *objective.units(moments.mean, spread), unit
        )
        settings = Settings.of(self, data.n_rows)
        return Problem(
            *(objective, data, coordinates, settings, validate),
            moments=moments,
            attributes=partial(self._attributes, objective),
        )

    def _best(self, problem, seeds):
        """Train from every start; the best is kept, as KMeans keeps it.

        That is the lowest loss or, where rows are held out, the highest score.
        """
        starts = [random_start(problem.objective, seed) for seed in seeds]
        if len(starts) == 1:
            return train(problem, starts[0], seeds[0])
        runs = []
        # The workers are busy with one start already, and their client is here.
        n_jobs = 1 if is_remote(problem.data.X) else self.n_jobs
        parallel = Parallel(n_jobs=n_jobs, return_as="generator")
        for run in parallel(
            delayed(_train_once)(_with_task(problem, index), start, seed)
            for index, (start, seed) in enumerate(zip(starts, seeds, strict=True))
        ):
            runs.append(run)
            if run.status == "interrupted":
                break
        best = min(runs, key=_badness)
        if runs[-1].status == "interrupted":
            best = replace(best, status="interrupted")
        return best

    def _warm_start(self, problem):
        objective = problem.objective
        shape = (objective.n_components, objective.n_features)
        if self.components_.shape != shape:
            raise ValueError(
                f"warm_start=True continues from components_ of shape "
                f"{self.components_.shape}, but X and n_components now ask for "
                f"{shape}; use warm_start=False to start afresh."
            )
        return problem.coordinates.from_data(objective.theta_of(vars(self)))

    def _attributes(self, objective, theta, n_iter):
        """Those fitted attributes that encoding and decoding take."""
        return {**objective.attributes(theta), "n_iter_": n_iter}

    def _keep(self, problem, trained):
        """Set the fitted attributes."""
        objective = problem.objective
        if not np.isfinite(trained.theta).all():
            raise ValueError(
                f"The weights that fit X overflow {objective.dtype}; scale X, for "
                "instance with StandardScaler."
            )
        weights = self._attributes(objective, trained.theta, trained.n_iter)
        for name, value in weights.items():
            setattr(self, name, value)
        self.sparsity_of_weights_ = {
            "encoder": zeros(self.components_),
            "decoder": zeros(self.decoder_components_),
        }
        mean = mean_code(objective, problem.data, trained.theta)
        self.mean_activation_ = mean.astype(objective.dtype)
        self.loss_ = trained.loss
        self.loss_terms_ = trained.terms
        self.loss_curve_ = trained.loss_curve
        self.loss_curve_terms_ = trained.terms_curve
        self.validation_scores_ = trained.validation_scores
        self._mini_batches, self._moments = trained.batches, problem.moments
        self._status = trained.status  # a stack must know of an interrupt

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def _encoder(self, dtype):
        layer = [self.components_], [self.intercept_hidden_], [self.activation]
        return Layers(*layer, dtype)

    def _decoder(self, dtype):
        weights, biases = self.decoder_components_.T, self.intercept_visible_
        return Layers([weights], [biases], [self.output_activation], dtype)
