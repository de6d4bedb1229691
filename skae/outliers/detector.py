"""Outlier detection by reconstruction errors, with contributions of the features."""

from __future__ import annotations

from numbers import Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin, clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted

from skae._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    check_sample_weight,
    in_container,
    validate_params,
)
from skae.estimators._fitting import expect_extreme_rows, unchanged_on_error
from skae.estimators._lazy import ArrayApiMixin, computed, on_chunks
from skae.estimators._parameters import only_where
from skae.estimators.sparse import SparseAutoencoder
from skae.export.onnx import WithoutGraph
from skae.export.versions import VersionedMixin
from skae.outliers._errors import (
    ERRORS,
    LEAST_OF_FEATURE,
    or_one,
    quantile,
    refuse_too_large,
    spread,
    upper_fence,
)
from skae.outliers._reconstruct import (
    NEEDS,
    fit_arguments,
    reconstructs,
    takes,
    weight_parameters,
)
from skae.outliers._rows import (
    by_rows,
    evenly,
    is_of_rows,
    read_chunks,
    read_rows,
)
from skae.outliers._scoring import (
    entry_errors,
    entry_scores,
    row_distances,
    row_scores,
    warn_if_exact,
)
from skae.rows.dask_collections import is_dask
from skae.rows.reading import MatrixLike

# Of the default autoencoder: the least number of units, of which there are otherwise as
# many as features, and ``sparsity_target`` and ``tol``. With the defaults of these two,
# fits take five times as long, and mean AUCs in examples/benchmarks/bench_outliers.py
# are the same up to 0.01.
_LEAST_UNITS, _TARGET, _TOL = 32, 0.1, 0.3
# The least fraction of the training rows that contamination="auto" calls outliers.
_FEWEST = 0.01
# The number of rows that all earlier calls of partial_fit count as, at most.
_MOST_EARLIER_ROWS = 1000


def _learns_in_pieces(detector):
    if not hasattr(detector.estimator, "partial_fit"):
        raise AttributeError(
            "partial_fit needs an estimator that has it, got "
            f"estimator={detector.estimator!r}; use SparseAutoencoder(solver='adam')."
        )


