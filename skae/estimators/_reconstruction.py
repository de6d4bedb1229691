"""What is done with a fitted autoencoder: encode, decode, and score both."""

from copy import copy
from functools import partial

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.validation import check_is_fitted

from skae._warnings import warn
from skae.engines.blas import single_threaded_blas
from skae.engines.row_map import apply_layers, fill
from skae.estimators._lazy import LazyTransformer, on_chunks
from skae.export.onnx import OnnxMixin
from skae.rows.array_api import converted, host_of
from skae.rows.reading import MatrixLike, read, read_codes, read_rows
from skae.rows.source import source


class ReconstructionMixin(ClassNamePrefixFeaturesOutMixin, OnnxMixin, LazyTransformer):
    """Transform, predict and score, by a subclass's ``_encoder`` and ``_decoder``.

    Both take a dtype and return ``Layers``, which map blocks of rows of that dtype;
    ``_code_scale`` takes one and returns what codes are divided by, or None.
    All is done block by block, so that beside X and what is returned nothing grows
    with the number of rows.
    """

    _column_means = None  # which stand in for missing entries
    _onnx_outputs = {
        "codes": True,
        "reconstruction": False,
        "score_samples": False,
    }

    def _onnx_layers(self, dtype):
        estimator = converted(self, host_of)
        encoder = estimator._encoder(dtype)
        if hasattr(encoder, "as_layers"):
            return encoder.as_layers()
        return encoder, estimator._decoder(dtype)

    def transform(self, X: MatrixLike) -> np.ndarray:
        """Encode X.

        With ``scale_codes``, the codes h of the formulas are divided by their standard
        deviation over the training rows, ``code_scale_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Codes of the rows, in the dtype of X if that is float32 or float64.
        """
        rows = self._rows(X)
        shape = len(rows), self._n_features_out
        codes = np.empty(shape, rows.dtype, like=rows.like)
        write = partial(_write_codes, self._code_scale(rows.dtype))
        return self._fill(codes, write, rows)

    @on_chunks
    def inverse_transform(self, X: npt.ArrayLike) -> np.ndarray:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as ``transform`` returns them.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The reconstructed rows.
        """
        check_is_fitted(self, "n_iter_")
        codes = read_codes(self, X)
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but inverse_transform takes codes "
                f"with n_components={self._n_features_out}, as transform returns them."
            )
        scale = self._code_scale(codes.dtype)
        if scale is not None:
            codes = codes * scale
        return apply_layers(self._decoder(codes.dtype), source(codes)).given

    @on_chunks
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Reconstruct X, as ``inverse_transform(transform(X))`` up to rounding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The reconstruction of every row. It is dense even if X is sparse;
            ``score`` and ``score_samples`` do not need it.
        """
        rows = self._rows(X)
        out = np.empty(rows.shape, rows.dtype, like=rows.like)
        return self._fill(out, _write_rows, rows)

    @on_chunks
    def score_samples(self, X: MatrixLike) -> np.ndarray:
        """Negative squared reconstruction error of each row.

        The higher it is, the more the row is like the training data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            −‖x̂_i − x_i‖², in squared units of X.
        """
        rows = self._rows(X)
        return -rows.of_whole_rows(self._squared_errors(rows))

    def score(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float:
        """Fraction of the variance of X that the reconstruction explains.

        R² = 1 − Σ_i s_i ‖x̂_i − x_i‖² / Σ_i s_i ‖x_i − x̄‖², which can be compared with
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
            1 is perfect, 0 is as good as the column means of X, and there is no lower
            bound. If all rows are equal, it is 1 if they are reconstructed exactly and
            0 otherwise. A single row has no variance to explain, so its score is nan,
            with an ``UndefinedMetricWarning``.
        """
        check_is_fitted(self, "n_iter_")
        given = read(self, X, sample_weight, reset=False, order=None)
        # What it is now: chunks may be scored elsewhere.
        with single_threaded_blas():
            mean_error, moments, n_rows = given.mean_error(copy(self)._squared_errors)
        if n_rows < 2:
            warn(
                "R² score is not well-defined with less than two samples: a single "
                "row has no variance to explain; score more rows at a time.",
                UndefinedMetricWarning,
            )
            return float("nan")
        if not np.isfinite([mean_error, moments.variance]).all():
            raise ValueError(
                "Squares of the entries of X, or of their errors, overflow float64; "
                "scale X, before fit too, for instance with StandardScaler."
            )
        if moments.observed is not None and not moments.observed.any():
            raise ValueError("X has no observed entry to be scored: all are NaN.")
        if moments.no_variation(given.dtype):
            return float(mean_error == 0)
        return 1 - mean_error / moments.variance

    def _rows(self, X):
        check_is_fitted(self, "n_iter_")
        return read_rows(self, X).filled_by(self._column_means)

    def _squared_errors(self, rows):
        """‖x̂_i − x_i‖² of each row, in float64, over the entries that it has."""
        rows = rows.filled_by(self._column_means)
        # For sparse rows the decoder's weights are multiplied by each other here.
        with single_threaded_blas():
            encode = self._encode(rows)
            write, cost = rows.errors(encode, self._decoder(rows.dtype))
            errors = np.empty(len(rows), like=rows.like)
            errors = fill(errors, write, rows, cost)
        self._check_codes(encode)
        return errors

    def _encode(self, rows):
        """What maps slices of these rows to codes."""
        # Products of atoms with each other have bits of the number of threads.
        with single_threaded_blas():
            return rows.layers(self._encoder(rows.dtype))

    def _fill(self, out, write, rows):
        """``write(encode, decode, rows[b], out[b])`` for each block b of rows."""
        encode = self._encode(rows)
        decode = self._decoder(rows.dtype)
        out = fill(out, partial(write, encode, decode), rows, encode)
        self._check_codes(encode)
        return out

    def _check_codes(self, encode):
        """Warn of codes that are not what they should be; those of layers are."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _write_codes(scale, encode, decode, X, codes):
    encode(X, out=codes)
    if scale is not None:
        codes /= scale


def _write_rows(encode, decode, X, reconstructed):
    decode(encode(X), out=reconstructed)
