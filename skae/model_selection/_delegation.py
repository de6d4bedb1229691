"""Methods of a search that call its best autoencoder."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skae.export.onnx import OnnxMixin


def _delegates(name: str) -> Callable[[Any], bool]:
    """Whether the autoencoder has a method of that name."""

    def check(self: Any) -> bool:
        getattr(getattr(self, "best_estimator_", self._autoencoder()), name)
        return True

    return check


class Delegation(OnnxMixin, TransformerMixin):
    """Methods that ``best_estimator_`` has or, before ``fit``, ``_autoencoder()``."""

    @available_if(_delegates("transform"))
    def transform(self, X: Any) -> Any:
        """Encode X with the best autoencoder.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Codes of the rows.
        """
        return self._fitted().transform(X)

    @available_if(_delegates("inverse_transform"))
    def inverse_transform(self, X: Any) -> Any:
        """Decode codes with the best autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The reconstructions.
        """
        return self._fitted().inverse_transform(X)

    @available_if(_delegates("predict"))
    def predict(self, X: Any) -> Any:
        """Predict with the best autoencoder: reconstructions, or its own targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray
            What ``predict`` of ``best_estimator_`` returns.
        """
        return self._fitted().predict(X)

    @available_if(_delegates("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities, if the autoencoder is a classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            What ``predict_proba`` of ``best_estimator_`` returns.
        """
        return self._fitted().predict_proba(X)

    @available_if(_delegates("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of ``predict_proba``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            What ``predict_log_proba`` of ``best_estimator_`` returns.
        """
        return self._fitted().predict_log_proba(X)

    @available_if(_delegates("score_samples"))
    def score_samples(self, X: Any) -> Any:
        """Return the negative squared reconstruction error of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            What ``score_samples`` of ``best_estimator_`` returns.
        """
        return self._fitted().score_samples(X)

    @available_if(_delegates("score"))
    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Return the score of the best autoencoder.

        This is the fraction of the variance that is explained or, for classifiers and
        regressors, their score. ``scoring`` and ``downstream`` are only used in
        ``fit``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,), default=None
            Targets, for autoencoders that need them.
        **params : dict
            Other arguments of its ``score``, such as ``sample_weight``.

        Returns
        -------
        float
            What ``score`` of ``best_estimator_`` returns.
        """
        return self._fitted().score(X, y, **params)

    @available_if(_delegates("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the codes.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features, checked against those seen in fit.

        Returns
        -------
        ndarray of shape (n_components,) of str
            What ``get_feature_names_out`` of ``best_estimator_`` returns.
        """
        return self._fitted().get_feature_names_out(input_features)

    @property
    def _onnx_model(self):
        best = self._fitted()
        if not isinstance(best, OnnxMixin):
            raise NotImplementedError(
                f"{type(self).__name__} becomes an ONNX graph with an autoencoder of "
                f"this package, but has {type(best).__name__}; convert best_estimator_."
            )
        return best

    @property
    def _onnx_outputs(self):
        return self._onnx_model._onnx_outputs

    @property
    def classes_(self) -> np.ndarray:
        """Class labels, if the autoencoder is a classifier."""
        return self._fitted().classes_

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a fitted autoencoder.

        Returns
        -------
        bool
            True after ``fit`` with ``refit=True``.
        """
        return hasattr(self, "best_estimator_")

    def _fitted(self):
        check_is_fitted(
            self,
            msg="This %(name)s has no fitted autoencoder; call fit, with refit=True.",
        )
        return self.best_estimator_
