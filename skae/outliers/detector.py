"""Outliers by what an estimator cannot reconstruct, feature by feature."""

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
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skae._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    check_sample_weight,
    in_container,
    validate_params,
)
from skae.estimators._fitting import unchanged_on_error
from skae.estimators._lazy import computed, on_chunks
from skae.estimators.sparse import SparseAutoencoder
from skae.export.onnx import WithoutGraph
from skae.export.versions import VersionedMixin
from skae.outliers._errors import (
    ERRORS,
    LEAST_OF_FEATURE,
    for_missing,
    or_one,
    quantile,
    spread,
    upper_fence,
)
from skae.outliers._reconstruct import (
    NEEDS,
    fit_arguments,
    reconstruct,
    reconstructs,
    takes,
    weight_parameters,
)
from skae.outliers._rows import (
    blocks,
    by_rows,
    cached,
    dense,
    evenly,
    read_chunks,
)
from skae.rows.dask_collections import is_dask
from skae.rows.reading import MatrixLike, validate_rows

# The share of the training rows that contamination="auto" calls outliers at least.
_FEWEST = 0.01
# Rows that earlier pieces of partial_fit count as, at most.
_MOST_EARLIER_ROWS = 1000


def _learns_in_pieces(detector):
    if hasattr(detector.estimator, "partial_fit"):
        return True
    raise AttributeError(
        "partial_fit needs an estimator that has it, got "
        f"estimator={detector.estimator!r}; use SparseAutoencoder(solver='adam')."
    )


