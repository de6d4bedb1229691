"""What every autoencoder shares: the scikit-learn side of the fit path."""

import warnings
from abc import abstractmethod
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from skae._sklearn import Interval, StrOptions, check_sample_weight, validate_params
from skae.core.activations import ACTIVATIONS
from skae.core.coordinates import Coordinates
from skae.core.losses import LOSSES
from skae.core.objective import AutoencoderObjective
from skae.estimators._coder import DTYPES, BaseCoder
from skae.estimators._training import Moments, Problem, Scale, random_start, train


def _scaled_alpha(spread):
    """alpha="scale" for data of spread s: min(1e-3, 0.03 s⁴).

    An encoder's weights grow as 1/s and the loss falls as s², so a fixed alpha
    would drown data in small units; a decoder's grow as s, in step with the loss,
    hence the bound. The constants were chosen by trial for codes that a linear
    classifier reads well, on digits in [0, 1], not for the best reconstruction.
    """
    # spread**4 alone would overflow for the largest data.
    return min(1e-3, 0.03 * min(1, spread) ** 4)


class BaseAutoencoder(BaseCoder):
    """Fit, and code by a layer of units; a subclass says what it penalises."""

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "output_activation": [StrOptions({"identity", "logistic"})],
        "loss": [StrOptions(set(LOSSES))],
        "tied_weights": ["boolean"],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"scale"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def _terms(self, X, scale, n_components, random_state):
        """What the objective has beside loss and decay, as keyword arguments."""

    # -- fitting ---------------------------------------------------------------

    def fit(self, X, y=None, sample_weight=None):
        """Learn the weights from X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data, dense. float32 and float64 are kept, anything else becomes
            float64. A C-contiguous array of these types is not copied.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows. A weight of two counts as the row
            twice (but meets the noise of a denoising autoencoder once), of zero
            as its absence.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight is not what is allowed; the
            message names it.

        Notes
        -----
        Ctrl-C ends training, keeps the best weights so far and warns. Inside a
        grid search it ends the fit of the moment only.
        """
        validate_params(self)
        self._check_combinations()
        continues = self.warm_start and hasattr(self, "components_")
        X = validate_data(self, X, dtype=DTYPES, order="C", reset=not continues)
        weights = check_sample_weight(sample_weight, X)
        if weights is not None and not weights.all():
            # Absent means absent: from ranges, and from the count of noisy rows.
            X, weights = X[weights > 0], weights[weights > 0]
        self._check_range(X)
        moments = Moments.of(X, weights)
        moments.check_magnitude(len(X), X.dtype)
        spread = moments.spread
        unit = LOSSES[self.loss].at_mean(moments.mean, moments.variance)
        if moments.no_variation(X.dtype):
            spread = unit = 1.0
        n_features = X.shape[1]
        n_components = int(self.n_components or n_features)
        scaled = self.alpha == "scale"
        # A float of Python's promotes no float32 array, a NumPy one would.
        self.alpha_ = float(_scaled_alpha(spread) if scaled else self.alpha)
        random_state = check_random_state(self.random_state)
        seeds = random_state.randint(np.iinfo(np.int32).max, size=int(self.n_init))
        objective = AutoencoderObjective(
            n_features,
            n_components,
            activation=self.activation,
            output=self.output_activation,
            loss=self.loss,
            alpha=self.alpha_,
            tied_weights=self.tied_weights,
            dtype=X.dtype,
            **self._terms(X, Scale(unit, spread), n_components, random_state),
        )
        problem = Problem(
            objective,
            X,
            weights,
            Coordinates(objective, moments.mean, spread, unit),
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            tol=self.tol,
            verbose=int(self.verbose),
            redraw_every=getattr(self, "redraw_every", None),
        )
        self._keep(objective, self._best(problem, seeds))
        return self

    def _check_combinations(self):
        if self.output_activation not in LOSSES[self.loss].outputs:
            raise ValueError(
                f"loss={self.loss!r} needs output_activation='logistic', got "
                f"output_activation={self.output_activation!r}; use "
                "output_activation='logistic' or loss='squared_error'."
            )

    def _check_range(self, X):
        if self.output_activation != "logistic":
            return
        low, high = float(X.min()), float(X.max())
        slack = 1e-6  # what a scaler's rounding may leave outside
        if low < -slack or high > 1 + slack:
            raise ValueError(
                "output_activation='logistic' needs X in [0, 1], got X from "
                f"{low:.6g} to {high:.6g}; scale X, for instance with MinMaxScaler, "
                "or use output_activation='identity' with loss='squared_error'."
            )

    def _best(self, problem, seeds):
        """Train from every start; the lowest loss is kept, as KMeans does."""
        if self.warm_start and hasattr(self, "components_"):
            return train(problem, self._warm_start(problem))
        starts = [random_start(problem.objective, seed) for seed in seeds]
        if len(starts) == 1:
            return train(problem, starts[0])
        runs = []
        parallel = Parallel(n_jobs=self.n_jobs, return_as="generator")
        for run in parallel(delayed(train)(problem, start) for start in starts):
            runs.append(run)
            if run.status == "interrupted":
                break
        best = min(runs, key=lambda run: run.loss)
        if runs[-1].status == "interrupted":
            best = replace(best, status="interrupted")
        return best

    def _warm_start(self, problem):
        objective = problem.objective
        shape = (objective.n_components, objective.n_features)
        if self.components_.shape != shape:
            raise ValueError(
                f"warm_start=True continues from components_ of shape "
                f"{self.components_.shape}, but X and n_components now ask for "
                f"{shape}; use warm_start=False to start afresh."
            )
        theta = np.empty(objective.layout.size, objective.dtype)
        parameters = objective.parameters(theta)
        parameters.decoder[:-1] = self.decoder_components_
        parameters.decoder[-1] = self.intercept_visible_
        parameters.encoder[:] = self.components_
        parameters.hidden[:] = self.intercept_hidden_
        return problem.coordinates.from_data(theta)

    def _keep(self, objective, trained):
        """Set the fitted attributes, and warn if training was cut short."""
        if not np.isfinite(trained.theta).all():
            raise ValueError(
                f"The weights that fit X overflow {objective.dtype}; scale X, for "
                "instance with StandardScaler."
            )
        parameters = objective.parameters(trained.theta)
        self.components_ = parameters.encoder.copy()
        self.intercept_hidden_ = parameters.hidden.copy()
        self.decoder_components_ = (
            self.components_ if self.tied_weights else parameters.decoder[:-1].copy()
        )
        self.intercept_visible_ = parameters.decoder[-1].copy()
        self.mean_activation_ = trained.mean_code.astype(objective.dtype)
        self.loss_ = trained.loss
        self.loss_terms_ = trained.terms
        self.loss_curve_ = trained.loss_curve
        self.loss_curve_terms_ = trained.terms_curve
        self.n_iter_ = trained.n_iter
        if trained.status in ("max_iter", "max_fun"):
            limit = getattr(self, trained.status)
            warnings.warn(
                f"Training stopped at {trained.status}={limit} before it converged; "
                f"increase {trained.status}, or tol if the loss has levelled off.",
                ConvergenceWarning,
                stacklevel=3,
            )
        elif trained.status == "interrupted":
            warnings.warn(
                "Training interrupted by user; the best weights so far are kept.",
                stacklevel=3,
            )

    # -- using what was learnt -------------------------------------------------

    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            f(X W^T + b), in the dtype of X if that is float32 or float64.
        """
        return self._encode(self._validate(X))

    def _encode(self, X):
        codes = X @ self.components_.T.astype(X.dtype, copy=False)
        codes += self.intercept_hidden_
        ACTIVATIONS[self.activation].apply(codes)
        return codes

    def _decode(self, codes):
        X = codes @ self.decoder_components_.astype(codes.dtype, copy=False)
        X += self.intercept_visible_
        ACTIVATIONS[self.output_activation].apply(X)
        return X
