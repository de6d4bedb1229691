"""What stacks share: pre-training, then fine-tuning of all weights together."""

from abc import ABCMeta, abstractmethod
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skae._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    validate_params,
)
from skae.core.activations import ACTIVATIONS
from skae.core.arrays import beside
from skae.core.layers import Layers
from skae.engines.code_moments import CodeMoments, code_moments
from skae.engines.row_map import apply_layers
from skae.estimators._callbacks import fit_task, subtask
from skae.estimators._fitting import ExtremeRowMixin, FittedStack
from skae.estimators._parameters import (
    PENALTY_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    DocLinkMixin,
    ScaledCodesMixin,
    fraction_of_zeros,
    strength,
)
from skae.estimators._pretraining import NAMES, make_autoencoders, pretrain
from skae.rows.reading import read_rows
from skae.training.early_stopping import hold_out
from skae.training.problem import Problem, Settings
from skae.training.run import METHODS, fit, refuse_overflow
from skae.training.scale import NetworkScale, layer_penalties

_MAX_SEED = np.iinfo(np.int32).max


class BaseStack(
    ScaledCodesMixin,
    DocLinkMixin,
    CallbackSupportMixin,
    ExtremeRowMixin,
    FittedStack,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Pre-train and fine-tune; a subclass says what lies above the encoder."""

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Integral],
        "autoencoder": [StrOptions(set(NAMES)), HasMethods(["fit"]), list, tuple, None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "fine_tune": ["boolean"],
        **ScaledCodesMixin._parameter_constraints,
        **PENALTY_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "hidden_dropout": [Interval(Real, 0, 1, closed="left")],
    }

    _goes_on_devices = True
    _column_means = None  # which stand in for missing entries
    # Below so much of the loss of constant predictions ``tol`` is relative to this.
    _nearly_zero = 0.1

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
    def _start_above(self, problem, targets, theta, autoencoders, task):
        """Fill in the weights above the encoder, which is pre-trained.

        Parameters
        ----------
        problem : Problem
            Of fine-tuning.
        targets : Targets
            What the outputs are and are compared by.
        theta : ndarray
            Of the whole; it is changed.
        autoencoders : list of estimator
            The fitted ones.
        task : Task or None
            Whose parts are the stages.

        Returns
        -------
        Trained or None
            How, if that took training.
        """

    @abstractmethod
    def _validator(self, objective, held_out, unit):
        """A callable θ -> score on the rows held out, higher is better."""

    def _check_data(self, data):
        """Refuse rows or targets that are not what they should be."""

    def set_params(self, **params: Any) -> Self:
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

    def _check_parameters(self):
        """Refuse what is not allowed, alone or together."""
        validate_params(self)
        self._sizes()
        self._check_stages()

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
        drops = self.input_dropout or self.hidden_dropout
        if drops and not METHODS[self.solver].is_stochastic:
            raise ValueError(
                f"Dropout needs solver='adam', got solver={self.solver!r} with "
                "input_dropout="
                f"{self.input_dropout} and hidden_dropout={self.hidden_dropout}; use "
                "solver='adam' or no dropout."
            )
        if self._continues and not self.fine_tune:
            raise ValueError(
                "warm_start=True continues fine-tuning, but fine_tune=False skips it; "
                "use fine_tune=True, or warm_start=False to start afresh."
            )
        if self.early_stopping and not self.fine_tune:
            raise ValueError(
                "early_stopping=True ends fine-tuning early, but fine_tune=False skips "
                "it; use fine_tune=True, or early_stopping=False."
            )
        if self.autoencoder is None and not self.fine_tune:
            raise ValueError(
                "fine_tune=False with autoencoder=None leaves the weights random; use "
                "fine_tune=True, or an autoencoder such as 'denoising'."
            )

    @property
    def _continues(self):
        """Whether ``fit`` goes on from the weights of the last one."""
        return self.warm_start and hasattr(self, "coefs_")

    def _encoder_names(self):
        """Activations of the encoder's layers where the stack itself chooses them."""
        return [self.activation] * len(self._sizes())

    def _learn(self, given, targets, more_rows=None):
        """Pre-train and fine-tune; set the fitted attributes in the end.

        Parameters
        ----------
        given : Given
            Rows, their weights, and targets unless those are the rows.
        targets : Targets
            What the outputs are and are compared by.
        more_rows : Rows, optional
            Rows to pre-train on as well.

        Returns
        -------
        status : str or None
            How the stage that comes last ended; None if there is none.
        stage : str
            Its name.
        fault : str or None
            What makes it no fit at all.
        extreme : tuple of (int, float) or None
            See ``Moments.extreme_row``.
        """
        data, held_out = given.data(targets.encode), None
        self._check_data(data)
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(_MAX_SEED)
        if self.early_stopping:
            fraction, labels = self.validation_fraction, targets.labels
            data, held_out = hold_out(data, fraction, random_state, labels)
        scale = NetworkScale.of(data)
        scale.moments.check_magnitude(data.n_rows, data.X.dtype)
        scale.moments.check_columns()
        fill = scale.moments.mean
        data = data.filled_by(fill)
        held_out = None if held_out is None else held_out.filled_by(fill)
        more_rows = None if more_rows is None else more_rows.filled_by(fill)
        autoencoders = self._autoencoders(targets.output, data, random_state)
        objective = self._objective(autoencoders, targets, data, scale, seed)
        problem = Problem(
            objective,
            data,
            scale.coordinates(objective),
            replace(Settings.of(self, data.n_rows), nearly_zero=self._nearly_zero),
            attributes=partial(
                self._attributes,
                objective,
                (data, more_rows),
                {**targets.fitted, "_column_means": fill},
            ),
        )
        with fit_task(self, *given.shown, self._n_stages) as task:
            theta, curves, last = self._start(
                problem, targets, autoencoders, more_rows, task, random_state
            )
            trained = None
            if self.fine_tune:
                self._set_anchors(objective, autoencoders)
                last = trained = self._fine_tune(problem, theta, seed, held_out, task)
                theta = trained.theta
                curves = {**curves, "fine-tuning": trained.loss_curve}
            self._keep(problem, autoencoders, theta, trained, curves)
        stage = "Fine-tuning" if self.fine_tune else "The output layer"
        status, fault = (None, None) if last is None else (last.status, last.fault)
        return status, stage, fault, scale.moments.extreme_row

    @property
    def _n_stages(self):
        n_stages = int(self.fine_tune)
        if not self._continues and self.autoencoder is not None:
            n_stages += len(self._sizes()) + self._trains_output
        return n_stages

    def _start(self, problem, targets, autoencoders, more_rows, task, random_state):
        """θ to fine-tune, the loss curve of each stage, and how the last ended."""
        objective = problem.objective
        if self._continues:
            return objective.theta_of(vars(self)), self.loss_curves_, None
        if autoencoders is None:
            start = beside(objective.start(random_state), objective.like)
            return problem.coordinates.to_data(start), {}, None
        data = problem.data
        rows = data if more_rows is None else data.joined(more_rows)
        pretrain(autoencoders, rows.X, rows.weights, int(self.verbose), task)
        theta = np.zeros(objective.layout.size, objective.dtype, like=objective.like)
        parameters = objective.parameters(theta)
        curves = {}
        for layer, autoencoder in enumerate(autoencoders):
            parameters.coefs[layer][:] = autoencoder.components_
            parameters.intercepts[layer][:] = autoencoder.intercept_hidden_
            # BernoulliRBM records none.
            if hasattr(autoencoder, "loss_curve_"):
                curves[f"layer {layer + 1}"] = autoencoder.loss_curve_
        above = self._start_above(problem, targets, theta, autoencoders, task)
        if above is not None:
            curves["output"] = above.loss_curve
        return theta, curves, above

    def _fine_tune(self, problem, theta, seed, held_out, task):
        """Train all weights together."""
        if held_out is not None:
            unit = problem.coordinates.unit
            validate = self._validator(problem.objective, held_out, unit)
            problem = replace(problem, validate=validate)
        random = self.autoencoder is None and not self._continues
        problem = replace(problem, goes_on=not random)
        if self.verbose:
            print("fine-tuning")
        with subtask(task, "fine-tuning", problem.settings.max_iter) as part:
            problem = replace(problem, task=part)
            return fit(problem, [problem.coordinates.from_data(theta)], [seed])

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

    def _objective(self, autoencoders, targets, data, scale, seed):
        if self._continues:
            activations = self._names[:-1]
        else:
            activations = self._activations(autoencoders)
        output, loss = targets.output, targets.loss
        alphas, l1 = layer_penalties(
            *(*strength(self, "alpha"), self.l1_ratio, self._penalised_layers()),
            *(scale, output, loss, self._unit_alpha),
        )
        return data.X.network(
            self._layer_sizes(data),
            activations,
            reconstructs=data.targets is None,
            output=output,
            loss=loss,
            alphas=alphas,
            l1=l1,
            dropout=[self.input_dropout, *(self.hidden_dropout for _ in activations)],
            seed=seed,
            dtype=data.X.dtype,
        )

    def _set_anchors(self, objective, autoencoders):
        """Say what weights a layer is to stay near, if not 0."""

    def _attributes(self, objective, rows, beside, theta, n_iter):
        """Those with which a stack that stopped at θ is as good as fitted.

        ``rows`` are those with a target, as ``Data``, and those without, or None.
        """
        weights = objective.attributes(theta)
        layers = weights["coefs_"], weights["intercepts_"], objective.names
        depth, (data, more_rows) = len(self._sizes()), rows
        coefs, intercepts, names = (of_all[:depth] for of_all in layers)
        encoder = Layers([W.T for W in coefs], intercepts, names, objective.dtype)
        codes = [code_moments(encoder, data.X, data.weights)]
        if more_rows is not None:
            codes.append(code_moments(encoder, more_rows))
        return {
            **beside,
            **weights,
            "code_scale_": CodeMoments.combined(codes).scale(objective.dtype),
            "_names": objective.names,
            "n_iter_": n_iter,
        }

    def _keep(self, problem, autoencoders, theta, trained, curves):
        """Set the fitted attributes, in one step."""
        refuse_overflow(theta)  # which may be an autoencoder's as it is
        objective = problem.objective
        n_iter = 0 if trained is None else trained.n_iter
        attributes = problem.attributes(theta, n_iter)
        coefs = attributes["coefs_"]
        penalties = {"squares": [*objective.alphas], "absolute": [*objective.l1]}
        vars(self).update(
            {
                **attributes,
                "layers_": autoencoders,
                "penalties_": penalties,
                "sparsity_of_weights_": [fraction_of_zeros(W) for W in coefs],
                "loss_": None if trained is None else trained.loss,
                "loss_curve_": None if trained is None else trained.loss_curve,
                "loss_curves_": curves,
                "validation_scores_": (
                    None if trained is None else trained.validation_scores
                ),
                "n_layers_": len(coefs) + 1,
            }
        )

    # -- using what was learnt -------------------------------------------------

    def _rows(self, X):
        check_is_fitted(self, "n_iter_")
        return read_rows(self, X).filled_by(self._column_means)

    def _layers(self, dtype, first=0, last=None):
        """What maps activations of layer ``first`` to those of layer ``last``."""
        which = slice(first, last)
        coefs = [W.T for W in self.coefs_[which]]
        return Layers(coefs, self.intercepts_[which], self._names[which], dtype)

    def _apply(self, X, last=None):
        """Activations of layer ``last`` for the rows X, not yet validated."""
        rows = self._rows(X)
        return apply_layers(self._layers(rows.dtype, last=last), rows).given

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.array_api_support = True
        return tags