class ReconstructionOutlierDetector(
    WithoutGraph, VersionedMixin, MetaEstimatorMixin, OutlierMixin, BaseEstimator
):
    """Finds rows that an estimator cannot reconstruct, and the features to blame.

    An estimator learns to reconstruct the rows. Errors e = x − x̂ are divided, feature
    by feature, by their robust spread s over the training rows, and so is what the row
    differs by from the middle m of the training rows by the features' own spread t.
    The score of a row is the sum of both over the features::

        score(x) = Σ_j ρ(e_j / s_j) + w ρ((x_j − m_j) / t_j),

    so that each feature has its part in it, ``feature_scores``, in no unit. The errors
    tell of rows that break the relations between features. The distance is for
    training rows that contain outliers themselves: an estimator may have learnt to
    reconstruct these as well.

    Parameters
    ----------
    estimator : estimator, default=None
        What reconstructs rows, by ``inverse_transform(transform(X))`` or by a
        ``predict`` that returns rows: an autoencoder of this package, ``PCA``,
        ``NMF``, ``KernelPCA(fit_inverse_transform=True)``, a pipeline of a scaler and
        one of these; or a regressor, such as ``MLPRegressor``, which is given the rows
        as targets too. A clone of it is fitted. None is a ``StandardScaler`` and a
        `SparseAutoencoder` at its defaults.

    contamination : "auto" or float, default="auto"
        The fraction of the training rows to call outliers, in (0, 0.5], which sets
        ``offset_``. "auto" calls a hundredth so, and more where scores have a long
        tail: all above Tukey's upper fence, q₃ + 1.5 (q₃ − q₁) for the quartiles of
        the square roots of the scores [3]_. Scores do not depend on it.

    error : {"huber", "squared", "absolute"}, default="huber"
        ρ. "squared" is z², and "absolute" is abs(z). "huber" is z² up to 1.5 and
        continues as its tangent, so that no single entry outweighs all others [1]_.

    distance_weight : float, default=3.0
        Weight w of the distance from the middle of the training rows, in
        [0, inf). 0 scores errors alone: a little better where training rows are known
        to be clean, and much worse where they are not.

    trim : float, default=0.0
        The fraction of the training rows that the estimator is fitted without, in
        [0, 1): those farthest from the middle, by the second sum above.

    random_state : int, RandomState instance or None, default=None
        Draws the initial weights of the default estimator. Not used by a given one.
        Pass an int for reproducible results.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.

    offset_ : float
        ``decision_function`` is ``score_samples`` less this.

    center_ : ndarray of shape (n_features,)
        m, the median of each feature over the training rows.

    scale_ : ndarray of shape (n_features,)
        t: the size that nine of ten deviations from the median stay below, over
        that of normal ones of unit variance, but a quarter of their root mean square
        at least. 1 for a constant feature.

    error_scale_ : ndarray of shape (n_features,)
        s, the same of the errors of the reconstruction; a hundredth of ``scale_`` at
        least.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had any that are all strings.

    See Also
    --------
    skae.plotting.OutlierDisplay : A row's contributions, and the scores' histogram.
    sklearn.ensemble.IsolationForest : Outliers by how soon random splits set them
        apart.
    sklearn.neighbors.LocalOutlierFactor : Outliers by the density around them.

    Notes
    -----
    Scales are those of at most 20,000 training rows, evenly spaced. An entry that is
    NaN, where the estimator allows such, has no part in the score, and the others
    count as many times more as there are features for each that is there. A row
    without an entry has nothing strange about it: its score is 0, the highest.

    Training rows are scored by the estimator that was fitted to them.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of
       Mathematical Statistics 35, 1964.
    .. [2] S. Hawkins, H. He, G. Williams and R. Baxter, "Outlier detection using
       replicator neural networks", DaWaK 2002: errors of an autoencoder.
    .. [3] J. W. Tukey, "Exploratory data analysis", 1977: the fence.

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
        """Fit the estimator to the rows, and find the scales and the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data; sparse where the estimator takes such. Dask arrays and
            data frames are handed to the estimator as arrays of dask's.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows, for an estimator that takes some, and
            for the scales and the threshold. Of a pipeline, steps that take weights
            are given them.
        **fit_params : dict
            What else the estimator's ``fit`` takes, where metadata routing is on.

        Returns
        -------
        object
            The fitted detector.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight is not what is allowed; the message
            names it.
        """
        with unchanged_on_error(self):
            X, weights = self._read(X, sample_weight, reset=True)
            estimator = self._new_estimator(X)
            params = self._routed("fit", estimator, sample_weight, weights, fit_params)
            sample, of_sample = evenly(X, weights)
            self.center_ = np.nan_to_num(quantile(sample, 0.5, of_sample))
            deviations = sample - self.center_
            self.scale_ = or_one(spread(deviations, of_sample))
            kept, params = self._trimmed(X, weights, params)
            self.estimator_ = self._fitted(estimator, kept, params)
            errors = sample - reconstruct(self.estimator_, sample.astype(X.dtype))
            self.error_scale_ = self._error_scale(errors, of_sample)
            self.offset_ = self._offset(X, weights)
            self._n_earlier = 0.0
        return self

    @available_if(_learns_in_pieces)
    def partial_fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
        **partial_fit_params: Any,
    ) -> Self:
        """Let the estimator learn from a piece of the data by its ``partial_fit``.

        Scales and threshold are means of those of the pieces, of which earlier ones
        count as up to 1000 rows, each with the errors of its time. ``trim`` is not
        used.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some rows.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.
        **partial_fit_params : dict
            What else the estimator's ``partial_fit`` takes, where metadata routing
            is on.

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
            errors = sample - reconstruct(estimator, sample.astype(X.dtype))
            scale = self._error_scale(errors, of_sample)
            self.error_scale_ = mean("error_scale_", scale)
            self.offset_ = mean("offset_", self._offset(X, weights))
            self._n_earlier = min(total + n_earlier, float(_MOST_EARLIER_ROWS))
        return self

    @on_chunks
    def feature_scores(self, X: MatrixLike) -> np.ndarray:
        """What each feature contributes to a row's score: the larger, the stranger.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Each ρ(e_j / s_j) + w ρ((x_j − m_j) / t_j), non-negative. The sum of a row
            is ``-score_samples(X)``. After ``set_output(transform="pandas")``, or where
            that is configured for all, it is a data frame with the features' names.
        """
        rows = self._rows(X)
        found = np.empty(rows.shape)
        for block, contributions in self._contributions(rows):
            found[block] = contributions
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = np.array([f"x{j}" for j in range(rows.shape[1])], dtype=object)
        return in_container(self, found, X, names)

    @on_chunks
    def score_samples(self, X: MatrixLike) -> np.ndarray:
        """Negative score of each row: the lower, the stranger.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            Each −Σ_j ρ(e_j / s_j) + w ρ((x_j − m_j) / t_j).
        """
        return -self._scores(self._rows(X))

    @on_chunks
    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """``score_samples`` less ``offset_``: negative for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            The lower, the stranger.
        """
        return -self._scores(self._rows(X)) - self.offset_

    @on_chunks
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Tell outliers from other rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            −1 for outliers, 1 for others.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Set what ``feature_scores`` returns.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            Arrays, or data frames with the features' names. None changes nothing.

        Returns
        -------
        object
            The detector.
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """What the detector and its estimator ask for of metadata.

        Returns
        -------
        MetadataRouter
            As scikit-learn's metadata routing wants it.
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
        """Rows, as an array, a CSR matrix or a dask array, and weights, checked."""
        validate_params(self)
        if self.estimator is not None and not reconstructs(self.estimator):
            raise ValueError(f"{NEEDS}; got estimator={self.estimator!r}.")
        if not is_dask(X):
            rows = validate_rows(self, X, reset=reset).given
            return rows, check_sample_weight(sample_weight, rows)
        return read_chunks(self, X, sample_weight, reset)

    def _given_or_default(self, with_mean=False):
        if self.estimator is not None:
            return self.estimator
        steps = (
            StandardScaler(with_mean=with_mean),
            SparseAutoencoder(random_state=self.random_state),
        )
        if get_config()["enable_metadata_routing"]:
            for step in steps:
                step.set_fit_request(sample_weight=True)
        return make_pipeline(*steps)

    def _new_estimator(self, X):
        if self.estimator is None:
            return self._given_or_default(with_mean=isinstance(X, np.ndarray))
        return clone(self.estimator)

    def _routed(self, method, estimator, sample_weight, weights, params):
        """Keywords of the estimator's method."""
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
        """The rows that the estimator is fitted to, and its keywords for those."""
        if not self.trim:
            return X, params
        far = by_rows(self, "_distances", X)
        kept = far <= quantile(far, 1 - self.trim, weights)
        n_samples = len(far)
        params = {
            name: np.asarray(value)[kept]
            if np.shape(value)[:1] == (n_samples,)
            else value
            for name, value in params.items()
        }
        return X[np.flatnonzero(kept)], params

    def _fitted(self, estimator, X, params):
        if self.estimator is not None or not is_dask(X):
            return estimator.fit(*fit_arguments(estimator, X), **params)
        # scikit-learn's scaler would bring all rows here.
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
        # A row right at the threshold is none, whatever the rounding.
        return offset - 1e-6 * abs(offset)

    # -- scoring -----------------------------------------------------------------------

    def _rows(self, X):
        check_is_fitted(self)
        return validate_rows(self, X).given

    def _scores(self, X):
        """Of each row, in float64."""
        scores, ones = np.empty(X.shape[0]), np.ones(X.shape[1])
        for block, contributions in self._contributions(X):
            np.dot(contributions, ones, out=scores[block])
        return scores

    def _contributions(self, X):
        """Slices of rows, and what each entry contributes there, in float64."""
        rho = ERRORS[self.error]
        per_error = 1 / self.error_scale_
        for block in blocks(X):
            rows = dense(X[block])
            reconstruction = reconstruct(self.estimator_, X[block])
            for part in cached(rows):
                error = np.subtract(rows[part], reconstruction[part], dtype=np.float64)
                error *= per_error
                found = rho(error)
                if self.distance_weight:
                    found += self._distance(rows[part])
                start = block.start + part.start
                yield slice(start, start + len(found)), for_missing(found)

    def _distance(self, rows):
        deviation = np.subtract(rows, self.center_, dtype=np.float64)
        deviation *= 1 / self.scale_
        distance = ERRORS[self.error](deviation)
        distance *= self.distance_weight or 1.0
        return distance

    def _distances(self, X):
        far = np.empty(X.shape[0])
        for block in blocks(X):
            distance = self._distance(dense(X[block]))
            far[block] = for_missing(distance).sum(axis=1)
        return far

    def __sklearn_is_fitted__(self):
        return hasattr(self, "offset_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        wrapped = self._given_or_default()
        # scikit-learn's scaler says so from 1.7 on only.
        takes_sparse = self.estimator is None or takes(wrapped, "sparse")
        tags.input_tags.sparse = takes_sparse
        tags.input_tags.allow_nan = takes(wrapped, "allow_nan")
        tags.input_tags.positive_only = takes(wrapped, "positive_only")
        return tags