class ReconstructionOutlierDetector(
    WithoutGraph,
    VersionedMixin,
    ArrayApiMixin,
    MetaEstimatorMixin,
    OutlierMixin,
    BaseEstimator,
):
    r"""Outlier detector that uses the reconstruction error of an estimator.

    The estimator learns to reconstruct the training rows. The score of a row x is a sum
    over the features,

    .. math::

        \mathrm{score}(x) = \sum_j \left[ \rho\!\left(\frac{e_j}{s_j}\right)
            + w \, \rho\!\left(\frac{x_j - m_j}{t_j}\right) \right],

    where e = x − x̂ is the reconstruction error, s the robust spread of the errors of
    the training rows, m the median of the features over the training rows, and t the
    robust spread of the features. ``feature_scores`` returns the terms of this sum, the
    contributions of the features. They do not depend on the units of the features.

    The first term finds rows that break the relations between features. The second
    term finds rows that are far from the others. It is needed if the training rows
    contain outliers, because the estimator may have learnt to reconstruct them.

    Parameters
    ----------
    estimator : estimator, default=None
        An estimator that reconstructs rows, with ``inverse_transform(transform(X))`` or
        with a ``predict`` that returns rows: an autoencoder of this package, ``PCA``,
        ``NMF``, ``KernelPCA(fit_inverse_transform=True)``, or a pipeline of a scaler
        and one of these. A regressor such as ``MLPRegressor`` is fitted with the rows
        as its targets. A clone of the estimator is fitted. None means a
        ``StandardScaler`` and a `SparseAutoencoder` with as many units as
        features, but at least 32, ``sparsity_target=0.1`` and ``tol=0.3``.

    contamination : "auto" or float, default="auto"
        The fraction of the training rows to call outliers, in (0, 0.5]. It sets
        ``offset_``. "auto" calls at least 1 % of the training rows outliers, and more
        if the scores have a long tail: all rows whose square root of the score is above
        Tukey's upper fence q₃ + 1.5 (q₃ − q₁), with the quartiles q₁ and q₃ of these
        roots [3]_. The scores do not depend on this parameter.

    error : {"huber", "squared", "absolute"}, default="huber"
        The function ρ(z). "squared" is z², and "absolute" is abs(z). "huber" is z² for
        abs(z) up to 1.5, and linear above, so that no single entry dominates the score
        [1]_.

    distance_weight : float, default=3.0
        Weight w of the distance from the median, in [0, inf). With 0, the score uses
        the reconstruction errors only. This is a little better if the training rows
        contain no outliers, and much worse if they do.

    trim : float, default=0.0
        The fraction of the training rows that the estimator does not learn from, in
        [0, 1): those with the largest sum of the second term above.

    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights of the default estimator. Not used if ``estimator``
        is given. Pass an int for reproducible results.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.

    offset_ : float
        The threshold: ``decision_function`` is ``score_samples`` minus this value.

    center_ : ndarray of shape (n_features,)
        m, the median of each feature over the training rows.

    scale_ : ndarray of shape (n_features,)
        t, the spread of the deviations from the median: the 90 % quantile of their
        absolute values, divided by 1.645, the same quantile for the standard normal
        distribution. It is at least a quarter of their root mean square, and 1 for a
        constant feature.

    error_scale_ : ndarray of shape (n_features,)
        s, the same spread of the reconstruction errors, but at least 1 % of
        ``scale_``.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all feature names of X are strings.

    See Also
    --------
    skae.plotting.OutlierDisplay : Draw the scores, and the contributions to one.
    sklearn.ensemble.IsolationForest : Outliers are isolated by few random splits.
    sklearn.neighbors.LocalOutlierFactor : Outliers have fewer neighbours close by than
        their neighbours have.

    Notes
    -----
    The spreads are computed from at most 20,000 training rows, evenly spaced.

    If the estimator accepts NaN, missing entries do not contribute to the score. The
    contributions of the other entries are multiplied by the number of features and
    divided by the number of observed entries of the row. A row without an observed
    entry has the highest score, 0.

    The threshold is set by the scores of the training rows, to which the estimator was
    fitted.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of
       Mathematical Statistics 35, 1964.
    .. [2] S. Hawkins, H. He, G. Williams and R. Baxter, "Outlier detection using
       replicator neural networks", DaWaK 2002: errors of an autoencoder.
    .. [3] John W. Tukey, "Exploratory data analysis", 1977: the upper fence.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skae import ReconstructionOutlierDetector
    >>> X = load_wine(as_frame=True).data
    >>> detector = ReconstructionOutlierDetector(random_state=0).fit(X)
    >>> strange = X.iloc[[0]].assign(alcohol=8.0)
    >>> detector.predict(X.iloc[[0]]), detector.predict(strange)
    (array([1]), array([-1]))
    >>> detector = detector.set_output(transform="pandas")
    >>> detector.feature_scores(strange).iloc[0].idxmax()
    'alcohol'
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit"]), None],
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
        ],
        "error": [StrOptions(set(ERRORS))],
        "distance_weight": [Interval(Real, 0, None, closed="left")],
        "trim": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        contamination="auto",
        error="huber",
        distance_weight=3.0,
        trim=0.0,
        random_state=None,
    ):
        self.estimator = estimator
        self.contamination = contamination
        self.error = error
        self.distance_weight = distance_weight
        self.trim = trim
        self.random_state = random_state

    def fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the estimator, and compute the spreads and the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Sparse only if the estimator accepts sparse matrices. Dask
            arrays and data frames are passed to the estimator as dask arrays.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows, for the spreads, the threshold and the
            estimator, which must accept weights. In a pipeline, all steps that accept
            weights get them.
        **fit_params : dict
            Other arguments of ``fit`` of the estimator. They need metadata routing.

        Returns
        -------
        object
            The fitted detector.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight is invalid. The message names the
            problem.
        """
        with unchanged_on_error(self):
            X, weights = self._read(X, sample_weight, reset=True)
            estimator = expect_extreme_rows(self._new_estimator(X))
            params = self._routed("fit", estimator, sample_weight, weights, fit_params)
            sample, of_sample = evenly(X, weights)
            self.center_ = np.nan_to_num(quantile(sample, 0.5, of_sample))
            deviations = refuse_too_large(sample - self.center_, X.dtype)
            self.scale_ = or_one(spread(deviations, of_sample))
            kept, params = self._trimmed(X, weights, params)
            self.estimator_ = self._fitted(estimator, kept, params)
            self.error_scale_ = self.scale_  # until it is known
            errors = entry_errors(self, sample, X.dtype)
            if np.nan_to_num(deviations).any():
                warn_if_exact(self, sample, errors, X.dtype)
            self.error_scale_ = self._error_scale(errors, of_sample)
            self.offset_ = self._offset(X, weights)
            self._n_earlier = 0.0
        return self

    @only_where(_learns_in_pieces)
    def partial_fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
        **partial_fit_params: Any,
    ) -> Self:
        """Update the estimator, the spreads and the threshold with some rows.

        This calls ``partial_fit`` of the estimator. The spreads and the threshold are
        weighted means over the calls. All earlier calls together count as at most 1000
        rows. Errors of earlier rows are not computed again. ``trim`` is not used.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some rows.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.
        **partial_fit_params : dict
            Other arguments of ``partial_fit`` of the estimator. They need metadata
            routing.

        Returns
        -------
        object
            The detector.
        """
        with unchanged_on_error(self):
            earlier = vars(self).copy() if hasattr(self, "offset_") else None
            X, weights = self._read(X, sample_weight, reset=earlier is None)
            if is_dask(X):
                X, weights = computed(X, weights)
            estimator = clone(self.estimator) if earlier is None else self.estimator_
            expect_extreme_rows(estimator)
            params = self._routed(
                "partial_fit", estimator, sample_weight, weights, partial_fit_params
            )
            estimator.partial_fit(*fit_arguments(estimator, X), **params)
            self.estimator_ = estimator
            total = float(X.shape[0] if weights is None else weights.sum())
            n_earlier = 0.0 if earlier is None else earlier["_n_earlier"]
            share = total / (total + n_earlier)
            sample, of_sample = evenly(X, weights)

            def mean(name, new):
                old = new if earlier is None else earlier[name]
                return old + share * (new - old)

            middle = np.nan_to_num(quantile(sample, 0.5, of_sample))
            self.center_ = mean("center_", middle)
            scale = spread(sample - self.center_, of_sample)
            self.scale_ = or_one(mean("scale_", scale))
            self.error_scale_ = self.scale_  # until it is known
            errors = entry_errors(self, sample, X.dtype)
            if earlier is None and np.nan_to_num(sample - self.center_).any():
                warn_if_exact(self, sample, errors, X.dtype)
            scale = self._error_scale(errors, of_sample)
            self.error_scale_ = mean("error_scale_", scale)
            self.offset_ = mean("offset_", self._offset(X, weights))
            self._n_earlier = min(total + n_earlier, float(_MOST_EARLIER_ROWS))
        return self

    @on_chunks
    def feature_scores(self, X: MatrixLike) -> np.ndarray:
        """Return the contribution of each feature to the score of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The terms ρ(e_j / s_j) + w ρ((x_j − m_j) / t_j), which are not negative.
            Larger values are more unusual. The sum over a row is ``-score_samples(X)``.
            With ``set_output(transform="pandas")``, or the same option in the global
            configuration, the result is a data frame with the names of the features.
        """
        rows = self._rows(X)
        found = entry_scores(self, rows)
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = np.array([f"x{j}" for j in range(rows.shape[1])], dtype=object)
        return in_container(self, found, X, names)

    @on_chunks
    def score_samples(self, X: MatrixLike) -> np.ndarray:
        """Return the negative score of each row; lower values are more unusual.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            −Σ_j [ ρ(e_j / s_j) + w ρ((x_j − m_j) / t_j) ] for each row.
        """
        return -self._scores(self._rows(X))

    @on_chunks
    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return ``score_samples`` minus ``offset_``, which is negative for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            Lower values are more unusual.
        """
        return -self._scores(self._rows(X)) - self.offset_

    @on_chunks
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Predict which rows are outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            −1 for outliers, 1 for other rows.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the type of the result of ``feature_scores``.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            Arrays, or data frames with the names of the features. None changes nothing.

        Returns
        -------
        object
            The detector.
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the metadata routing of the detector and its estimator.

        Returns
        -------
        MetadataRouter
            The routing, as defined by scikit-learn.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        mapping.add(caller="partial_fit", callee="partial_fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self._given_or_default(), method_mapping=mapping)

    _why_no_graph = (
        "it reconstructs by any estimator. Convert estimator_, and compute the score "
        "of its errors by the formula of the class"
    )

    # -- fitting -----------------------------------------------------------------------

    def _read(self, X, sample_weight, reset):
        """Validated rows (array, CSR matrix or dask array) and validated weights."""
        validate_params(self)
        if self.estimator is not None and not reconstructs(self.estimator):
            raise ValueError(f"{NEEDS}; got estimator={self.estimator!r}.")
        if not is_dask(X):
            rows = read_rows(self, X, reset)
            return rows, check_sample_weight(sample_weight, rows)
        return read_chunks(self, X, sample_weight, reset)

    def _given_or_default(self, n_features=1, with_mean=False):
        if self.estimator is not None:
            return self.estimator
        autoencoder = SparseAutoencoder(
            None if n_features > _LEAST_UNITS else _LEAST_UNITS,
            sparsity_target=_TARGET,
            tol=_TOL,
            random_state=self.random_state,
        )
        steps = StandardScaler(with_mean=with_mean), autoencoder
        if get_config()["enable_metadata_routing"]:
            for step in steps:
                step.set_fit_request(sample_weight=True)
        return make_pipeline(*steps)

    def _new_estimator(self, X):
        if self.estimator is None:
            return self._given_or_default(X.shape[1], isinstance(X, np.ndarray))
        return clone(self.estimator)

    def _routed(self, method, estimator, sample_weight, weights, params):
        """Keyword arguments of the method of the estimator."""
        if sample_weight is not None:
            params = {**params, "sample_weight": weights}
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, method, **params) if params else Bunch()
            return dict(routed.estimator[method]) if params else {}
        others = params.keys() - {"sample_weight"}
        if others:
            raise ValueError(
                f"{sorted(others)} can be passed to {method} only with "
                "sklearn.set_config(enable_metadata_routing=True), and where the "
                "estimator requests them."
            )
        return weight_parameters(estimator, params.get("sample_weight"))

    def _trimmed(self, X, weights, params):
        """The rows that the estimator is fitted to, and its arguments for them."""
        if not self.trim:
            return X, params
        far = by_rows(self, "_distances", X)
        kept = far <= quantile(far, 1 - self.trim, weights)
        n_samples = len(far)
        params = {
            name: np.asarray(value)[kept] if is_of_rows(value, n_samples) else value
            for name, value in params.items()
        }
        return X[np.flatnonzero(kept)], params

    def _fitted(self, estimator, X, params):
        if self.estimator is not None or not is_dask(X):
            return estimator.fit(*fit_arguments(estimator, X), **params)
        # scikit-learn's scaler would load all rows into this process.
        scaler, autoencoder = (step for _, step in estimator.steps)
        sample, weights = evenly(X, params.get("standardscaler__sample_weight"))
        scaler.set_params(with_mean=True).fit(sample, sample_weight=weights)
        weights = params.get("sparseautoencoder__sample_weight")
        autoencoder.fit((X - scaler.mean_) / scaler.scale_, sample_weight=weights)
        return estimator

    def _error_scale(self, errors, weights):
        least = LEAST_OF_FEATURE * self.scale_
        return np.maximum(spread(errors, weights), least)

    def _offset(self, X, weights):
        scores = by_rows(self, "_scores", X)
        share = _FEWEST if self.contamination == "auto" else self.contamination
        offset = float(quantile(-scores, share, weights))
        if self.contamination == "auto":
            offset = max(offset, -upper_fence(scores, weights))
        # A row exactly at the threshold is no outlier, also with rounding errors.
        return offset - 1e-6 * abs(offset)

    # -- scoring -----------------------------------------------------------------------

    def _rows(self, X):
        check_is_fitted(self)
        return read_rows(self, X, reset=False)

    def _scores(self, X):
        return row_scores(self, X)

    def _distances(self, X):
        return row_distances(self, X)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "offset_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        wrapped = self._given_or_default()
        # The tags of scikit-learn's scaler say so only from version 1.7 on.
        takes_sparse = self.estimator is None or takes(wrapped, "sparse")
        tags.input_tags.sparse = takes_sparse
        tags.input_tags.allow_nan = takes(wrapped, "allow_nan")
        tags.input_tags.positive_only = takes(wrapped, "positive_only")
        return tags
