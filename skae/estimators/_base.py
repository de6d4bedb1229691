"""What every autoencoder of one hidden layer shares: fit, on any rows."""

from abc import ABCMeta, abstractmethod
from dataclasses import asdict, replace
from functools import partial
from numbers import Integral
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skae._sklearn import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    validate_params,
)
from skae.core.activations import ACTIVATIONS
from skae.core.layers import Layers
from skae.core.losses import LOSSES
from skae.engines.blas import single_threaded_blas
from skae.engines.code_moments import CodeMoments, code_moments
from skae.estimators._callbacks import fit_task
from skae.estimators._fitting import (
    ExtremeRowMixin,
    FittedAutoencoder,
    unchanged_on_error,
    warn_if_cut_short,
)
from skae.estimators._parameters import (
    PENALTY_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    DocLinkMixin,
    OutputMixin,
    ScaledCodesMixin,
    check_works,
    fraction_of_zeros,
    n_units,
    only_where,
    strength,
)
from skae.estimators._reconstruction import ReconstructionMixin
from skae.rows.moments import Moments, total_weight
from skae.rows.reading import MatrixLike, read
from skae.training.early_stopping import HeldOutLoss, hold_out
from skae.training.problem import Problem, Settings
from skae.training.run import SOLVERS, fit
from skae.training.scale import Scale

# Rows that set the scale where pieces are of a single one.
_ROWS_WITH_A_SCALE = 100
_MAX_SEED = np.iinfo(np.int32).max


def _check_stochastic(estimator):
    method = SOLVERS.get(estimator.solver)
    if method is None or not method.is_stochastic:
        raise AttributeError(
            f"partial_fit needs solver='adam', got solver={estimator.solver!r}, which "
            "works on all rows at once; use set_params(solver='adam'), or "
            "warm_start=True with fit."
        )


