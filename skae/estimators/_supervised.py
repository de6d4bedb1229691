"""Stacks with targets: the output layer, and rows without a target."""

from abc import abstractmethod

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin

from skae._sklearn import StrOptions
from skae.core.layers import Layers
from skae.engines.blas import single_threaded_blas
from skae.engines.row_map import apply_layers
from skae.estimators._callbacks import subtask
from skae.estimators._fitting import unchanged_on_error, warn_if_cut_short
from skae.estimators._lazy import LazyTransformer
from skae.estimators._parameters import check_works
from skae.estimators._pretraining import activation_of
from skae.estimators._stack import BaseStack
from skae.export.onnx import OnnxMixin
from skae.rows.data import Data
from skae.rows.reading import MatrixLike, read, read_more
from skae.training.problem import Problem, Settings
from skae.training.run import fit
from skae.training.scale import NetworkScale

# Of the output layer alone: a convex problem of few parameters. Where all weights are
# to be fine-tuned, a layer that fits its codes to the last leaves them nothing to
# learn; a few iterations only turn it the right way.
_OUTPUT_ITERATIONS = 20


class SupervisedStack(
    ClassNamePrefixFeaturesOutMixin, OnnxMixin, LazyTransformer, BaseStack
):
    """Fit to targets and transform to the top codes."""

    _parameter_constraints: dict = {
        **BaseStack._parameter_constraints,
        "decay": [StrOptions({"all", "start", "output"})],
    }

    def transform(self, X: MatrixLike) -> np.ndarray:
        """Compute the codes of the top hidden layer.

        With ``scale_codes``, they are divided by their standard deviation over the
        training rows, ``code_scale_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, hidden_layer_sizes[-1])
            In the dtype of X if that is float32 or float64.
        """
        codes = self._apply(X, last=-1)
        scale = self._code_scale(codes.dtype)
        if scale is not None:
            codes /= scale
        return codes

    def _onnx_layers(self, dtype):
        return self._layers(dtype, last=-1), self._layers(dtype, first=-1)

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
                f"decay='start' cannot be combined with l1_ratio={self.l1_ratio}: it "
                "keeps the weights near those of pre-training, and l1_ratio sets "
                "weights to zero. Use decay='all' or 'output', or l1_ratio=0."
            )

    def _fit(self, X, y, X_unlabeled, sample_weight):
        """What ``fit`` of a classifier and of a regressor does."""
        with unchanged_on_error(self), single_threaded_blas():
            self._check_parameters()
            reset = not self._continues
            given = read(self, X, sample_weight, reset=reset, y=y, supervised=True)
            check_works(self, given, self.solver)
            more_rows = read_more(self, X_unlabeled, given, "X_unlabeled")
            *ended, extreme = self._learn(given, self._targets(given), more_rows)
        self._warn_of_extreme_row(extreme)
        warn_if_cut_short(self, *ended)
        return self

    @abstractmethod
    def _targets(self, given):
        """The ``Targets`` that ``given`` has."""

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

    def _start_above(self, problem, targets, theta, autoencoders, task):
        """Train the output layer on the top codes, which is a convex problem."""
        objective, data = problem.objective, problem.data
        parameters = objective.parameters(theta)

        def whole(top):
            whole = theta.copy()
            whole[-len(top) :] = top  # the last of the layers, and laid out alike
            return whole

        if self.verbose:
            print("output layer")
        encoder = Layers(
            parameters.coefs[:-1],
            parameters.intercepts[:-1],
            objective.names[:-1],
            objective.dtype,
        )
        codes = apply_layers(encoder, data.X, data.weights)
        data = Data(codes, data.weights, data.targets)
        output = codes.network(
            objective.layer_sizes[-2:],
            [],
            reconstructs=False,
            output=targets.output,
            loss=targets.loss,
            alphas=objective.alphas[-1:],
            l1=objective.l1[-1:],
            dtype=codes.dtype,
        )
        max_iter = _OUTPUT_ITERATIONS if self.fine_tune else int(self.max_iter)
        settings = Settings(
            max_iter=max_iter, max_fun=int(self.max_fun), tol=float(self.tol)
        )
        start = np.zeros(output.layout.size, output.dtype)
        with subtask(task, "output layer", max_iter) as part:
            top = Problem(
                output,
                data,
                NetworkScale.of(data).coordinates(output),
                settings,
                task=part,
                attributes=lambda top, n_iter: problem.attributes(whole(top), n_iter),
            )
            trained = fit(top, [start])
        if trained.status == "interrupted":
            raise KeyboardInterrupt
        theta[:] = whole(trained.theta)
        return trained
