"""Choice of one parameter of an autoencoder by paths in cross-validation folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    is_classifier,
    is_regressor,
)
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, get_tags, indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import (
    has_fit_parameter,
    validate_data,
)

from skae._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    routes_metadata,
    validate_params,
)
from skae.estimators._callbacks import fit_task, subtask
from skae.estimators._fitting import unchanged_on_error, warn_if_cut_short
from skae.estimators._parameters import DocLinkMixin
from skae.estimators.sparse import SparseAutoencoder
from skae.model_selection._delegation import Delegation
from skae.model_selection._folds import Plan, score_folds
from skae.model_selection._path import as_given, follow, shown
from skae.model_selection._values import check_path, path_values
from skae.rows.array_api import refuse_device
from skae.rows.dask_collections import is_dask


class AutoencoderCV(
    Delegation,
    DocLinkMixin,
    CallbackSupportMixin,
    MetaEstimatorMixin,
    BaseEstimator,
):
    """Autoencoder that chooses one of its parameters by cross-validation.

    In every fold, :func:`autoencoder_path` fits the autoencoder for all values of the
    parameter. Each fit starts from the weights of the fit before it, and is scored on
    the held-out rows. The best value is then fitted to all rows. As
    :class:`~sklearn.linear_model.LassoCV` for the lasso, this estimator can be used
    wherever the autoencoder can be used: as a step of a pipeline or inside another
    search. It takes a fraction of the time of
    :class:`~sklearn.model_selection.GridSearchCV`.

    **The reconstruction of held-out rows does not tell how sparse the codes should
    be.** Every penalty on the codes makes the reconstruction worse, so this score is
    nearly always best for the weakest penalty. There are three alternatives. If you
    have labels or targets ``y``, set ``downstream``, for example to
    ``LogisticRegression()``: each value is scored by this model, fitted to the codes.
    Without ``y``, ``scoring=HeldOutEntriesScorer()`` scores predictions of hidden
    entries. Otherwise, the default ``one_standard_error="auto"`` takes the *strongest*
    penalty whose mean score is at most one standard error below the best.

    Parameters
    ----------
    estimator : estimator, default=None
        An autoencoder of this package. None means ``SparseAutoencoder()``.

    param_name : str, default="sparsity_weight"
        Name of the parameter, one of those of :func:`autoencoder_path`.

    param_range : int or sequence, default=10
        The values, or the number of values. See :func:`autoencoder_path`.

    cv : int, splitter or iterable, default=None
        Folds, as in :class:`~sklearn.model_selection.GridSearchCV`. None means 5 folds.

    scoring : str or callable, default=None
        A function ``scoring(fitted, X, y)``, called with the held-out rows, or the
        name of a scorer. With ``downstream``, ``fitted`` is this model and X are the
        codes. None uses the method ``score``: the variance explained by the
        autoencoder, or the accuracy or R² of ``downstream``.

    downstream : estimator, default=None
        A classifier or regressor, which is fitted to the codes and ``y`` to score each
        value. It is used for scoring only, and not fitted to all rows at the end.

    one_standard_error : bool or "auto", default="auto"
        Whether to choose the strongest penalty whose mean score is at most one standard
        error below the best [1]_, instead of the value with the best score. "auto" is
        True if both ``downstream`` and ``scoring`` are None.

    refit : bool, default=True
        Whether to fit the best value to all rows. This fits the path up to this value.

    n_jobs : int, default=None
        Number of folds fitted at the same time. The result does not depend on it.

    verbose : int, default=0
        If not 0, print a line for each fold.

    Attributes
    ----------
    best_value_ : float or tuple
        The chosen value, an element of ``param_range_``.

    best_index_ : int
        Index of this value in ``param_range_``.

    best_score_ : float
        Mean score of this value over the folds.

    param_range_ : list
        The values.

    score_path_ : ndarray of shape (n_folds, n_values)
        Scores on the held-out rows. NaN for values that were not fitted because of
        Ctrl-C.

    near_zero_path_ : ndarray of shape (n_folds, n_values)
        Fraction of codes of the held-out rows whose absolute value is at most 5 % of
        the largest of their unit.

    seconds_path_ : ndarray of shape (n_folds, n_values)
        Duration of each fit in seconds.

    best_estimator_ : estimator
        The autoencoder with the best value, fitted to all rows. Only if ``refit=True``.

    scorer_ : callable
        The function that computes the scores.

    n_splits_ : int
        Number of folds.

    n_features_in_ : int
        Number of features seen in fit.

    feature_names_in_ : ndarray of shape (n_features,) of str
        Names of features seen in fit, if X has feature names.

    See Also
    --------
    autoencoder_path : The path for all rows, with the losses and codes of each value.
    HeldOutEntriesScorer : Score predictions of hidden entries.
    skae.plotting.PathDisplay : Draw scores and sparsity against the values.
    sklearn.model_selection.GridSearchCV : Search several parameters; every fit starts
        from random weights.

    Notes
    -----
    Ctrl-C ends the search with a warning. The best value is then chosen by the scores
    of the finished folds or, if no fold is finished, of the finished values.

    Metadata such as ``groups`` and ``sample_weight`` are passed on as in
    :class:`~sklearn.model_selection.GridSearchCV`. Without metadata routing, ``groups``
    is passed to ``cv`` and everything else to ``fit`` of the autoencoder.
    ``sample_weight`` is also passed to the score and to ``downstream``, if they accept
    it.

    References
    ----------
    .. [1] L. Breiman, J. H. Friedman, R. A. Olshen and C. J. Stone, Classification and
       Regression Trees, 1984, Section 3.4.3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skae import AutoencoderCV, SparseAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> search = AutoencoderCV(
    ...     SparseAutoencoder(16, tol=0.1, random_state=0),
    ...     param_range=[("scale", 0.1), ("scale", 10)],
    ...     downstream=LogisticRegression(max_iter=1000),
    ...     cv=2,
    ... )
    >>> search.fit(X[:300] / 16, y[:300]).score_path_.shape
    (2, 2)
    >>> search.transform(X / 16).shape
    (1797, 16)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit"]), None],
        "param_name": [str],
        "param_range": [Interval(Integral, 2, None, closed="left"), "array-like"],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "downstream": [HasMethods(["fit", "predict"]), None],
        "one_standard_error": ["boolean", StrOptions({"auto"})],
        "refit": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        param_name: str = "sparsity_weight",
        param_range: int | Sequence[Any] = 10,
        cv: Any = None,
        scoring: str | Callable[..., float] | None = None,
        downstream: Any = None,
        one_standard_error: bool | str = "auto",
        refit: bool = True,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.param_name = param_name
        self.param_range = param_range
        self.cv = cv
        self.scoring = scoring
        self.downstream = downstream
        self.one_standard_error = one_standard_error
        self.refit = refit
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Choose the best value, and fit the autoencoder with it to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,), default=None
            Targets for ``downstream``, or for an autoencoder that needs targets.
        **params : dict
            ``groups`` for ``cv``, ``sample_weight``, and other arguments of ``fit`` of
            the autoencoder.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X, y or the folds are invalid. The message names the
            problem.
        """
        with unchanged_on_error(self):
            validate_params(self)
            interrupted = self._search(X, y, params)
        if interrupted:
            warn_if_cut_short(self, "interrupted", kept="scores")
        return self

    def _search(self, X, y, params):
        """Search and fit. Return whether Ctrl-C ended the search."""
        estimator = self._autoencoder()
        check_path(estimator, self.param_name)
        refuse_device(type(self).__name__, X)
        if is_dask(X):
            raise ValueError(
                "AutoencoderCV picks rows for its folds, so it needs rows in this "
                "process, but X is a dask collection; pass X.compute(), or some of it."
            )
        if self.downstream is not None and y is None:
            raise ValueError(
                f"downstream={self.downstream!r} requires y to be passed, but the "
                "target y is None; pass y, or use downstream=None to score "
                "reconstructions."
            )
        if self.downstream is None:
            self._check_named_scorer(estimator, y)
        values = path_values(estimator, X, self.param_name, self.param_range)
        X, y = indexable(X, y)
        routed = self._routed(params)
        judged = estimator if self.downstream is None else self.downstream
        cv = check_cv(self.cv, y, classifier=is_classifier(judged))
        folds = list(cv.split(X, y, **routed.splitter.split))
        self._check_folds(folds)
        self.scorer_ = self._scorer()
        weights = params.get("sample_weight")
        n_parts = len(folds) + bool(self.refit)
        with fit_task(self, X, y, weights, n_parts, sequential=False) as task:
            plan = Plan(
                *(estimator, self.param_name, values.given, values.order, X, y),
                *(self.scorer_, self.scoring, self.downstream),
                routed.estimator.fit,
                routed.scorer.score,
                routed.downstream.fit,
                task,
            )
            interrupted = self._choose(plan, folds, values.strongest_first)
            if self.refit:
                interrupted |= self._refit(plan)
        validate_data(self, X, skip_check_array=True)
        return interrupted

    def _check_named_scorer(self, estimator, y):
        """Scorers with a name compare y with predictions, here with reconstructions."""
        predicts_y = is_classifier(estimator) or is_regressor(estimator)
        if not isinstance(self.scoring, str) or predicts_y:
            return
        if y is None or np.ndim(y) < 2:
            raise ValueError(
                f"scoring={self.scoring!r} compares predictions with y, but those of "
                f"{type(estimator).__name__} are reconstructions of X; set downstream, "
                "such as LogisticRegression() or Ridge(), to score a model of codes "
                "and y, or use scoring=None, HeldOutEntriesScorer() or a function "
                "scoring(fitted, X, y)."
            )

    def _check_folds(self, folds):
        smallest = min((len(test) for _, test in folds), default=0)
        if not folds:
            raise ValueError(f"cv={self.cv!r} gives no folds; use cv=5, for instance.")
        if smallest < 2 and self.downstream is None and self.scoring is None:
            raise ValueError(
                f"cv={self.cv!r} holds out a fold of {smallest} row, and the variance "
                "explained needs 2; use fewer folds."
            )

    def _choose(self, plan, folds, strongest_first):
        """Score the folds and choose a value. Return whether Ctrl-C was pressed."""
        shape = len(folds), len(plan.values)
        self.score_path_, self.near_zero_path_, self.seconds_path_ = np.full(
            (3, *shape), np.nan
        )
        interrupted, n_done = False, 0
        for fold in score_folds(plan, folds, self.n_jobs):
            self.score_path_[n_done] = fold.scores
            self.near_zero_path_[n_done] = fold.near_zero
            self.seconds_path_[n_done] = fold.seconds
            interrupted |= fold.interrupted
            n_done += 1
            if self.verbose:
                self._report(plan, n_done, len(folds), fold)
        interrupted |= n_done < len(folds)
        if interrupted and np.isnan(self.score_path_).all():
            raise KeyboardInterrupt
        self.param_range_, self.n_splits_ = [*plan.values], len(folds)
        self.best_index_ = self._best(strongest_first)
        self.best_value_ = plan.values[self.best_index_]
        self.best_score_ = float(_means(self.score_path_)[self.best_index_])
        return interrupted

    def _best(self, order):
        """Index of the chosen value; of equal scores, the first one in ``order``."""
        means = _means(self.score_path_)
        if np.isnan(means).all():
            raise ValueError(
                "All scores are nan, so there is no best value; see what scoring="
                f"{self.scoring!r} makes of {self._autoencoder()!r}."
            )
        best = max(order, key=lambda i: -np.inf if np.isnan(means[i]) else means[i])
        if not self._takes_strongest:
            return int(best)
        scores = self.score_path_[:, best]
        scores = scores[~np.isnan(scores)]
        error = 0.0
        if len(scores) > 1:
            error = scores.std(ddof=1) / np.sqrt(len(scores))
        return int(next(i for i in order if means[i] >= means[best] - error))

    @property
    def _takes_strongest(self):
        if self.one_standard_error == "auto":
            return self.downstream is None and self.scoring is None
        return bool(self.one_standard_error)

    def _refit(self, plan):
        """Fit the path up to the best value to all rows."""
        order = plan.order[: plan.order.index(self.best_index_) + 1]
        kept = {}
        path = plan.estimator, plan.param_name, plan.values, order
        with subtask(plan.task, "refit", index=self.n_splits_):
            done, interrupted = follow(
                *(*path, plan.X, plan.y, plan.fit_params),
                lambda index, fitted, seconds: kept.update(fitted=fitted) is not None,
            )
        if len(done) < len(order):
            raise KeyboardInterrupt
        self.best_estimator_ = as_given(kept["fitted"], plan.estimator)
        return interrupted

    def _report(self, plan, n_done, n_folds, fold):
        finished = [i for i in plan.order if not np.isnan(fold.scores[i])]
        if not finished:
            return
        best = max(finished, key=lambda i: fold.scores[i])
        print(
            f"fold {n_done}/{n_folds}  best score {fold.scores[best]:.4f} at "
            f"{self.param_name} {shown(plan.values[best])}  "
            f"{np.nansum(fold.seconds):.2f} s",
            flush=True,
        )

    def _autoencoder(self):
        return SparseAutoencoder() if self.estimator is None else self.estimator

    def __getstate__(self):
        # Its class may be private to scikit-learn, and the parameters determine it.
        return {k: v for k, v in super().__getstate__().items() if k != "scorer_"}

    def __setstate__(self, state):
        super().__setstate__(state)
        if "best_score_" in state:
            self.scorer_ = self._scorer()

    def _scorer(self):
        judged = self._autoencoder() if self.downstream is None else self.downstream
        return check_scoring(judged, self.scoring)

    def _routed(self, params):
        """The metadata for each object that accepts some."""
        if routes_metadata():
            routed = process_routing(self, "fit", **params)
            if "downstream" not in routed:
                routed.downstream = Bunch(fit={})
            return routed
        params = {name: value for name, value in params.items() if value is not None}
        groups = params.pop("groups", None)
        weights = {k: v for k, v in params.items() if k == "sample_weight"}
        downstream = self.downstream
        weighed = downstream is not None and has_fit_parameter(
            downstream, "sample_weight"
        )
        # Weights go to a model's own score if it accepts them, and to no scorer.
        judged = self._autoencoder() if downstream is None else downstream
        scored = self.scoring is None and _score_takes_weights(judged)
        return Bunch(
            estimator=Bunch(fit=params),
            splitter=Bunch(split={"groups": groups}),
            scorer=Bunch(score=weights if scored else {}),
            downstream=Bunch(fit=weights if weighed else {}),
        )

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the metadata routing of this estimator.

        Returns
        -------
        MetadataRouter
            Routing for the autoencoder, the folds, the scorer and ``downstream``.
        """
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        to_score = MethodMapping().add(caller="fit", callee="score")
        to_split = MethodMapping().add(caller="fit", callee="split")
        router = MetadataRouter(owner=self)
        router.add(estimator=self._autoencoder(), method_mapping=to_fit)
        router.add(scorer=self._scorer(), method_mapping=to_score)
        router.add(splitter=self.cv, method_mapping=to_split)
        if self.downstream is not None:
            router.add(downstream=self.downstream, method_mapping=to_fit)
        return router

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self._autoencoder())
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        tags.transformer_tags = inner.transformer_tags
        tags.input_tags = inner.input_tags
        tags.array_api_support = False
        required = inner.target_tags.required or self.downstream is not None
        tags.target_tags = inner.target_tags
        tags.target_tags.required = required
        return tags


def _means(score_path):
    """Mean score of each value over the complete folds or, if none, over all scores."""
    complete = score_path[~np.isnan(score_path).any(axis=1)]
    if len(complete):
        return complete.mean(axis=0)
    started = score_path[~np.isnan(score_path).all(axis=1)]
    if not len(started):
        return np.full(score_path.shape[1], np.nan)
    return started.mean(axis=0)


def _score_takes_weights(model):
    """Whether ``score`` of the model accepts ``sample_weight``."""
    return "sample_weight" in signature(model.score).parameters