class BaseAutoencoder(
    OutputMixin,
    ScaledCodesMixin,
    ReconstructionMixin,
    DocLinkMixin,
    CallbackSupportMixin,
    ExtremeRowMixin,
    FittedAutoencoder,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Fit and partial_fit; a subclass says what it penalises."""

    _goes_on_devices = True
    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        **OutputMixin._parameter_constraints,
        **ScaledCodesMixin._parameter_constraints,
        "tied_weights": ["boolean"],
        **PENALTY_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    @abstractmethod
    def _terms(self, data, scale, n_components, random_state, first):
        """What the objective has beside loss and decay, and what that comes to.

        ``first`` says whether ``scale`` is that of ``data``, and not of an earlier
        piece of the rows.

        Returns
        -------
        keywords : dict
            Of ``AutoencoderObjective``.
        fitted : dict
            Fitted attributes.
        """

    def fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
        entry_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn the weights from X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 and float64 are kept, other types are converted
            to float64. A C-contiguous array of these types is not copied; if it is a
            ``numpy.memmap``, it may be larger than memory. Sparse X, of any format,
            gives the same weights as dense X; see the notes. NaN is a missing entry.
            With scikit-learn's ``array_api_dispatch``, an array of CuPy stays on its
            GPU, and results follow it there.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows. A row of weight two counts twice
            (but gets the noise of a denoising autoencoder only once), and a row of
            weight zero is ignored.
        entry_weight : array-like of shape (n_samples, n_features), optional
            Non-negative weights of the entries of dense X in memory. The loss of an
            entry is multiplied by its weight. An entry of weight zero is missing, as if
            it were NaN.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or a weight has a value that is not allowed. The
            message names it.

        Notes
        -----
        In a row with missing entries, the loss and ``score`` use only the observed
        entries. For the encoder, a missing entry is replaced by the mean of its column,
        also in ``transform`` and ``predict``, which return no NaN. In sparse X, stored
        NaN are missing, and entries that are not stored are zeros; rows with missing
        entries are converted to dense rows, one block at a time. dask collections must
        not have missing entries.

        Ctrl-C ends training, keeps the weights found so far and warns, with any
        ``n_jobs``. If joblib runs this fit among others, as in a grid search or a
        bagging ensemble, Ctrl-C ends all of them with KeyboardInterrupt.

        From scikit-learn 1.9 on, callbacks set by ``set_callbacks`` follow every
        iteration, epoch or start, for example scikit-learn's ``ProgressBar``. They get
        the rows as targets, so ``ScoringMonitor(scoring=["r2"])`` scores
        reconstructions.

        With sparse X, only the non-zeros are multiplied:

        * With ``output_activation="identity"`` and ``loss="squared_error"`` no
          reconstruction is formed. With k components, an evaluation then takes
          O(nnz k + (n_samples + n_features) k²) operations. L-BFGS works on a second
          copy of the non-zeros, stored by columns.
        * Other outputs, losses with ``emphasis``, and corruptions other than masking
          need dense rows, which are formed for one block of rows at a time.
        * Masking draws noise for the zeros, too. This takes time proportional to
          n_samples x n_features, once for every ``redraw_every`` iterations.
        * Callbacks get the sparse rows as targets, which scikit-learn's metrics do not
          accept. Give ``ScoringMonitor`` a function instead, such as
          ``scoring={"score": lambda estimator, X, y: estimator.score(X)}``.
        """
        with unchanged_on_error(self), single_threaded_blas():
            trained, extreme = self._learn(X, sample_weight, entry_weight)
        self._warn_of_extreme_row(extreme)
        warn_if_cut_short(self, trained.status, fault=trained.fault)
        return self

    def _learn(self, X, sample_weight=None, entry_weight=None):
        """Fit, warn of nothing; return what training gave, and an extreme row."""
        continues = self.warm_start and hasattr(self, "components_")
        data, given = self._read(X, sample_weight, entry_weight, not continues)
        random_state = check_random_state(self.random_state)
        seeds = random_state.randint(_MAX_SEED, size=int(self.n_init))
        held_out = None
        if self.early_stopping:
            data, held_out = hold_out(data, self.validation_fraction, random_state)
        problem, fitted, moments = self._problem(data, random_state)
        if held_out is not None:
            unit = problem.coordinates.unit
            validate = HeldOutLoss(problem.objective, held_out, unit)
            problem = replace(problem, validate=validate)
        once = continues or len(seeds) == 1
        n_tasks = problem.settings.max_iter if once else len(seeds)
        with fit_task(self, *given.shown, n_tasks, sequential=once) as task:
            problem = replace(problem, task=task)
            if continues:
                problem = replace(problem, goes_on=True)
                starts, seeds = [self._warm_start(problem)], seeds[:1]
            else:
                # Each when its turn comes: it is as large as the weights.
                starts = (_start(problem, seed) for seed in seeds)
            trained = fit(problem, starts, seeds, n_jobs=self.n_jobs)
            self._keep(problem, trained, {**fitted, "_moments": _as_kept(moments)})
            # Of batches, which the next call of partial_fit would go on from.
            self._state = self._collected = None
        return trained, moments.extreme_row

    @only_where(_check_stochastic)
    def partial_fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
        entry_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch of Adam on these rows, in mini-batches.

        Use it for data that arrive in pieces.

        * The first piece determines the scale of the data, on which the penalties and
          the step length depend. It should therefore be like all of the data. If its
          rows are all equal, or it has a single row, the first hundred rows are used.
          After ``fit``, the scale is that of ``fit``, and Adam's averages start anew.
        * ``code_scale_`` is computed from the codes of this piece and, if pieces are
          small, of those before it, which count as up to 1000 rows. The codes of
          earlier pieces are those of the weights of that time.
        * No rows are held out.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some rows.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.
        entry_weight : array-like of shape (n_samples, n_features), optional
            Non-negative weights of the entries; see ``fit``.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        AttributeError
            If ``solver`` is not "adam".
        ValueError
            If a parameter, X or a weight has a value that is not allowed. The
            message names it.
        """
        with unchanged_on_error(self), single_threaded_blas():
            trained, extreme = self._partial_fit(X, sample_weight, entry_weight)
        self._warn_of_extreme_row(extreme)
        if trained.fault or trained.status == "interrupted":  # and not for one epoch
            warn_if_cut_short(self, trained.status, fault=trained.fault)
        return self

    def _partial_fit(self, X, sample_weight, entry_weight):
        continues = hasattr(self, "components_")
        data, _ = self._read(X, sample_weight, entry_weight, not continues)
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(_MAX_SEED)
        weight = total_weight(data.n_rows, data.weights)
        earlier, collected = None, 0
        if continues:
            earlier, collected = self._first_pieces(data, weight)
        problem, fitted, moments = self._problem(data, random_state, earlier)
        once = replace(problem.settings, max_iter=1)
        problem = replace(problem, settings=once)
        start = self._warm_start(problem) if continues else _start(problem, seed)
        state = self._state if continues else None
        trained = fit(problem, [start], [seed], state=state)
        codes = CodeMoments(**self._code_moments) if continues else None
        fitted = {**fitted, "_moments": _as_kept(moments)}
        self._keep(problem, trained, fitted, codes)
        self._state = trained.state
        # A single row has no scale: that of more is waited for.
        if not continues and moments.no_variation(data.X.dtype):
            collected = weight
        self._collected = collected if 0 < collected < _ROWS_WITH_A_SCALE else None
        return trained, moments.extreme_row

    def _first_pieces(self, data, weight):
        """Moments that set the scale, and how many rows' they are if not yet enough."""
        moments, collected = Moments(**self._moments), self._collected
        if collected is None:
            return moments, 0
        both = [moments, data.moments], [collected, weight]
        return Moments.combined(*both), collected + weight

    def _read(self, X, sample_weight, entry_weight, reset):
        """Validate parameters and data: ``Data``, and what was given."""
        validate_params(self)
        self._check_combinations()
        given = read(self, X, sample_weight, reset=reset)
        if entry_weight is not None:
            given.weigh_entries(entry_weight)
        check_works(self, given, self.solver)
        data = given.data()
        self._check_data(data)
        return data, given

    def _problem(self, data, random_state, moments=None):
        """What is to be minimised and how, what "scale" came to, and the scale.

        That is of these rows unless ``moments`` of earlier ones are given.
        """
        dtype, n_features = data.X.dtype, data.X.shape[1]
        own = data.moments
        own.check_magnitude(data.n_rows, dtype)
        if moments is None or moments.no_variation(dtype):
            moments = own
        moments.check_columns()
        scale = Scale.of(moments, LOSSES[self.loss], dtype)
        data = data.filled_by(moments.mean)
        n_components = n_units(self.n_components, n_features)
        squares, absolute = self._decay(scale)
        first = moments is own
        keywords, fitted = self._terms(data, scale, n_components, random_state, first)
        penalties = {"squares": [*squares], "absolute": [*absolute]}
        fitted = {"penalties_": penalties, **fitted}
        objective = data.X.autoencoder(
            n_features,
            n_components,
            activation=self.activation,
            output=self.output_activation,
            loss=self.loss,
            alpha=squares,
            l1=absolute,
            tied_weights=self.tied_weights,
            dtype=dtype,
            **keywords,
        )
        problem = Problem(
            objective,
            data,
            scale.coordinates(objective),
            Settings.of(self, data.n_rows),
            attributes=partial(_attributes, objective, data, self.activation, fitted),
        )
        return problem, fitted, moments

    def _decay(self, scale):
        """What multiplies ½‖·‖² and ‖·‖₁, of W and of D."""
        number, of_scale = strength(self, "alpha")
        # A float of Python's promotes no float32 array, a NumPy one would.
        l1_ratio = float(self.l1_ratio)
        if of_scale:
            return scale.alphas(
                number, l1_ratio, self.output_activation, self.loss, self.tied_weights
            )
        return ((1 - l1_ratio) * number,) * 2, (l1_ratio * number,) * 2

    def _warm_start(self, problem):
        objective = problem.objective
        shape = (objective.n_components, objective.n_features)
        if self.components_.shape != shape:
            raise ValueError(
                f"warm_start=True continues from components_ of shape "
                f"{self.components_.shape}, but X and n_components now ask for "
                f"{shape}; use warm_start=False to start afresh."
            )
        return problem.coordinates.from_data(objective.theta_of(vars(self)))

    def _keep(self, problem, trained, fitted, earlier_codes=None):
        """Set the fitted attributes, in one step."""
        objective, data = problem.objective, problem.data
        weights = objective.attributes(trained.theta)
        codes = _codes_of(data, weights, self.activation).after(earlier_codes)
        vars(self).update(
            {
                **fitted,
                **weights,
                "n_iter_": trained.n_iter,
                "sparsity_of_weights_": {
                    "encoder": fraction_of_zeros(weights["components_"]),
                    "decoder": fraction_of_zeros(weights["decoder_components_"]),
                },
                "mean_activation_": trained.statistics.astype(objective.dtype),
                "code_scale_": codes.scale(objective.dtype),
                "_code_moments": asdict(codes),
                "loss_": trained.loss,
                "loss_terms_": trained.terms,
                "loss_curve_": trained.loss_curve,
                "loss_curve_terms_": trained.terms_curve,
                "validation_scores_": trained.validation_scores,
            }
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.array_api_support = True
        return tags

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    @property
    def _column_means(self):
        moments = getattr(self, "_moments", None)  # of earlier versions' there are none
        return None if moments is None else moments["mean"]

    def _encoder(self, dtype):
        layer = [self.components_], [self.intercept_hidden_], [self.activation]
        return Layers(*layer, dtype)

    def _decoder(self, dtype):
        weights, biases = self.decoder_components_.T, self.intercept_visible_
        return Layers([weights], [biases], [self.output_activation], dtype)


def _start(problem, seed):
    return problem.objective.start(np.random.RandomState(seed))


def _as_kept(moments):
    """Moments as a fitted estimator keeps them: those of rows, and of no single one."""
    kept = asdict(moments)
    del kept["farthest"]
    return kept


def _attributes(objective, data, activation, fitted, theta, n_iter):
    """Those with which an estimator that stopped at θ is as good as fitted."""
    weights = objective.attributes(theta)
    codes = _codes_of(data, weights, activation)
    scale = {"code_scale_": codes.scale(objective.dtype)}
    return {**fitted, **weights, **scale, "n_iter_": n_iter}


def _codes_of(data, weights, activation):
    """Moments of the codes of all rows, which weigh as many as they are."""
    layer = [weights["components_"]], [weights["intercept_hidden_"]], [activation]
    moments = code_moments(Layers(*layer, data.X.dtype), data.X, data.weights)
    return replace(moments, total=float(data.n_rows))
