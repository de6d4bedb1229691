"""A score for models that predicts hidden entries of held-out rows."""

from numbers import Real

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array

from skae._sklearn import Interval, like_frame, validate_params
from skae.rows.array_api import dispatches, host_of, in_host_memory, is_foreign, outward


class HeldOutEntriesScorer(BaseEstimator):
    """Scorer that hides some entries of the rows and scores their predictions.

    Use it as ``GridSearchCV(scoring=...)``, and wherever a function
    ``scorer(estimator, X, y)`` is accepted. It replaces randomly selected entries of X
    by NaN, predicts them from the other entries, and returns

        R² = 1 − Σ (x̂_ij − x_ij)² / Σ (x_ij − m_j)²

    over the hidden entries, where m_j is the mean of the entries of column j that are
    not hidden. 1 is perfect, and 0 is no better than the column means.

    Use it to choose the number of components or the sparsity of the codes. The usual
    score on held-out rows is not suitable for this: with more components, or with less
    sparse codes, the reconstruction of complete rows is always better, because it also
    contains the noise. Hidden entries can only be predicted from the structure of the
    data [1]_.

    Parameters
    ----------
    share : float, default=0.1
        Fraction of the observed entries that is hidden, in (0, 1).

    random_state : int, RandomState instance or None, default=0
        Seed for the selection of the hidden entries. With an int, the same entries are
        hidden for every model.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Search with this scorer as ``scoring``.
    AutoencoderImputer : Fill in missing entries.

    Notes
    -----
    The estimator must accept NaN, and its ``predict(X)`` must return a reconstruction
    of X, as the autoencoders of this package do. In a pipeline, entries of the input of
    the last step are hidden. After a scaler, all columns therefore have equal weight.

    Shuffle the rows, for instance with ``cv=KFold(5, shuffle=True, random_state=0)``.
    Without y, ``cv=5`` cuts the rows into blocks in their order. If they are sorted,
    the held-out rows are unlike the others, and scores can be far below 0.

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
        """Hide entries of X, and score the predictions of ``estimator`` for them.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator, or a fitted pipeline that ends in one.
        X : array-like of shape (n_samples, n_features)
            The rows. Entries that are NaN are missing and are not scored.
        y : object
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.

        Returns
        -------
        float
            R² of the hidden entries. NaN if they do not vary.
        """
        validate_params(self)
        if isinstance(estimator, Pipeline):
            X = X if len(estimator) == 1 else estimator[:-1].transform(X)
            estimator = estimator[-1]
        if not hasattr(estimator, "predict"):
            raise TypeError(
                "HeldOutEntriesScorer needs an estimator that takes NaN and whose "
                f"predict returns rows, got {type(estimator).__name__}; use an "
                "autoencoder, such as SparseAutoencoder()."
            )
        given, sample_weight = in_host_memory(type(self).__name__, X, sample_weight)
        rows = check_array(
            given, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan"
        )
        weights = np.ones(len(rows))
        if sample_weight is not None:
            weights = np.asarray(sample_weight, dtype=np.float64)
        hidden = self._hidden(rows)
        left = np.where(hidden, rows.dtype.type(np.nan), rows)
        means = _means(left, weights)
        follows = is_foreign(X) and dispatches()
        shown = outward(X)(left) if follows else like_frame(left, X)
        errors = np.asarray(host_of(estimator.predict(shown)))
        errors = np.where(hidden, errors - rows, 0).astype(np.float64)
        deviations = np.where(hidden, rows - means, 0).astype(np.float64)
        variation = weights @ np.vecdot(deviations, deviations)
        if not variation:
            return float("nan")
        return float(1 - weights @ np.vecdot(errors, errors) / variation)

    def _hidden(self, rows):
        """Mask of the hidden entries; each column keeps at least one entry."""
        observed = ~np.isnan(rows)
        draws = check_random_state(self.random_state).uniform(size=rows.shape)
        # The entry with the largest draw of each column is not hidden.
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
    """Weighted means of the observed entries of each column; 0 if there are none."""
    observed = ~np.isnan(rows)
    counts = weights @ observed
    sums = weights @ np.where(observed, rows, 0).astype(np.float64)
    return np.divide(sums, counts, out=np.zeros_like(counts), where=counts > 0)
