"""Stacks with targets: the output layer, and rows without a target."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skae._sklearn import StrOptions, check_sample_weight, validate_params
from skae.core.blocks import Data, is_remote
from skae.core.layers import Layers
from skae.core.network import NetworkObjective
from skae.engines.row_map import apply_layers
from skae.estimators._callbacks import subtask
from skae.estimators._pretraining import activation_of
from skae.estimators._stack import BaseStack
from skae.estimators._targets import check_given
from skae.rows.dask_collections import is_dask, on_chunks, remote_data
from skae.rows.moments import Moments
from skae.rows.reading import validate_rows, without_duplicates
from skae.training.problem import Problem, Settings
from skae.training.run import train
from skae.training.scale import NetworkScale

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
        """Compute the codes of the top hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, hidden_layer_sizes[-1])
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

    def _check_stages(self):
        super()._check_stages()
        if self.decay == "start" and self.l1_ratio:
            raise ValueError(
                "decay='start' keeps weights near those of pre-training, which an L1 "
                f"part, l1_ratio={self.l1_ratio}, would draw to zero; use "
                "decay='all' or 'output' with it, or l1_ratio=0."
            )

    def _inputs(self, X, y, X_unlabeled, sample_weight):
        """Validate parameters and data: X, y, rows without a target, and weights."""
        validate_params(self)
        self._sizes()
        self._check_stages()
        X, y = validate_rows(
            self,
            X,
            y=y,
            order="C",
            multi_output=True,
            y_numeric=self._y_numeric,
            reset=not self._continues,
        )
        if issparse(y) and self._y_numeric:
            raise ValueError(
                "y must be dense, got a sparse matrix; use y.toarray() instead."
            )
        weights = check_sample_weight(sample_weight, X)
        if X_unlabeled is not None:
            given = X_unlabeled
            X_unlabeled = check_array(
                X_unlabeled,
                accept_sparse="csr",
                dtype=X.dtype,
                order="C",
                input_name="X_unlabeled",
            )
            X_unlabeled = without_duplicates(X_unlabeled)
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
        if not is_dask(X_unlabeled):
            raise ValueError(
                "X_unlabeled must be a dask collection where X is one, got "
                f"{type(X_unlabeled).__name__}; dask.array.from_array makes one of it."
            )
        return data, remote_data(self, X_unlabeled, reset=False).X

    def _layer_sizes(self, data):
        return (data.X.shape[1], *self._sizes(), data.targets.shape[1])

    def _penalised_layers(self):
        return [*(self.decay != "output" for _ in self._sizes()), True]

    def _activations(self, autoencoders):
        if autoencoders is None:
            return self._encoder_names()
        return [activation_of(autoencoder) for autoencoder in autoencoders]

    def _set_anchors(self, objective, autoencoders):
        if self.decay == "start" and autoencoders is not None:
            starts = [autoencoder.components_ for autoencoder in autoencoders]
            objective.anchors[: len(starts)] = starts

    _trains_output = True

    def _start_above(self, theta, objective, loss, autoencoders, data, task, beside):
        """Train the output layer on the top codes, which is a convex problem."""
        parameters = objective.parameters(theta)

        def whole(top):
            whole = theta.copy()
            whole[-len(top) :] = top  # the last of the layers, and laid out alike
            return whole

        def attributes(top, n_iter):
            return self._attributes(objective, beside, whole(top), n_iter)

        if self.verbose:
            print("output layer")
        encoder = Layers(
            parameters.coefs[:-1],
            parameters.intercepts[:-1],
            objective.names[:-1],
            objective.dtype,
        )
        codes = apply_layers(encoder, data.X)
        if data.weights is not None and not is_remote(codes):
            codes[data.weights == 0] = 0  # such rows may have held anything
        output = NetworkObjective(
            objective.layer_sizes[-2:],
            [],
            output=objective.names[-1],
            loss=loss,
            alphas=objective.alphas[-1:],
            l1=objective.l1[-1:],
            dtype=codes.dtype,
        )
        data = Data(codes, data.weights, data.targets)
        moments = Moments.of(codes, data.weights)
        coordinates = NetworkScale.of(data, moments).coordinates(output)
        max_iter = _OUTPUT_ITERATIONS if self.fine_tune else int(self.max_iter)
        settings = Settings(max_iter=max_iter, max_fun=int(self.max_fun), tol=self.tol)
        start = np.zeros(output.layout.size, output.dtype)
        with subtask(task, "output layer", max_iter) as part:
            problem = Problem(
                *(output, data, coordinates, settings), task=part, attributes=attributes
            )
            trained = train(problem, start, seed=0)
        if trained.status == "interrupted":
            raise KeyboardInterrupt
        theta[:] = whole(trained.theta)
        return trained
