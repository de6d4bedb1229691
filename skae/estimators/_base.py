"""What every autoencoder of one hidden layer shares: fit, on either path."""

import warnings
from abc import ABCMeta, abstractmethod
from copy import deepcopy
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from skae._sklearn import Interval, StrOptions, check_sample_weight, validate_params
from skae.core.activations import ACTIVATIONS
from skae.core.blocks import Data
from skae.core.coordinates import Coordinates
from skae.core.losses import LOSSES
from skae.core.network import Layers
from skae.core.objective import AutoencoderObjective
from skae.estimators._dask import is_dask, is_remote, remote_data
from skae.estimators._doc_link import DocLinkMixin
from skae.estimators._held_out import HeldOutLoss, hold_out
from skae.estimators._outputs import OutputMixin
from skae.estimators._problem import Problem, Settings
from skae.estimators._reconstruction import DTYPES, ReconstructionMixin
from skae.estimators._scales import Moments, Scale
from skae.estimators._training import mean_code, random_start, train

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
    absolute = min(0.005 * spread, 0.02 * spread**3)
    return 1 / (l1_ratio / absolute + (1 - l1_ratio) / _scaled_alpha(spread))


def _zeros(weight):
    """The fraction of entries that are exactly zero."""
    return 1 - int(np.count_nonzero(weight)) / weight.size


def _is_stochastic(estimator):
    if estimator.solver == "adam":
        return True
    raise AttributeError(
        f"partial_fit needs solver='adam', got solver={estimator.solver!r}: L-BFGS "
        "works on all rows at once; use set_params(solver='adam'), or warm_start=True "
        "with fit."
    )


def _badness(run):
    scores = run.validation_scores
    return run.loss if scores is None or not len(scores) else -scores.max()


class BaseAutoencoder(
    OutputMixin, ReconstructionMixin, DocLinkMixin, BaseEstimator, metaclass=ABCMeta
):
    """Fit and partial_fit; a subclass says what it penalises."""

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        **OutputMixin._parameter_constraints,
        "tied_weights": ["boolean"],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"scale"})],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "solver": [StrOptions({"lbfgs", "adam"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "learning_rate": [StrOptions({"constant", "linear"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "shuffle": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def _terms(self, data, scale, n_components, random_state):
        """What the objective has beside loss and decay, as keyword arguments."""

    def fit(self, X, y=None, sample_weight=None):
        """Learn the weights from X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data, dense. float32 and float64 are kept, anything else becomes
            float64. A C-contiguous array of these types is not copied.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows. A weight of two counts as the row
            twice (but meets the noise of a denoising autoencoder once), of zero
            as its absence.

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
        Ctrl-C ends training, keeps the weights so far and warns. Inside a
        grid search it ends the fit of the moment only.
        """
        continues = self.warm_start and hasattr(self, "components_")
        data = self._rows(X, sample_weight, reset=not continues)
        random_state = check_random_state(self.random_state)
        seeds = random_state.randint(_MAX_SEED, size=int(self.n_init))
        held_out = None
        if self.early_stopping:
            data, held_out = hold_out(data, self.validation_fraction, random_state)
        problem = self._problem(data, random_state, held_out=held_out)
        if continues:
            trained = train(problem, self._warm_start(problem), seeds[0])
        else:
            trained = self._best(problem, seeds)
        self._keep(problem, trained)
        self._warn(trained.status)
        return self

    @available_if(_is_stochastic)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Go through X once, in mini-batches, and improve the weights.

        For data that come in pieces. The first piece sets what is relative to the
        scale of the data (``alpha_``, the penalties' weights and Adam's units), so it
        should be as mixed as the whole. Rows are not held out here.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Some rows.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        AttributeError
            If ``solver`` is not "adam".
        ValueError
            If a parameter, X or sample_weight is not what is allowed; the
            message names it.
        """
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
        if trained.status == "interrupted":
            self._warn(trained.status)
        return self

    def _rows(self, X, sample_weight, reset):
        """Validate parameters and data."""
        validate_params(self)
        self._check_combinations()
        if is_dask(X) or is_remote(X):
            data = remote_data(self, X, sample_weight=sample_weight, reset=reset)
            self._check_range(data.X)
            return data
        X = validate_data(self, X, dtype=DTYPES, order="C", reset=reset)
        weights = check_sample_weight(sample_weight, X)
        if weights is not None and not weights.all():
            # Absent means absent: from ranges, and from the count of noisy rows.
            X, weights = X[weights > 0], weights[weights > 0]
        self._check_range(X)
        return Data(X, weights)

    def _problem(self, data, random_state, moments=None, held_out=None):
        """What is to be minimised, and how; sets what "scale" came to."""
        dtype, n_features = data.X.dtype, data.X.shape[1]
        own = Moments.of(data.X, data.weights)
        own.check_magnitude(len(data.X), dtype)
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
        objective = AutoencoderObjective(
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
        coordinates = Coordinates(objective, moments.mean, spread, unit)
        settings = Settings.of(self, len(data.X))
        return Problem(
            objective, data, coordinates, settings, validate, moments=moments
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
            delayed(train)(problem, start, seed)
            for start, seed in zip(starts, seeds, strict=True)
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
        theta = np.empty(objective.layout.size, objective.dtype)
        parameters = objective.parameters(theta)
        parameters.decoder[:-1] = self.decoder_components_
        parameters.decoder[-1] = self.intercept_visible_
        parameters.encoder[:] = self.components_
        parameters.hidden[:] = self.intercept_hidden_
        return problem.coordinates.from_data(theta)

    def _keep(self, problem, trained):
        """Set the fitted attributes."""
        objective = problem.objective
        if not np.isfinite(trained.theta).all():
            raise ValueError(
                f"The weights that fit X overflow {objective.dtype}; scale X, for "
                "instance with StandardScaler."
            )
        parameters = objective.parameters(trained.theta)
        self.components_ = parameters.encoder.copy()
        self.intercept_hidden_ = parameters.hidden.copy()
        self.decoder_components_ = (
            self.components_ if self.tied_weights else parameters.decoder[:-1].copy()
        )
        self.intercept_visible_ = parameters.decoder[-1].copy()
        self.sparsity_of_weights_ = {
            "encoder": _zeros(self.components_),
            "decoder": _zeros(self.decoder_components_),
        }
        mean = mean_code(objective, problem.data, trained.theta)
        self.mean_activation_ = mean.astype(objective.dtype)
        self.loss_ = trained.loss
        self.loss_terms_ = trained.terms
        self.loss_curve_ = trained.loss_curve
        self.loss_curve_terms_ = trained.terms_curve
        self.validation_scores_ = trained.validation_scores
        self.n_iter_ = trained.n_iter
        self._mini_batches, self._moments = trained.batches, problem.moments
        self._status = trained.status  # a stack must know of an interrupt

    def _warn(self, status):
        """Warn if training was cut short."""
        if status in ("max_iter", "max_fun"):
            warnings.warn(
                f"Training stopped at {status}={getattr(self, status)} before it "
                f"converged; increase {status}, or tol if the loss has levelled off.",
                ConvergenceWarning,
                stacklevel=3,
            )
        elif status == "interrupted":
            warnings.warn(
                "Training interrupted by user; the weights so far are kept.",
                stacklevel=3,
            )

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def _encoder(self, dtype):
        layer = [self.components_], [self.intercept_hidden_], [self.activation]
        return Layers(*layer, dtype)

    def _decoder(self, dtype):
        weights, biases = self.decoder_components_.T, self.intercept_visible_
        return Layers([weights], [biases], [self.output_activation], dtype)
