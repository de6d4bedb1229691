"""What stacks share: pre-training, then fine-tuning of all weights together."""

import warnings
from abc import ABCMeta, abstractmethod
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._sklearn import HasMethods, Interval, StrOptions
from skae.core.activations import ACTIVATIONS
from skae.core.coordinates import NetworkCoordinates
from skae.core.network import Layers, NetworkObjective
from skae.engines.rows import apply_layers
from skae.estimators._dask import is_remote
from skae.estimators._doc_link import DocLinkMixin
from skae.estimators._held_out import hold_out
from skae.estimators._pretraining import NAMES, make_autoencoders, pretrain
from skae.estimators._problem import Problem, Settings
from skae.estimators._reconstruction import DTYPES
from skae.estimators._scales import Moments
from skae.estimators._training import train

_MAX_SEED = np.iinfo(np.int32).max


class BaseStack(DocLinkMixin, BaseEstimator, metaclass=ABCMeta):
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
    def _layer_sizes(self, data):
        """Units of all layers, input and output included, as a tuple of int."""

    @abstractmethod
    def _alphas(self):
        """Weight decay of each layer, the output's last."""

    @abstractmethod
    def _activations(self, autoencoders):
        """Names of the activations of all hidden layers."""

    @abstractmethod
    def _start_above(self, parameters, objective, loss, autoencoders, data):
        """Fill in the weights above the encoder, which is pre-trained.

        Returns
        -------
        trained : Trained or None
            How, if that took training.
        """

    @abstractmethod
    def _validator(self, objective, held_out, unit):
        """A callable θ -> score on the rows held out, higher is better."""

    def set_params(self, **params):
        """Set parameters, as of any scikit-learn estimator.

        Parameters
        ----------
        **params : dict
            Parameters by name; those of the autoencoder as ``autoencoder__name``.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            If there is no such parameter, or ``autoencoder`` is a name or a list,
            whose parameters cannot be set.
        """
        given = params.get("autoencoder", self.autoencoder)
        nested = [name for name in params if name.startswith("autoencoder__")]
        if nested and not hasattr(given, "set_params"):
            raise ValueError(
                f"{nested[0]} sets a parameter of an estimator, but autoencoder is "
                f"{given!r}; pass an estimator, such as "
                "autoencoder=DenoisingAutoencoder()."
            )
        return super().set_params(**params)

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

    def _check_stages(self):
        if self.solver == "lbfgs" and (self.input_dropout or self.hidden_dropout):
            raise ValueError(
                "Dropout needs solver='adam', got solver='lbfgs' with input_dropout="
                f"{self.input_dropout} and hidden_dropout={self.hidden_dropout}; use "
                "solver='adam' or no dropout."
            )
        if self._continues and not self.fine_tune:
            raise ValueError(
                "warm_start=True continues fine-tuning, which fine_tune=False leaves "
                "out; use fine_tune=True, or warm_start=False to start afresh."
            )
        if self.autoencoder is None and not self.fine_tune:
            raise ValueError(
                "fine_tune=False with autoencoder=None would leave weights random; use "
                "fine_tune=True, or an autoencoder such as 'denoising'."
            )

    @property
    def _continues(self):
        """Whether ``fit`` goes on from the weights of the last one."""
        return self.warm_start and hasattr(self, "coefs_")

    def _encoder_names(self):
        """Activations of the encoder's layers where the stack itself chooses them."""
        return [self.activation] * len(self._sizes())

    def _train(self, data, output, loss, more_rows=None, labels=None):
        """Pre-train and fine-tune; set the fitted attributes in the end.

        Parameters
        ----------
        data : Data
            Rows, their weights, and targets unless those are the rows.
        output, loss : str
            Of ``NetworkObjective``.
        more_rows : ndarray of shape (n_unlabeled, n_features), optional
            Rows to pre-train on as well.
        labels : ndarray of shape (n_samples,), optional
            Every label keeps its share of the rows held out.
        """
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(_MAX_SEED)
        held_out = None
        if self.early_stopping and self.fine_tune:
            fraction = self.validation_fraction
            data, held_out = hold_out(data, fraction, random_state, labels)
        moments = Moments.of(data.X, data.weights)
        moments.check_magnitude(len(data.X), data.X.dtype)

        autoencoders = self._autoencoders(output, data, random_state)
        objective = self._objective(autoencoders, output, loss, data, seed)
        coordinates = network_coordinates(objective, data, moments)
        curves = {}
        if self._continues:
            theta, curves = self._fitted_theta(objective), self.loss_curves_
        elif autoencoders is None:
            theta = coordinates.to_data(_random_start(objective, random_state))
        else:
            theta, curves = self._pretrained(
                objective, loss, autoencoders, data, more_rows
            )
        trained = None
        if self.fine_tune:
            self._set_anchors(objective, autoencoders)
            problem = Problem(
                objective, data, coordinates, Settings.of(self, len(data.X))
            )
            if held_out is not None:
                validate = self._validator(objective, held_out, coordinates.unit)
                problem = replace(problem, validate=validate)
            if self.verbose:
                print("fine-tuning")
            trained = train(problem, coordinates.from_data(theta), seed)
            theta = trained.theta
            curves = {**curves, "fine-tuning": trained.loss_curve}
        self._keep(objective, autoencoders, theta, trained, curves)
        if trained is not None:
            self._warn("Fine-tuning", trained.status)

    def _autoencoders(self, output, data, random_state):
        """Unfitted ones to pre-train by; the fitted ones where ``fit`` continues."""
        if not self._continues:
            if self.autoencoder is None:
                return None
            return make_autoencoders(self, self._encoder_names(), random_state)
        fitted = (len(self.coefs_[0]), *map(len, self.intercepts_))
        asked = self._layer_sizes(data)
        if (fitted, self._names[-1]) != (asked, output):
            raise ValueError(
                f"warm_start=True continues from layers of sizes {fitted} and "
                f"{self._names[-1]} outputs, but the data and hidden_layer_sizes="
                f"{self.hidden_layer_sizes!r} now ask for {asked} and {output} "
                "outputs; use warm_start=False to start afresh."
            )
        return self.layers_

    def _objective(self, autoencoders, output, loss, data, seed):
        if self._continues:
            activations = self._names[:-1]
        else:
            activations = self._activations(autoencoders)
        return NetworkObjective(
            self._layer_sizes(data),
            activations,
            output=output,
            loss=loss,
            alphas=self._alphas(),
            dropout=[self.input_dropout, *(self.hidden_dropout for _ in activations)],
            seed=seed,
            dtype=data.X.dtype,
        )

    def _pretrained(self, objective, loss, autoencoders, data, more_rows):
        """θ after pre-training, and the loss curve of each of its stages."""
        X, weights = data.X, data.weights
        if more_rows is not None and is_remote(X):
            X = X.joined(more_rows)
        elif more_rows is not None:
            X = np.concatenate([X, more_rows])
            if weights is not None:
                ones = np.ones(len(more_rows), weights.dtype)
                weights = np.concatenate([weights, ones])
        pretrain(autoencoders, X, weights, int(self.verbose))
        theta = np.zeros(objective.layout.size, objective.dtype)
        parameters = objective.parameters(theta)
        curves = {}
        for layer, autoencoder in enumerate(autoencoders):
            parameters.coefs[layer][:] = autoencoder.components_
            parameters.intercepts[layer][:] = autoencoder.intercept_hidden_
            # BernoulliRBM records none.
            if hasattr(autoencoder, "loss_curve_"):
                curves[f"layer {layer + 1}"] = autoencoder.loss_curve_
        above = self._start_above(parameters, objective, loss, autoencoders, data)
        if above is not None:
            curves["output"] = above.loss_curve
            if not self.fine_tune:
                self._warn("The output layer", above.status)
        return theta, curves

    def _set_anchors(self, objective, autoencoders):
        """Say what weights a layer is to stay near, if not 0."""

    def _fitted_theta(self, objective):
        theta = np.empty(objective.layout.size, objective.dtype)
        parameters = objective.parameters(theta)
        for layer, (W, b) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            parameters.coefs[layer][:] = W.T
            parameters.intercepts[layer][:] = b
        return theta

    def _keep(self, objective, autoencoders, theta, trained, curves):
        """Set the fitted attributes."""
        if not np.isfinite(theta).all():
            raise ValueError(
                f"The weights that fit X overflow {objective.dtype}; scale X, for "
                "instance with StandardScaler."
            )
        parameters = objective.parameters(theta.copy())
        self.layers_ = autoencoders
        self.coefs_ = [W.T for W in parameters.coefs]
        self.intercepts_ = parameters.intercepts
        self._names = objective.names
        self.loss_ = None if trained is None else trained.loss
        self.loss_curve_ = None if trained is None else trained.loss_curve
        self.loss_curves_ = curves
        self.validation_scores_ = None if trained is None else trained.validation_scores
        self.n_iter_ = 0 if trained is None else trained.n_iter
        self.n_layers_ = len(self.coefs_) + 1

    def _warn(self, stage, status):
        """Warn if a stage was cut short."""
        if status in ("max_iter", "max_fun"):
            warnings.warn(
                f"{stage} stopped at {status}={getattr(self, status)} before it "
                f"converged; increase {status}, or tol if the loss has levelled off.",
                ConvergenceWarning,
                stacklevel=4,
            )
        elif status == "interrupted":
            warnings.warn(
                "Training interrupted by user; the weights so far are kept.",
                stacklevel=4,
            )

    # -- using what was learnt -------------------------------------------------

    def _validate(self, X):
        check_is_fitted(self, "n_iter_")
        return validate_data(self, X, dtype=DTYPES, reset=False)

    def _layers(self, dtype, first=0, last=None):
        """What maps activations of layer ``first`` to those of layer ``last``."""
        which = slice(first, last)
        coefs = [W.T for W in self.coefs_[which]]
        return Layers(coefs, self.intercepts_[which], self._names[which], dtype)

    def _apply(self, X, last=None):
        """Activations of layer ``last`` for the rows X, not yet validated."""
        X = self._validate(X)
        return apply_layers(self._layers(X.dtype, last=last), X)


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
