"""What stacks share: pre-training, then fine-tuning of all weights together."""

from abc import ABCMeta, abstractmethod
from dataclasses import replace
from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array, issparse, vstack
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skae._sklearn import CallbackSupportMixin, HasMethods, Interval, StrOptions
from skae.core.activations import ACTIVATIONS
from skae.core.blocks import is_remote
from skae.core.layers import Layers
from skae.core.network import NetworkObjective
from skae.core.sparse_network import sparse_network
from skae.engines.row_map import apply_layers
from skae.estimators._callbacks import fit_task, subtask
from skae.estimators._doc_link import DocLinkMixin
from skae.estimators._outputs import zeros
from skae.estimators._pretraining import NAMES, make_autoencoders, pretrain
from skae.rows.moments import Moments
from skae.rows.reading import validate_rows
from skae.training.early_stopping import hold_out
from skae.training.problem import (
    PENALTY_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    Problem,
    Settings,
)
from skae.training.run import train
from skae.training.scale import NetworkScale, layer_penalties

_MAX_SEED = np.iinfo(np.int32).max


class BaseStack(DocLinkMixin, CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    """Pre-train and fine-tune; a subclass says what lies above the encoder."""

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Integral],
        "autoencoder": [StrOptions(set(NAMES)), HasMethods(["fit"]), list, tuple, None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "fine_tune": ["boolean"],
        **PENALTY_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "hidden_dropout": [Interval(Real, 0, 1, closed="left")],
    }

    # -- what a subclass supplies ----------------------------------------------

    @abstractmethod
    def _layer_sizes(self, data):
        """Units of all layers, input and output included, as a tuple of int."""

    @abstractmethod
    def _penalised_layers(self):
        """Whether each layer's weights are, as a list of bool, the output's last."""

    @abstractmethod
    def _activations(self, autoencoders):
        """Names of the activations of all hidden layers."""

    @abstractmethod
    def _start_above(self, theta, objective, loss, autoencoders, data, task, beside):
        """Fill in the weights above the encoder, which is pre-trained.

        ``task`` and ``beside`` are as in ``_train``.

        Returns
        -------
        Trained or None
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
        object
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
        if self.early_stopping and not self.fine_tune:
            raise ValueError(
                "early_stopping=True ends fine-tuning, which fine_tune=False leaves "
                "out; use fine_tune=True, or early_stopping=False."
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

    def _fit_task(self, X, y, weights):
        """The task of ``fit``, whose parts are the stages."""
        n_stages = int(self.fine_tune)
        if not self._continues and self.autoencoder is not None:
            n_stages += len(self._sizes()) + self._trains_output
        return fit_task(self, X, y, weights, n_stages)

    def _train(
        self, data, output, loss, more_rows=None, labels=None, *, task=None, beside=None
    ):
        """Pre-train and fine-tune; set the fitted attributes in the end.

        Parameters
        ----------
        data : Data
            Rows, their weights, and targets unless those are the rows.
        output, loss : str
            Of ``NetworkObjective``.
        more_rows : array of shape (n_unlabeled, n_features), optional
            Rows to pre-train on as well.
        labels : ndarray of shape (n_samples,), optional
            Every label keeps its share of the rows held out.
        task : Task, optional
            Whose parts are the stages.
        beside : dict, optional
            Fitted attributes beside those of the network.

        Returns
        -------
        status : str or None
            How the stage that comes last ended; None if there is none.
        stage : str
            Its name.
        fault : str or None
            What makes it no fit at all.
        """
        beside = beside or {}
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(_MAX_SEED)
        held_out = None
        if self.early_stopping:
            fraction = self.validation_fraction
            data, held_out = hold_out(data, fraction, random_state, labels)
        moments = Moments.of(data.X, data.weights)
        moments.check_magnitude(data.n_rows, data.X.dtype)

        autoencoders = self._autoencoders(output, data, random_state)
        scale = NetworkScale.of(data, moments)
        objective = self._objective(autoencoders, output, loss, data, scale, seed)
        coordinates = scale.coordinates(objective)
        curves, above = {}, None
        if self._continues:
            theta, curves = objective.theta_of(vars(self)), self.loss_curves_
        elif autoencoders is None:
            theta = coordinates.to_data(objective.start(random_state))
        else:
            theta, curves, above = self._pretrained(
                objective, loss, autoencoders, data, more_rows, task, beside
            )
        trained = None
        if self.fine_tune:
            self._set_anchors(objective, autoencoders)
            problem = Problem(
                *(objective, data, coordinates, Settings.of(self, data.n_rows)),
                attributes=partial(self._attributes, objective, beside),
            )
            trained = self._fine_tuned(problem, theta, seed, held_out, task)
            theta = trained.theta
            curves = {**curves, "fine-tuning": trained.loss_curve}
        self._keep(objective, autoencoders, theta, trained, curves, beside)
        last = trained or above
        stage = "Fine-tuning" if self.fine_tune else "The output layer"
        if last is None:
            return None, stage, None
        return last.status, stage, last.fault

    def _fine_tuned(self, problem, theta, seed, held_out, task):
        """Train all weights together."""
        if held_out is not None:
            unit = problem.coordinates.unit
            validate = self._validator(problem.objective, held_out, unit)
            problem = replace(problem, validate=validate)
        if self.verbose:
            print("fine-tuning")
        with subtask(task, "fine-tuning", problem.settings.max_iter) as part:
            problem = replace(problem, task=part)
            return train(problem, problem.coordinates.from_data(theta), seed)

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

    def _objective(self, autoencoders, output, loss, data, scale, seed):
        if self._continues:
            activations = self._names[:-1]
        else:
            activations = self._activations(autoencoders)
        reach = self._penalised_layers()
        alphas, l1 = layer_penalties(self, reach, scale, output, loss)
        make = NetworkObjective
        if issparse(data.X):
            make = partial(sparse_network, reconstructs=data.targets is None)
        return make(
            self._layer_sizes(data),
            activations,
            output=output,
            loss=loss,
            alphas=alphas,
            l1=l1,
            dropout=[self.input_dropout, *(self.hidden_dropout for _ in activations)],
            seed=seed,
            dtype=data.X.dtype,
        )

    def _pretrained(self, objective, loss, autoencoders, data, more_rows, task, beside):
        """θ, the loss curve of each stage, and how the output layer was trained."""
        X, weights = data.X, data.weights
        if more_rows is not None and is_remote(X):
            X = X.joined(more_rows)
        elif more_rows is not None:
            X = _joined(X, more_rows)
            if weights is not None:
                ones = np.ones(more_rows.shape[0], weights.dtype)
                weights = np.concatenate([weights, ones])
        pretrain(autoencoders, X, weights, int(self.verbose), task)
        theta = np.zeros(objective.layout.size, objective.dtype)
        parameters = objective.parameters(theta)
        curves = {}
        for layer, autoencoder in enumerate(autoencoders):
            parameters.coefs[layer][:] = autoencoder.components_
            parameters.intercepts[layer][:] = autoencoder.intercept_hidden_
            # BernoulliRBM records none.
            if hasattr(autoencoder, "loss_curve_"):
                curves[f"layer {layer + 1}"] = autoencoder.loss_curve_
        above = self._start_above(
            theta, objective, loss, autoencoders, data, task, beside
        )
        if above is not None:
            curves["output"] = above.loss_curve
        return theta, curves, above

    def _set_anchors(self, objective, autoencoders):
        """Say what weights a layer is to stay near, if not 0."""

    def _attributes(self, objective, beside, theta, n_iter):
        """Those fitted attributes that using what was learnt takes."""
        return {
            **beside,
            **objective.attributes(theta),
            "_names": objective.names,
            "n_iter_": n_iter,
        }

    def _keep(self, objective, autoencoders, theta, trained, curves, beside):
        """Set the fitted attributes."""
        if not np.isfinite(theta).all():
            raise ValueError(
                f"The weights that fit X overflow {objective.dtype}; scale X, for "
                "instance with StandardScaler."
            )
        n_iter = 0 if trained is None else trained.n_iter
        attributes = self._attributes(objective, beside, theta, n_iter)
        for name, value in attributes.items():
            setattr(self, name, value)
        self.layers_ = autoencoders
        self.penalties_ = {"squares": [*objective.alphas], "absolute": [*objective.l1]}
        self.sparsity_of_weights_ = [zeros(W) for W in self.coefs_]
        self.loss_ = None if trained is None else trained.loss
        self.loss_curve_ = None if trained is None else trained.loss_curve
        self.loss_curves_ = curves
        self.validation_scores_ = None if trained is None else trained.validation_scores
        self.n_layers_ = len(self.coefs_) + 1

    # -- using what was learnt -------------------------------------------------

    def _validate(self, X):
        check_is_fitted(self, "n_iter_")
        return validate_rows(self, X)

    def _layers(self, dtype, first=0, last=None):
        """What maps activations of layer ``first`` to those of layer ``last``."""
        which = slice(first, last)
        coefs = [W.T for W in self.coefs_[which]]
        return Layers(coefs, self.intercepts_[which], self._names[which], dtype)

    def _apply(self, X, last=None):
        """Activations of layer ``last`` for the rows X, not yet validated."""
        X = self._validate(X)
        return apply_layers(self._layers(X.dtype, last=last), X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _joined(X, more_rows):
    """All rows, sparse if some are."""
    if not (issparse(X) or issparse(more_rows)):
        return np.concatenate([X, more_rows])
    parts = [rows if issparse(rows) else csr_array(rows) for rows in (X, more_rows)]
    return vstack(parts, format="csr")
