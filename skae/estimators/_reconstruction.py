"""What is done with a fitted autoencoder: encode, decode, and score both."""

from functools import partial

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skae._sklearn import check_sample_weight
from skae.engines.row_map import apply_layers, fill, for_rows
from skae.engines.sparse_errors import sparse_squared_errors
from skae.rows.dask_collections import is_dask, on_chunks, score_of
from skae.rows.moments import Moments
from skae.rows.reading import DTYPES, validate_rows


class ReconstructionMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Transform, predict and score, by a subclass's ``_encoder`` and ``_decoder``.

    Both take a dtype and return ``Layers``, which map blocks of rows of that dtype.
    All is done block by block, so that beside X and what is returned nothing grows
    with the number of rows.
    """

    @on_chunks
    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Codes of the rows, in the dtype of X if that is float32 or float64.
        """
        X = self._validate(X)
        codes = np.empty((X.shape[0], self._n_features_out), X.dtype)
        return self._fill(codes, _write_codes, X)

    @on_chunks
    def inverse_transform(self, X):
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as ``transform`` returns them.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The rows that the codes stand for.
        """
        check_is_fitted(self, "n_iter_")
        codes = check_array(X, dtype=DTYPES)
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but inverse_transform takes codes "
                f"with n_components={self._n_features_out}, as transform returns them."
            )
        return apply_layers(self._decoder(codes.dtype), codes)

    @on_chunks
    def predict(self, X):
        """Reconstruct X: ``inverse_transform(transform(X))``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The reconstruction of every row. It is dense even where X is sparse;
            ``score`` and ``score_samples`` do without it.
        """
        X = self._validate(X)
        return self._fill(np.empty(X.shape, X.dtype), _write_rows, X)

    @on_chunks
    def score_samples(self, X):
        """Negative squared reconstruction error of each row.

        Higher is more like the training data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            −‖x̂_i − x_i‖², in squared units of X.
        """
        return -self._squared_errors(self._validate(X))

    def score(self, X, y=None, sample_weight=None):
        """Fraction of the variance of X that the reconstruction explains.

        R² = 1 − Σ_i s_i ‖x̂_i − x_i‖² / Σ_i s_i ‖x_i − x̄‖², to be read beside
        ``PCA.explained_variance_ratio_.sum()``. It needs no labels, so a grid
        search without ``y`` works.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.

        Returns
        -------
        float
            1 is perfect, 0 no better than the column means of X, and there is no
            lower bound. Where all rows are equal it is 1 if they are
            reconstructed exactly and 0 otherwise.
        """
        if is_dask(X):
            check_is_fitted(self, "n_iter_")
            mean_error, moments, dtype = score_of(self, X, sample_weight)
        else:
            X = self._validate(X)
            dtype, weights = X.dtype, check_sample_weight(sample_weight, X)
            errors = self._squared_errors(X)
            mean_error = float(np.average(errors, weights=weights))
            moments = Moments.of(X, weights)
        if moments.no_variation(dtype):
            return float(mean_error == 0)
        return 1 - mean_error / moments.variance

    def _validate(self, X):
        check_is_fitted(self, "n_iter_")
        return validate_rows(self, X)

    def _squared_errors(self, X):
        """‖x̂_i − x_i‖² of each row, returned in float64."""
        if issparse(X):
            encode, decode = self._encoder(X.dtype), self._decoder(X.dtype)
            return sparse_squared_errors(encode, decode, X)
        return self._fill(np.empty(X.shape[0]), _write_squared_errors, X)

    def _fill(self, out, write, X):
        """``write(encode, decode, X[rows], out[rows])`` for each block of rows."""
        encode, decode = for_rows(self._encoder(X.dtype), X), self._decoder(X.dtype)
        return fill(out, partial(write, encode, decode), X, encode)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _write_codes(encode, decode, X, codes):
    encode(X, out=codes)


def _write_rows(encode, decode, X, reconstructed):
    decode(encode(X), out=reconstructed)


def _write_squared_errors(encode, decode, X, errors):
    residual = decode(encode(X))
    residual -= X
    np.vecdot(residual, residual, out=errors)
