"""The denoising autoencoder."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skae._sklearn import Interval, StrOptions
from skae.core.corruptions import CORRUPTIONS, Custom, Noise
from skae.estimators._base import BaseAutoencoder
from skae.estimators._sparsity import SparsityMixin


class DenoisingAutoencoder(SparsityMixin, BaseAutoencoder):
    """TODO"""

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        **SparsityMixin._parameter_constraints,
        "corruption": [StrOptions(set(CORRUPTIONS)), callable],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
        "emphasis": [tuple, list, None],
        "redraw_every": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        n_components=None,
        *,
        corruption="masking",
        corruption_level=0.3,
        emphasis=None,
        redraw_every=20,
        activation="logistic",
        output_activation="identity",
        loss="squared_error",
        tied_weights=False,
        alpha="scale",
        sparsity=None,
        sparsity_target=0.05,
        sparsity_weight="scale",
        max_iter=400,
        max_fun=15000,
        tol=1e-4,
        n_init=1,
        n_jobs=None,
        random_state=None,
        warm_start=False,
        verbose=0,
    ):
        self.n_components = n_components
        self.corruption = corruption
        self.corruption_level = corruption_level
        self.emphasis = emphasis
        self.redraw_every = redraw_every
        self.activation = activation
        self.output_activation = output_activation
        self.loss = loss
        self.tied_weights = tied_weights
        self.alpha = alpha
        self.sparsity = sparsity
        self.sparsity_target = sparsity_target
        self.sparsity_weight = sparsity_weight
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.tol = tol
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def corrupt(self, X, random_state=None):
        """Corrupt X as training does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.
        random_state : int, RandomState instance or None, default=None
            Draws the noise. Pass an int for reproducible results.

        Returns
        -------
        X_corrupted : ndarray of shape (n_samples, n_features)
            A corrupted copy, in the dtype of X if that is float32 or float64.
        """
        X = self._validate(X)
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        corrupted = np.empty_like(X)
        corruption = self._corruption(self.feature_range_.astype(X.dtype))
        Noise(corruption, seed)(X, start=0, draw=0, out=corrupted)
        return corrupted

    def _check_combinations(self):
        super()._check_combinations()
        fractions = ("masking", "salt_and_pepper")
        if self.corruption in fractions and self.corruption_level > 1:
            raise ValueError(
                f"corruption={self.corruption!r} takes corruption_level, a fraction of "
                f"the entries, in [0, 1]; got corruption_level={self.corruption_level}."
            )
        if self.emphasis is None:
            return
        if self.corruption == "gaussian":
            raise ValueError(
                "emphasis weighs corrupted against kept entries, but "
                "corruption='gaussian' keeps none; use emphasis=None or "
                "corruption='masking'."
            )
        try:
            on_corrupted, on_kept = map(float, self.emphasis)
            valid = min(on_corrupted, on_kept) >= 0 < on_corrupted + on_kept < np.inf
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise ValueError(
                "emphasis must be None or a pair of non-negative weights (on "
                "corrupted entries, on kept entries), not both zero; got "
                f"emphasis={self.emphasis!r}."
            )

    def _corruption(self, feature_range):
        if callable(self.corruption):
            return Custom(self.corruption)
        low, high = feature_range
        return CORRUPTIONS[self.corruption](self.corruption_level, low, high)

    def _terms(self, X, scale, n_components, random_state):
        self.feature_range_ = np.stack([X.min(axis=0), X.max(axis=0)])
        seed = random_state.randint(np.iinfo(np.int32).max)
        return {
            "sparsity": self._sparsity(scale, n_components),
            "noise": Noise(self._corruption(self.feature_range_), seed),
            "emphasis": self.emphasis,
        }
