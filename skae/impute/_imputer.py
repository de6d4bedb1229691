"""The imputer: missing entries as autoencoders predict them from the others."""

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
# Of the default autoencoder: units for each column, and entries that are masked.
_UNITS_A_COLUMN, _MASKED = 1.0, 0.35


class AutoencoderImputer(
    WithoutGraph, DocLinkMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """Fill in missing entries as autoencoders predict them from the others.

    Denoising autoencoders learn to reconstruct rows of which a part has been masked,
    and a missing entry is masked for good. They learn from incomplete rows: their loss
    is a sum over what was observed. Columns are scaled to unit variance for them, and
    back.

    Parameters
    ----------
    estimator : estimator, default=None
        Fitted to scaled rows with NaN, has ``predict(X)`` that returns such rows
        without NaN: any autoencoder of this package, or a :class:`StackedAutoencoder`.
        None is a :class:`DenoisingAutoencoder` with as many units as there are columns
        and a ``corruption_level`` of 0.35.

    n_estimators : int, default=5
        How many are fitted, each from a random start of its own. The mean of what they
        predict is nearer to the truth than what one does; time grows in proportion.

    clip : bool, default=True
        Whether predictions are held within the range that was observed in ``fit``,
        column by column.

    round_integers : bool, default=False
        Whether predictions are rounded in columns of which all entries observed in
        ``fit`` are whole numbers.

    missing_values : float, default=np.nan
        What stands for a missing entry. Where it is a number, X may have no NaN.

    add_indicator : bool, default=False
        Whether ``transform`` adds columns that tell where entries were missing, those
        of a :class:`sklearn.impute.MissingIndicator`.

    keep_empty_features : bool, default=False
        Whether columns without an entry observed in ``fit`` are filled with 0; they are
        left out otherwise.

    random_state : int, RandomState instance or None, default=None
        Seeds the autoencoders. Pass an int for reproducible results.

    Attributes
    ----------
    estimators_ : list of estimator
        The fitted ones, on scaled columns; empty where no column has an entry.

    mean_ : ndarray of shape (n_features_in_,)
        Means of the observed entries, 0 where there are none.

    scale_ : ndarray of shape (n_features_in_,)
        Standard deviations of the observed entries, 1 where they do not vary.

    range_ : ndarray of shape (2, n_features_in_)
        Least and greatest of the observed entries, 0 where there are none.

    integer_ : ndarray of bool of shape (n_features_in_,)
        Which columns have whole numbers only.

    empty_ : ndarray of bool of shape (n_features_in_,)
        Which columns have no observed entry.

    indicator_ : sklearn.impute.MissingIndicator or None
        Adds columns; None without ``add_indicator``.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had any that are all strings.

    See Also
    --------
    sklearn.impute.SimpleImputer : A constant a column, such as the mean.
    sklearn.impute.KNNImputer : Means of the nearest rows.
    sklearn.impute.IterativeImputer : A regression of each column on the others.
    DenoisingAutoencoder : What is fitted by default.

    Notes
    -----
    What is predicted is a mean, given the rest of the row: single values, that vary
    less than the missing ones did. They suit a model that comes next; for standard
    errors of statistics, impute several times with a method that draws.

    Rows in which nothing is missing are returned as they are. A row in which nothing
    was observed gets what the autoencoders make of the column means.

    Other autoencoder imputers fill in means first and learn from rows with means [1]_,
    or take the loss over observed entries, too [2]_.

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
        """Learn the autoencoders from X.

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
            If a parameter or X is not what is allowed; the message names it.
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
            The rows without missing entries, a copy, in the dtype of X if that is
            float32 or float64; beside them what ``add_indicator`` adds.
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
            Those of the columns that are kept, and of the indicators.
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
        return isinstance(given, Real) and bool(np.isnan(given))  # type: ignore[call-overload]

    @property
    def _kept(self):
        """Which columns are returned."""
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
        """The columns that have entries, of unit spread, in the dtype of the rows."""
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
        return DenoisingAutoencoder(n_components, corruption_level=_MASKED)

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
