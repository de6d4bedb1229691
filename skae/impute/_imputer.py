"""Imputation of missing entries by autoencoders."""

from inspect import Parameter, signature
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
    clone,
    is_classifier,
    is_regressor,
)
from sklearn.impute import MissingIndicator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._sklearn import HasMethods, Interval, StrOptions, validate_params
from skae.estimators._fitting import (
    ExtremeRowMixin,
    expect_extreme_rows,
    unchanged_on_error,
)
from skae.estimators._lazy import ArrayApiMixin
from skae.estimators._parameters import DocLinkMixin
from skae.estimators.denoising import DenoisingAutoencoder
from skae.export.onnx import WithoutGraph
from skae.impute import _gaussian
from skae.rows.masked import refuse_masked
from skae.rows.source import source

_MAX_SEED = np.iinfo(np.int32).max
# Default autoencoder after linear predictions: units for each column, noise in units of
# their error, and tol.
_UNITS_A_COLUMN, _NOISE, _TOL = 2.0, 0.7, 0.1
# The same for rows with NaN: units for each column, and the fraction masked.
_UNITS_WITH_NAN, _MASKED = 1.0, 0.35


class AutoencoderImputer(
    WithoutGraph,
    DocLinkMixin,
    OneToOneFeatureMixin,
    ArrayApiMixin,
    ExtremeRowMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Fill in missing entries with the predictions of autoencoders.

    The columns are scaled to unit variance. Missing entries are first filled in by
    linear predictions from the observed entries of the same row. These predictions have
    errors, which are like noise. Denoising autoencoders learn to remove such noise from
    the rows, and their reconstructions replace the linear predictions. Finally, they
    are scaled back.

    Parameters
    ----------
    estimator : estimator, default=None
        The estimator that predicts the missing entries. It is fitted to scaled rows,
        and its ``predict(X)`` must return rows without NaN. Use an autoencoder of this
        package or a :class:`StackedAutoencoder`. None means a
        :class:`DenoisingAutoencoder` with two units for each column, but at most one
        for each row, Gaussian noise 0.7 times as large as the error of the linear
        predictions, and ``tol=0.1``; with
        ``initial_fill=None``, one with a unit for each column, of which a fraction of
        0.35 is masked.

    initial_fill : {"linear"} or None, default="linear"
        What the estimators get in place of missing entries, in ``fit`` and
        ``transform``.

        - "linear": the best linear prediction from the observed entries of the row. It
          is the conditional mean of a Gaussian, whose covariance is estimated by
          expectation maximisation [1]_ and shrunk towards a diagonal matrix [2]_. Every
          pattern of missing entries has its own linear prediction, which is multiplied
          by ``linear_slope_``, about the mean. The time for a row
          grows with the cube of the number of its missing entries. This is fast up to
          about a hundred columns.
        - None: NaN. The estimator must accept NaN, as the autoencoders of this package
          do. Their loss is then a sum over the observed entries. Use it with hundreds
          of columns.

    n_estimators : int, default=3
        Number of estimators, which are fitted from different random weights. The mean
        of their predictions usually has a smaller error than that of a single one. The
        time is proportional to this number.

    clip : bool, default=True
        Whether to limit the predictions of each column to the range of the entries
        observed in ``fit``.

    round_integers : bool, default=False
        Whether to round the predictions of a column if all its entries observed in
        ``fit`` are integers.

    missing_values : float, default=np.nan
        The value that marks a missing entry. If it is a number, X must not contain NaN.

    add_indicator : bool, default=False
        Whether ``transform`` adds columns that mark missing entries, as
        :class:`sklearn.impute.MissingIndicator` does.

    keep_empty_features : bool, default=False
        Whether to keep columns that have no observed entry in ``fit``, filled with 0.
        Otherwise they are removed.

    random_state : int, RandomState instance or None, default=None
        Seed of the autoencoders. Pass an int for reproducible results.

    Attributes
    ----------
    estimators_ : list of estimator
        The estimators, fitted to the scaled columns. Empty if no column has an observed
        entry.

    covariance_ : ndarray of shape (n_columns, n_columns) or None
        The estimated covariance of the scaled columns that have an observed entry, for
        the linear predictions. None if ``initial_fill=None``.

    location_ : ndarray of shape (n_columns,) or None
        The estimated means of these scaled columns. They differ from 0 if entries are
        not missing completely at random. None if ``initial_fill=None``.

    linear_error_ : float or None
        Expected root mean square error of the linear predictions of missing entries, in
        standard deviations of the columns. None if ``initial_fill=None``.

    linear_slope_ : float or None
        What the linear predictions are multiplied by, about ``location_``, in [0, 1].
        It is below 1 if entries that are hidden during ``fit`` are predicted better by
        smaller deviations from the mean. None if ``initial_fill=None``.

    mean_ : ndarray of shape (n_features_in_,)
        Means of the observed entries; 0 for columns without observed entries.

    scale_ : ndarray of shape (n_features_in_,)
        Standard deviations of the observed entries; 1 for columns that do not vary.

    range_ : ndarray of shape (2, n_features_in_)
        Smallest and largest observed entry; 0 for columns without observed entries.

    integer_ : ndarray of bool of shape (n_features_in_,)
        Whether all observed entries of a column are integers.

    empty_ : ndarray of bool of shape (n_features_in_,)
        Whether a column has no observed entry.

    indicator_ : sklearn.impute.MissingIndicator or None
        The fitted indicator. None if ``add_indicator=False``.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all feature names of X are strings.

    See Also
    --------
    sklearn.impute.SimpleImputer : Fill in a constant, such as the mean of the column.
    sklearn.impute.KNNImputer : Fill in the mean of the nearest rows.
    sklearn.impute.IterativeImputer : Predict each column from the others by regression.
    DenoisingAutoencoder : The default estimator.

    Notes
    -----
    The predictions estimate the mean of the missing entry, given the other entries of
    the row. They vary less than the true values. This is suitable for the input of
    another model. To compute standard errors, use multiple imputation with a method
    that draws random values.

    Complete rows are returned unchanged. A row without observed entries is filled with
    the reconstruction of the estimated means, which are ``location_`` or, with
    ``initial_fill=None``, those of the columns.

    Other imputers with autoencoders fill in the column means and learn from the filled
    rows [3]_, or use the loss of the observed entries [4]_, as this one does with
    ``initial_fill=None``.

    References
    ----------
    .. [1] A. P. Dempster, N. M. Laird and D. B. Rubin, Maximum likelihood from
       incomplete data via the EM algorithm, Journal of the Royal Statistical Society
       B 39 (1977) 1-38.
    .. [2] J. Schäfer and K. Strimmer, A shrinkage approach to large-scale covariance
       matrix estimation, Statistical Applications in Genetics and Molecular Biology
       4 (2005) 32.
    .. [3] L. Gondara and K. Wang, MIDA: multiple imputation using denoising
       autoencoders, PAKDD 2018.
    .. [4] R. Lall and T. Robinson, The MIDAS touch: accurate and scalable missing-data
       imputation with deep learning, Political Analysis 30 (2022) 179-196.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.impute import SimpleImputer
    >>> from skae import AutoencoderImputer
    >>> X, _ = load_iris(return_X_y=True)
    >>> missing = np.random.default_rng(0).uniform(size=X.shape) < 0.2
    >>> incomplete = np.where(missing, np.nan, X)
    >>> def error(imputer):
    ...     filled = imputer.fit_transform(incomplete)
    ...     return np.mean((filled - X)[missing] ** 2)
    >>> imputer = AutoencoderImputer(random_state=0)
    >>> bool(error(imputer) < 0.3 * error(SimpleImputer()))
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit"]), None],
        "initial_fill": [StrOptions({"linear"}), None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "clip": ["boolean"],
        "round_integers": ["boolean"],
        "missing_values": [Real],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        initial_fill: str | None = "linear",
        n_estimators: int = 3,
        clip: bool = True,
        round_integers: bool = False,
        missing_values: float = np.nan,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.initial_fill = initial_fill
        self.n_estimators = n_estimators
        self.clip = clip
        self.round_integers = round_integers
        self.missing_values = missing_values
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Fit the autoencoders to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with missing entries. float32 and float64 are kept, anything else
            becomes float64.
        y : None
            Ignored; here for scikit-learn's conventions.

        Returns
        -------
        object
            The fitted imputer.

        Raises
        ------
        ValueError
            If a parameter or X is invalid. The message names the problem.
        TypeError
            If ``estimator`` does not predict rows.
        """
        with unchanged_on_error(self):
            validate_params(self)
            _check_learns_rows(self.estimator)
            rows = self._rows(X, reset=True)
            self._fit_scale(rows)
            self.indicator_ = None
            if self.add_indicator:
                self.indicator_ = MissingIndicator(error_on_new=False).fit(rows)
            scaled = self._scaled(rows)
            random_state = check_random_state(self.random_state)
            self.location_ = self.covariance_ = None
            self.linear_error_ = self.linear_slope_ = None
            if self.initial_fill is not None and scaled.shape[1]:
                gaussian = _gaussian.learn(scaled)
                self.location_, self.covariance_, _ = gaussian
                self.linear_error_ = _gaussian.error(scaled, gaussian)
                self.linear_slope_ = _gaussian.slope(scaled, random_state)
            filled = self._initially_filled(scaled)
            self._fit_estimators(filled, random_state)
            extreme = self._extreme_row(filled)
        self._warn_of_extreme_row(extreme)
        return self

    def transform(self, X: npt.ArrayLike) -> Any:
        """Fill in the missing entries of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with missing entries.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            A copy of the rows without missing entries, followed by the columns of
            ``add_indicator``. The dtype is that of X if this is float32 or float64.
        """
        check_is_fitted(self, "estimators_")
        rows = self._rows(X, reset=False)
        filled = rows[:, self._kept]
        missing = np.isnan(filled)
        which = np.flatnonzero(missing.any(axis=1))
        if len(which):
            predicted = self._predicted(rows[which])[:, self._kept]
            filled[which] = np.where(missing[which], predicted, filled[which])
        if self.indicator_ is None:
            return filled
        return np.hstack([filled, self.indicator_.transform(rows)])

    def get_feature_names_out(
        self, input_features: npt.ArrayLike | None = None
    ) -> np.ndarray:
        """Get the names of the columns that ``transform`` returns.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the columns of X; by default those seen in ``fit``.

        Returns
        -------
        ndarray of str
            Names of the columns that are kept and of the indicator columns.
        """
        check_is_fitted(self, "estimators_")
        given = super().get_feature_names_out(input_features)
        names = given[self._kept]
        if self.indicator_ is None:
            return names
        of_indicator = self.indicator_.get_feature_names_out(given)
        return np.concatenate([names, of_indicator])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._takes_nan
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    _why_no_graph = (
        "it fills in by several estimators. Convert one of estimators_, and give it "
        "rows less mean_, divided by scale_, without missing entries; with "
        "initial_fill=None it takes NaN"
    )

    @property
    def _takes_nan(self):
        given = self.missing_values
        return isinstance(given, Real) and bool(np.isnan(given))

    @property
    def _kept(self):
        """Mask of the columns that are returned."""
        return (
            np.full(len(self.empty_), True)
            if self.keep_empty_features
            else (~self.empty_)
        )

    def _rows(self, X, reset):
        """A copy of the rows, with NaN where entries are missing."""
        refuse_masked(X, "X")
        rows = validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            order="C",
            copy=True,
            ensure_all_finite="allow-nan",
            reset=reset,
        )
        if not self._takes_nan:
            if np.isnan(rows).any():
                raise ValueError(
                    "Input X contains NaN, but what stands for a missing entry is "
                    f"missing_values={self.missing_values!r}; use "
                    "missing_values=np.nan, or leave no NaN in X."
                )
            rows[rows == self.missing_values] = np.nan
        return rows

    def _fit_scale(self, rows):
        observed = ~np.isnan(rows)
        counts = observed.sum(axis=0)
        values = np.where(observed, rows, 0).astype(np.float64)
        self.empty_ = counts == 0
        divisors = np.maximum(counts, 1)
        self.mean_ = values.sum(axis=0) / divisors
        deviations = np.where(observed, values - self.mean_, 0)
        scale = np.sqrt(np.square(deviations).sum(axis=0) / divisors)
        least = 10 * np.finfo(rows.dtype).eps * np.abs(self.mean_)
        self.scale_ = np.where(scale > least, scale, 1.0)
        low = np.where(observed, rows, np.inf).min(axis=0)
        high = np.where(observed, rows, -np.inf).max(axis=0)
        self.range_ = np.where(self.empty_, 0, np.stack([low, high]))
        self.integer_ = (~observed | (values == np.round(values))).all(axis=0)

    def _scaled(self, rows):
        """The columns with observed entries, scaled, in the dtype of the rows."""
        scaled = (rows - self.mean_) / self.scale_
        return np.ascontiguousarray(scaled[:, ~self.empty_], rows.dtype)

    def _initially_filled(self, scaled):
        """What the estimators get: the scaled rows, filled unless they take NaN."""
        if self.covariance_ is None:
            return scaled
        gaussian = _gaussian.Gaussian(
            self.location_, self.covariance_, self.linear_slope_
        )
        return _gaussian.fill(scaled, gaussian).astype(scaled.dtype)

    def _fit_estimators(self, scaled, random_state):
        self.estimators_ = []
        if not scaled.shape[1]:
            return
        for _ in range(self.n_estimators):
            estimator = self._estimator(scaled.shape)
            if "random_state" in estimator.get_params():
                estimator.set_params(random_state=random_state.randint(_MAX_SEED))
            if isinstance(estimator, ExtremeRowMixin):
                expect_extreme_rows(estimator)  # the imputer warns, once for all
            self.estimators_.append(estimator.fit(scaled))
            _check_predicts_rows(estimator, scaled[:1])

    def _extreme_row(self, scaled):
        """See ``Moments``; None if other estimators learn from these rows."""
        if not any(isinstance(each, ExtremeRowMixin) for each in self.estimators_):
            return None
        # Missing entries count nothing: the mean of a scaled column is 0.
        return source(np.nan_to_num(scaled)).moments().extreme_row

    def _estimator(self, shape):
        n_rows, n_columns = shape
        if self.estimator is not None:
            return clone(self.estimator)
        if self.linear_error_ is None:
            n_components = max(2, round(_UNITS_WITH_NAN * n_columns))
            return DenoisingAutoencoder(
                n_components, corruption="masking", corruption_level=_MASKED
            )
        n_components = min(round(_UNITS_A_COLUMN * n_columns), n_rows)
        return DenoisingAutoencoder(
            max(2, n_components),
            corruption="gaussian",
            corruption_level=_NOISE * self.linear_error_,
            tol=_TOL,
        )

    def _predicted(self, rows):
        """What the autoencoders make of all columns of the rows, in their units."""
        predicted = np.zeros(rows.shape)
        if not self.estimators_:
            return predicted
        scaled = self._initially_filled(self._scaled(rows))
        for estimator in self.estimators_:
            predicted[:, ~self.empty_] += estimator.predict(scaled)
        predicted *= self.scale_ / len(self.estimators_)
        predicted += self.mean_
        predicted[:, self.empty_] = 0
        if self.clip:
            np.clip(predicted, *self.range_, out=predicted)
        if self.round_integers:
            predicted[:, self.integer_] = np.round(predicted[:, self.integer_])
        return predicted


def _check_learns_rows(estimator):
    """Refuse an estimator that will not predict rows, as its class tells."""
    if estimator is None:
        return
    name = type(estimator).__name__
    if isinstance(estimator, type):
        raise TypeError(
            f"estimator must be an instance, got the class {estimator.__name__}; use "
            f"{estimator.__name__}()."
        )
    if not hasattr(estimator, "predict"):
        raise _predicts_no_rows(estimator, f"{name} has no predict")
    if (is_regressor(estimator) or is_classifier(estimator)) and _needs_y(estimator):
        raise _predicts_no_rows(estimator, f"{name} predicts targets y")


def _needs_y(estimator):
    """Whether fit(X) fails without y; a subclass of a regressor may take X for it."""
    steps = getattr(estimator, "steps", None)
    last = steps[-1][1] if steps else estimator
    y = signature(last.fit).parameters.get("y")
    return y is not None and y.default is Parameter.empty


def _check_predicts_rows(estimator, rows):
    """Refuse a fitted estimator that predicts something else than rows."""
    shape = np.shape(estimator.predict(rows))
    if shape != rows.shape:
        reason = f"its predict returned shape {shape} for rows of shape {rows.shape}"
        raise _predicts_no_rows(estimator, reason)


def _predicts_no_rows(estimator, reason):
    return TypeError(
        "estimator must learn rows by fit(X) and return rows by predict(X), as the "
        f"autoencoders of this package do; got estimator={estimator!r}, but {reason}. "
        "Use None, an autoencoder such as SparseAutoencoder(), or "
        "StackedAutoencoder(); for predictions like those of PCA(2), use "
        "SparseAutoencoder(2, activation='identity', sparsity=None)."
    )
