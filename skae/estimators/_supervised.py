"""Stacks with targets: the output layer, and rows without a target."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skae._sklearn import StrOptions, check_sample_weight, validate_params
from skae.core.blocks import Data
from skae.core.network import NetworkObjective, propagate
from skae.estimators._problem import Problem, Settings
from skae.estimators._reconstruction import DTYPES
from skae.estimators._scales import Moments
from skae.estimators._stack import BaseStack, network_coordinates
from skae.estimators._training import train

# Of the output layer alone: a convex problem of few parameters. Where all weights are
# to be fine-tuned, a layer that fits its codes to the last leaves them nothing to
# learn: 20 iterations led to fewer errors than 1, 5 or 200 did.
_OUTPUT_MAX_ITER, _OUTPUT_START = 200, 20


class SupervisedStack(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseStack):
    """Fit to targets and transform to the top codes."""

    _parameter_constraints: dict = {
        **BaseStack._parameter_constraints,
        "decay": [StrOptions({"all", "output"})],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        autoencoder="denoising",
        activation="logistic",
        fine_tune=True,
        solver="lbfgs",
        alpha=1e-4,
        decay="all",
        max_iter=1000,
        max_fun=15000,
        tol=2e-4,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=1e-3,
        shuffle=True,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        input_dropout=0.0,
        hidden_dropout=0.0,
        random_state=None,
        warm_start=False,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.autoencoder = autoencoder
        self.activation = activation
        self.fine_tune = fine_tune
        self.solver = solver
        self.alpha = alpha
        self.decay = decay
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.tol = tol
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.input_dropout = input_dropout
        self.hidden_dropout = hidden_dropout
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def transform(self, X):
        """Codes of the top hidden layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        codes : ndarray of shape (n_samples, hidden_layer_sizes[-1])
            In the dtype of X if that is float32 or float64.
        """
        return self._propagate(self._validate(X), last=-1)

    @property
    def _n_features_out(self):
        return self.coefs_[-1].shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _inputs(self, X, y, X_unlabeled, sample_weight):
        """Validate parameters and data: X, y, rows without a target, and weights."""
        validate_params(self)
        self._sizes()
        self._check_dropout()
        reset = not (self.warm_start and hasattr(self, "coefs_"))
        X, y = validate_data(
            self,
            X,
            y,
            dtype=DTYPES,
            order="C",
            multi_output=True,
            y_numeric=self._y_numeric,
            reset=reset,
        )
        weights = check_sample_weight(sample_weight, X)
        if weights is not None and not weights.all():
            present = weights > 0  # absent means absent
            X, y, weights = X[present], y[present], weights[present]
        if X_unlabeled is not None:
            X_unlabeled = check_array(
                X_unlabeled, dtype=X.dtype, order="C", input_name="X_unlabeled"
            )
            if X_unlabeled.shape[1] != X.shape[1]:
                raise ValueError(
                    f"X_unlabeled has {X_unlabeled.shape[1]} features, but X has "
                    f"{X.shape[1]}; both must have the same columns."
                )
        return X, y, X_unlabeled, weights

    def _network(self, names, n_features, n_outputs, output, loss):
        """What ``_architecture`` returns."""
        alpha = float(self.alpha)
        hidden = alpha if self.decay == "all" else 0.0
        return {
            "layer_sizes": (n_features, *self._sizes(), n_outputs),
            "activations": names,
            "output": output,
            "loss": loss,
            "alphas": [*(hidden for _ in names), alpha],
        }

    def _start_above(self, parameters, architecture, data):
        """Train the output layer on the top codes, which is a convex problem."""
        if self.verbose:
            print("output layer")
        codes = propagate(
            data.X,
            parameters.coefs[:-1],
            parameters.intercepts[:-1],
            architecture["activations"],
        )
        objective = NetworkObjective(
            architecture["layer_sizes"][-2:],
            [],
            output=architecture["output"],
            loss=architecture["loss"],
            alphas=architecture["alphas"][-1:],
            dtype=codes.dtype,
        )
        data = Data(codes, data.weights, data.targets)
        coordinates = network_coordinates(
            objective, data, Moments.of(codes, data.weights)
        )
        max_iter = _OUTPUT_START if self.fine_tune else _OUTPUT_MAX_ITER
        settings = Settings(max_iter=max_iter, tol=self.tol)
        problem = Problem(objective, data, coordinates, settings)
        start = np.zeros(objective.layout.size, objective.dtype)
        output = objective.parameters(train(problem, start, seed=0).theta)
        parameters.coefs[-1][:] = output.coefs[0]
        parameters.intercepts[-1][:] = output.intercepts[0]
