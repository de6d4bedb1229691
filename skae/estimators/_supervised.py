"""Stacks with targets: the output layer, and rows without a target."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skae._sklearn import StrOptions, check_sample_weight, validate_params
from skae.core.blocks import Data
from skae.core.network import Layers, NetworkObjective
from skae.engines.rows import apply_layers
from skae.estimators._dask import on_chunks, remote_data
from skae.estimators._pretraining import activation_of
from skae.estimators._problem import Problem, Settings
from skae.estimators._reconstruction import DTYPES
from skae.estimators._remote_targets import check_given
from skae.estimators._scales import Moments
from skae.estimators._stack import BaseStack, network_coordinates
from skae.estimators._training import train

# Of the output layer alone: a convex problem of few parameters. Where all weights are
# to be fine-tuned, a layer that fits its codes to the last leaves them nothing to
# learn; a few iterations only turn it the right way.
_OUTPUT_ITERATIONS = 20


class SupervisedStack(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseStack):
    """Fit to targets and transform to the top codes."""

    _parameter_constraints: dict = {
        **BaseStack._parameter_constraints,
        "decay": [StrOptions({"all", "start", "output"})],
    }

    @on_chunks
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
        return self._apply(X, last=-1)

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
        self._check_stages()
        X, y = validate_data(
            self,
            X,
            y,
            dtype=DTYPES,
            order="C",
            multi_output=True,
            y_numeric=self._y_numeric,
            reset=not self._continues,
        )
        weights = check_sample_weight(sample_weight, X)
        if weights is not None and not weights.all():
            present = weights > 0  # absent means absent
            X, y, weights = X[present], y[present], weights[present]
        if X_unlabeled is not None:
            given = X_unlabeled
            X_unlabeled = check_array(
                X_unlabeled, dtype=X.dtype, order="C", input_name="X_unlabeled"
            )
            if X_unlabeled.shape[1] != X.shape[1]:
                raise ValueError(
                    f"X_unlabeled has {X_unlabeled.shape[1]} features, but X has "
                    f"{X.shape[1]}; both must have the same columns."
                )
            if hasattr(given, "columns"):  # a data frame: in the same order, too
                validate_data(self, given, reset=False, skip_check_array=True)
        return X, y, X_unlabeled, weights

    def _remote_inputs(self, X, y, X_unlabeled, sample_weight, encode):
        """Validate parameters and dask's data: ``Data``, and rows without a target."""
        validate_params(self)
        self._sizes()
        self._check_stages()
        check_given(self, y)
        data = remote_data(
            self, X, y, sample_weight, encode=encode, reset=not self._continues
        )
        if X_unlabeled is None:
            return data, None
        return data, remote_data(self, X_unlabeled, reset=False).X

    def _layer_sizes(self, data):
        return (data.X.shape[1], *self._sizes(), data.targets.shape[1])

    def _alphas(self):
        alpha = float(self.alpha)
        hidden = 0.0 if self.decay == "output" else alpha
        return [*(hidden for _ in self._sizes()), alpha]

    def _activations(self, autoencoders):
        if autoencoders is None:
            return self._encoder_names()
        return [activation_of(autoencoder) for autoencoder in autoencoders]

    def _set_anchors(self, objective, autoencoders):
        if self.decay == "start" and autoencoders is not None:
            starts = [autoencoder.components_ for autoencoder in autoencoders]
            objective.anchors[: len(starts)] = starts

    def _start_above(self, parameters, objective, loss, autoencoders, data):
        """Train the output layer on the top codes, which is a convex problem."""
        if self.verbose:
            print("output layer")
        encoder = Layers(
            parameters.coefs[:-1],
            parameters.intercepts[:-1],
            objective.names[:-1],
            objective.dtype,
        )
        codes = apply_layers(encoder, data.X)
        output = NetworkObjective(
            objective.layer_sizes[-2:],
            [],
            output=objective.names[-1],
            loss=loss,
            alphas=objective.alphas[-1:],
            dtype=codes.dtype,
        )
        data = Data(codes, data.weights, data.targets)
        coordinates = network_coordinates(output, data, Moments.of(codes, data.weights))
        max_iter = _OUTPUT_ITERATIONS if self.fine_tune else int(self.max_iter)
        settings = Settings(max_iter=max_iter, tol=self.tol)
        problem = Problem(output, data, coordinates, settings)
        start = np.zeros(output.layout.size, output.dtype)
        trained = train(problem, start, seed=0)
        if trained.status == "interrupted":
            raise KeyboardInterrupt
        learnt = output.parameters(trained.theta)
        parameters.coefs[-1][:] = learnt.coefs[0]
        parameters.intercepts[-1][:] = learnt.intercepts[0]
        return trained
