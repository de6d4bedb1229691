"""What stacks share: pre-training, then fine-tuning of all weights together."""

import warnings
from abc import ABCMeta, abstractmethod
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._sklearn import HasMethods, Interval, StrOptions
from skae.core.activations import ACTIVATIONS
from skae.core.coordinates import NetworkCoordinates
from skae.core.network import NetworkObjective, propagate
from skae.estimators._held_out import hold_out
from skae.estimators._pretraining import (
    NAMES,
    activation_of,
    make_autoencoders,
    pretrain,
)
from skae.estimators._problem import Problem, Settings
from skae.estimators._reconstruction import DTYPES
from skae.estimators._scales import Moments
from skae.estimators._training import train

_MAX_SEED = np.iinfo(np.int32).max


class BaseStack(BaseEstimator, metaclass=ABCMeta):
    """Pre-train and fine-tune; a subclass says what lies above the encoder."""

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Integral],
        "autoencoder": [StrOptions(set(NAMES)), HasMethods(["fit"]), list, tuple, None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "fine_tune": ["boolean"],
        "solver": [StrOptions({"lbfgs", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
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
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "hidden_dropout": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    # -- what a subclass supplies ----------------------------------------------

    @abstractmethod
    def _architecture(self, names, data):
        """The network with these activations of the encoder's layers.

        Returns
        -------
        architecture : dict
            ``layer_sizes``, ``activations``, ``output``, ``loss`` and ``alphas`` of
            ``NetworkObjective``.
        """

    @abstractmethod
    def _start_above(self, parameters, architecture, data):
        """Fill in the weights above the encoder, which is pre-trained."""

    @abstractmethod
    def _validator(self, objective, held_out, unit):
        """A callable θ -> score on the rows held out, higher is better."""

    # -- fitting ---------------------------------------------------------------

    def _sizes(self):
        """The hidden layers' sizes as a tuple of int."""
        given = self.hidden_layer_sizes
        sizes = [given] if isinstance(given, Integral) else list(given)
        if not (sizes and all(isinstance(s, Integral) and s >= 1 for s in sizes)):
            raise ValueError(
                "hidden_layer_sizes must hold the size of at least one layer, each an "
                f"int of 1 or more; got hidden_layer_sizes={given!r}."
            )
        return tuple(int(size) for size in sizes)

    def _encoder_names(self):
        """Activations of the encoder's layers where the stack itself chooses them."""
        return [self.activation] * len(self._sizes())

    def _check_dropout(self):
        if self.solver == "lbfgs" and (self.input_dropout or self.hidden_dropout):
            raise ValueError(
                "Dropout needs solver='adam', got solver='lbfgs' with input_dropout="
                f"{self.input_dropout} and hidden_dropout={self.hidden_dropout}; use "
                "solver='adam' or no dropout."
            )

    def _train(self, data, more_rows=None, labels=None):
        """Pre-train and fine-tune; set the fitted attributes.

        Parameters
        ----------
        data : Data
            Rows, their weights, and targets unless those are the rows.
        more_rows : ndarray of shape (n_unlabeled, n_features), optional
            Rows to pre-train on as well.
        labels : ndarray of shape (n_samples,), optional
            Every label keeps its share of the rows held out.
        """
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(_MAX_SEED)
        held_out = None
        if self.early_stopping:
            fraction = self.validation_fraction
            data, held_out = hold_out(data, fraction, random_state, labels)
        continues = self.warm_start and hasattr(self, "coefs_")
        names = self._encoder_names()
        autoencoders = None
        if continues:
            names = self._names[: len(self._sizes())]
        elif self.autoencoder is not None:
            autoencoders = make_autoencoders(self, names, random_state)
            self._autoencoders = autoencoders
            names = [activation_of(autoencoder) for autoencoder in autoencoders]

        moments = Moments.of(data.X, data.weights)
        moments.check_magnitude(len(data.X), data.X.dtype)
        architecture = self._architecture(names, data)
        objective = self._objective(architecture, data.X.dtype, seed)
        coordinates = network_coordinates(objective, data, moments)
        if continues:
            theta = self._fitted_theta(objective)
        elif autoencoders is None:
            self.layers_ = None
            theta = coordinates.to_data(_random_start(objective, random_state))
        else:
            theta = self._pretrained(
                objective, architecture, autoencoders, data, more_rows
            )
        self._names = [*architecture["activations"], architecture["output"]]
        if not self.fine_tune:
            self._keep(objective, theta)
            return
        validate = None
        if held_out is not None:
            validate = self._validator(objective, held_out, coordinates.unit)
        if self.verbose:
            print("fine-tuning")
        problem = Problem(
            objective, data, coordinates, Settings.of(self, len(data.X)), validate
        )
        trained = train(problem, coordinates.from_data(theta), seed)
        self._keep(objective, trained.theta, trained)
        self._warn(trained.status)

    def _objective(self, architecture, dtype, seed):
        dropout = None
        if self.input_dropout or self.hidden_dropout:
            hidden = [self.hidden_dropout] * len(architecture["activations"])
            dropout = [self.input_dropout, *hidden]
        return NetworkObjective(**architecture, dropout=dropout, seed=seed, dtype=dtype)

    def _pretrained(self, objective, architecture, autoencoders, data, more_rows):
        X, weights = data.X, data.weights
        if more_rows is not None:
            X = np.concatenate([X, more_rows])
            if weights is not None:
                ones = np.ones(len(more_rows), weights.dtype)
                weights = np.concatenate([weights, ones])
        pretrain(autoencoders, X, weights, int(self.verbose))
        self.layers_ = autoencoders
        theta = np.zeros(objective.layout.size, objective.dtype)
        parameters = objective.parameters(theta)
        for layer, autoencoder in enumerate(autoencoders):
            parameters.coefs[layer][:] = autoencoder.components_
            parameters.intercepts[layer][:] = autoencoder.intercept_hidden_
        self._start_above(parameters, architecture, data)
        return theta

    def _fitted_theta(self, objective):
        theta = np.empty(objective.layout.size, objective.dtype)
        parameters = objective.parameters(theta)
        shapes = [W.shape for W in self.coefs_]
        asked = [W.T.shape for W in parameters.coefs]
        if shapes != asked:
            raise ValueError(
                f"warm_start=True continues from coefs_ of shapes {shapes}, but the "
                f"data and hidden_layer_sizes now ask for {asked}; use "
                "warm_start=False to start afresh."
            )
        for layer, (W, b) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            parameters.coefs[layer][:] = W.T
            parameters.intercepts[layer][:] = b
        return theta

    def _keep(self, objective, theta, trained=None):
        """Set the fitted attributes."""
        if not np.isfinite(theta).all():
            raise ValueError(
                f"The weights that fit X overflow {objective.dtype}; scale X, for "
                "instance with StandardScaler."
            )
        parameters = objective.parameters(theta.copy())
        self.coefs_ = [W.T for W in parameters.coefs]
        self.intercepts_ = parameters.intercepts
        self.loss_ = None if trained is None else trained.loss
        self.loss_curve_ = None if trained is None else trained.loss_curve
        self.loss_curves_ = self._loss_curves()
        self.validation_scores_ = None if trained is None else trained.validation_scores
        self.n_iter_ = 0 if trained is None else trained.n_iter
        self.n_layers_ = len(self.coefs_) + 1

    def _loss_curves(self):
        curves = {}
        for layer, autoencoder in enumerate(self.layers_ or (), 1):
            # BernoulliRBM records none.
            if hasattr(autoencoder, "loss_curve_"):
                curves[f"layer {layer}"] = autoencoder.loss_curve_
        if self.loss_curve_ is not None:
            curves["fine-tuning"] = self.loss_curve_
        return curves

    def _warn(self, status):
        """Warn if fine-tuning was cut short."""
        if status in ("max_iter", "max_fun"):
            warnings.warn(
                f"Fine-tuning stopped at {status}={getattr(self, status)} before it "
                f"converged; increase {status}, or tol if the loss has levelled off.",
                ConvergenceWarning,
                stacklevel=4,
            )
        elif status == "interrupted":
            warnings.warn(
                "Training interrupted by user; the best weights so far are kept.",
                stacklevel=4,
            )

    # -- using what was learnt -------------------------------------------------

    def _validate(self, X):
        check_is_fitted(self, "n_iter_")
        return validate_data(self, X, dtype=DTYPES, reset=False)

    def _propagate(self, X, first=0, last=None):
        """Activations of layer ``last``, given those of layer ``first``."""
        layers = slice(first, last)
        coefs = [W.T for W in self.coefs_[layers]]
        return propagate(X, coefs, self.intercepts_[layers], self._names[layers])


def network_coordinates(objective, data, moments):
    """The solver's coordinates for a network's data."""
    spread = moments.spread
    if moments.no_variation(data.X.dtype):
        spread = 1.0
    if data.targets is None:
        targets, target_spread = moments, spread
    else:
        targets = Moments.of(data.targets, data.weights)
        target_spread = targets.spread
        if targets.no_variation(data.X.dtype):
            target_spread = 1.0
    unit = objective.loss.at_mean(targets.mean, targets.variance)
    if targets.no_variation(data.X.dtype):
        unit = 1.0
    return NetworkCoordinates(
        objective, moments.mean, spread, unit, targets.mean, target_spread
    )


def _random_start(objective, random_state):
    """θ′ with weights ~ U(±√(6/(inputs + units))), biases 0."""
    start = np.zeros(objective.layout.size, objective.dtype)
    for W in objective.parameters(start).coefs:
        bound = (6 / sum(W.shape)) ** 0.5
        W[:] = random_state.uniform(-bound, bound, W.shape)
    return start
