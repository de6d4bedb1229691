"""Entries held out: a score of models that takes no part of a row for granted."""

from numbers import Real

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array

from skae._sklearn import Interval, validate_params


class HeldOutEntriesScorer(BaseEstimator):
    """Score reconstructions of entries that the model is not shown.

    A scorer for ``GridSearchCV(scoring=...)`` and whatever else takes callables
    ``scorer(estimator, X, y)``. Of the rows that it is given some entries are hidden,
    at random, as if they were missing, and predicted from those that are left:

        R² = 1 − Σ (x̂_ij − x_ij)² / Σ (x_ij − m_j)²

    over the hidden entries, m_j being the mean of what is left of column j. So 1 is
    perfect, and 0 no better than the column means.

    Rows held out are no judge of how many components there are, or how sparse codes
    should be: more components, and less sparsity, always reconstruct a row better of
    which all entries are shown. Entries that are hidden tell what of it was noise [1]_.

    Parameters
    ----------
    share : float, default=0.1
        Of the observed entries, in (0, 1), those that are hidden.

    random_state : int, RandomState instance or None, default=0
        Draws them. With an int the same are hidden of every model's rows.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Takes it as ``scoring``.
    AutoencoderImputer : Predicts entries that are missing for good.

    Notes
    -----
    The estimator must take NaN and have ``predict(X)`` that returns X, as the
    autoencoders here do. Of a pipeline it is the last step, and entries are hidden from
    what that step is given: columns that a scaler has scaled count alike.

    References
    ----------
    .. [1] S. Wold, Cross-validatory estimation of the number of components in factor
       and principal components models, Technometrics 20 (1978) 397-405.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skae import HeldOutEntriesScorer, SparseAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 20))
    >>> X += rng.standard_normal(X.shape)
    >>> linear = SparseAutoencoder(activation="identity", sparsity=None, random_state=0)
    >>> search = GridSearchCV(
    ...     linear, {"n_components": [1, 2, 3, 6, 12]}, scoring=HeldOutEntriesScorer()
    ... )
    >>> search.fit(X).best_params_
    {'n_components': 3}
    """

    _parameter_constraints: dict = {
        "share": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        share: float = 0.1,
        *,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.share = share
        self.random_state = random_state

    def __call__(
        self,
        estimator: BaseEstimator,
        X: npt.ArrayLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float:
        """Hide entries of X, and score what ``estimator`` predicts for them.

        Parameters
        ----------
        estimator : estimator
            A fitted one, or a pipeline of which it is the last step.
        X : array-like of shape (n_samples, n_features)
            Rows; entries that are NaN are missing, and none of those that are hidden.
        y : object
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.

        Returns
        -------
        float
            R² of the hidden entries; NaN where they do not vary.
        """
        validate_params(self)
        if isinstance(estimator, Pipeline):
            X = X if len(estimator) == 1 else estimator[:-1].transform(X)
            estimator = estimator[-1]
        rows = check_array(
            X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan"
        )
        weights = np.ones(len(rows))
        if sample_weight is not None:
            weights = np.asarray(sample_weight, dtype=np.float64)
        hidden = self._hidden(rows)
        left = np.where(hidden, rows.dtype.type(np.nan), rows)
        means = _means(left, weights)
        errors = estimator.predict(left)
        errors = np.where(hidden, errors - rows, 0).astype(np.float64)
        deviations = np.where(hidden, rows - means, 0).astype(np.float64)
        variation = weights @ np.vecdot(deviations, deviations)
        if not variation:
            return float("nan")
        return float(1 - weights @ np.vecdot(errors, errors) / variation)

    def _hidden(self, rows):
        """Which entries are: ``share`` of those observed, but one a column is left."""
        observed = ~np.isnan(rows)
        draws = check_random_state(self.random_state).uniform(size=rows.shape)
        # Of each column the entry that was drawn highest stays where it is.
        draws = np.where(observed, draws, -1)
        kept = np.zeros(rows.shape, bool)
        kept[draws.argmax(axis=0), np.arange(rows.shape[1])] = True
        candidates = np.flatnonzero(observed & ~kept)
        if not len(candidates):
            raise ValueError(
                "X has no entries to hold out: of each column one must be left."
            )
        n_hidden = max(1, round(self.share * np.count_nonzero(observed)))
        order = np.argsort(draws.flat[candidates], kind="stable")
        hidden = np.zeros(rows.shape, bool)
        hidden.flat[candidates[order[:n_hidden]]] = True
        return hidden


def _means(rows, weights):
    """Of the observed entries of each column, weighted; 0 where there are none."""
    observed = ~np.isnan(rows)
    counts = weights @ observed
    sums = weights @ np.where(observed, rows, 0).astype(np.float64)
    return np.divide(sums, counts, out=np.zeros_like(counts), where=counts > 0)
