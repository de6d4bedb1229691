"""Imputation of missing entries by autoencoders."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
    clone,
)
from sklearn.impute import MissingIndicator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._sklearn import HasMethods, Interval, validate_params
from skae.estimators._fitting import unchanged_on_error
from skae.estimators._parameters import DocLinkMixin
from skae.estimators.denoising import DenoisingAutoencoder
from skae.export.onnx import WithoutGraph
from skae.rows.masked import refuse_masked

_MAX_SEED = np.iinfo(np.int32).max
# Default autoencoder: units for each column, and the fraction of masked entries.
_UNITS_A_COLUMN, _MASKED = 1.0, 0.35


class AutoencoderImputer(
    WithoutGraph, DocLinkMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """Fill in missing entries with the predictions of autoencoders.

    Denoising autoencoders learn to reconstruct rows in which some entries have been
    masked. Such a masked entry is like a missing entry. The autoencoders learn from
    incomplete rows: their loss is a sum over the observed entries. The columns are
    scaled to unit variance before, and the predictions are scaled back.

    Parameters
    ----------
    estimator : estimator, default=None
        The estimator that predicts the missing entries. It is fitted to scaled rows
        with NaN, and its ``predict(X)`` must return rows without NaN. Use an
        autoencoder of this package or a :class:`StackedAutoencoder`. None means a
        :class:`DenoisingAutoencoder` with one unit for each column and a
        ``corruption_level`` of 0.35.

    n_estimators : int, default=5
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

    Complete rows are returned unchanged. For a row without observed entries, the
    reconstruction of the column means is returned.

    Other imputers with autoencoders fill in the column means and learn from the filled
    rows [1]_, or use the loss of the observed entries, as this one does [2]_.

    References
    ----------
    .. [1] L. Gondara and K. Wang, MIDA: multiple imputation using denoising
       autoencoders, PAKDD 2018.
    .. [2] R. Lall and T. Robinson, The MIDAS touch: accurate and scalable missing-data
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
        "estimator": [HasMethods(["fit", "predict"]), None],
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
        n_estimators: int = 5,
        clip: bool = True,
        round_integers: bool = False,
        missing_values: float = np.nan,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
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
        """
        with unchanged_on_error(self):
            validate_params(self)
            rows = self._rows(X, reset=True)
            self._fit_scale(rows)
            self.indicator_ = None
            if self.add_indicator:
                self.indicator_ = MissingIndicator(error_on_new=False).fit(rows)
            self._fit_estimators(self._scaled(rows))
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
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    _why_no_graph = (
        "it fills in by several estimators. Convert one of estimators_, which takes "
        "NaN, and give it rows less mean_, divided by scale_"
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

    def _fit_estimators(self, scaled):
        self.estimators_ = []
        if not scaled.shape[1]:
            return
        random_state = check_random_state(self.random_state)
        for _ in range(self.n_estimators):
            estimator = self._estimator(scaled.shape[1])
            if "random_state" in estimator.get_params():
                estimator.set_params(random_state=random_state.randint(_MAX_SEED))
            self.estimators_.append(estimator.fit(scaled))

    def _estimator(self, n_columns):
        if self.estimator is not None:
            return clone(self.estimator)
        n_components = max(2, round(_UNITS_A_COLUMN * n_columns))
        return DenoisingAutoencoder(
            n_components, corruption="masking", corruption_level=_MASKED
        )

    def _predicted(self, rows):
        """What the autoencoders make of all columns of the rows, in their units."""
        predicted = np.zeros(rows.shape)
        if not self.estimators_:
            return predicted
        scaled = self._scaled(rows)
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
