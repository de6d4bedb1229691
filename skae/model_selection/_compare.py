"""Comparison of representations with PCA: scores and tests of their differences."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold, check_cv
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import indexable
from sklearn.utils.multiclass import type_of_target

from skae._sklearn import rows_of
from skae.engines.blas import single_threaded_blas
from skae.model_selection._comparison import Comparison
from skae.model_selection._paired import Paired, corrected_error, paired_test
from skae.rows.array_api import in_host_memory

_AS_THEY_ARE = "features as they are"
_CLASSES = 20  # of floats, at most
# Name, number of components and estimator; without a number it has its own.
Candidate = tuple[str, int | None, Any]
_SIZES = ("n_components", "estimator__n_components")
# Attributes of learnt arrays in scikit-learn and in this package.
_LEARNT = (
    *("components_", "decoder_components_", "mean_", "mixing_", "whitening_"),
    *("intercept_hidden_", "intercept_visible_", "coefs_", "intercepts_"),
)


def compare(
    estimators: Any,
    X: Any,
    y: Any = None,
    *,
    downstream: Any = None,
    cv: Any = None,
    n_components: int | Sequence[int] | None = None,
    scaler: Any = None,
    n_jobs: int | None = None,
) -> Comparison:
    """Compare representations of X with PCA by their scores on held-out rows.

    In every fold, each representation is fitted to the training rows. With ``y``, a
    classifier or regressor is fitted to the codes of these rows, and scored on the
    codes of the held-out rows. All representations use the same folds. PCA is always
    included. With ``y``, the original features are included as well.

    Each score is compared with that of PCA with the same number of components. If PCA
    cannot have that many, it is compared with the best of the other PCA models. The
    confidence interval and the p-value are those of the corrected resampled t-test
    [1]_ [2]_. The usual t-test ignores that the folds share training rows, and
    therefore finds too many differences. There is no correction for multiple
    comparisons.

    Parameters
    ----------
    estimators : estimator, list or dict of str to estimator
        Transformers: those of this package or of scikit-learn, pipelines, or an
        :class:`AutoencoderCV`. In a dict, the keys are the names in the table.
        Otherwise the names of the classes are used.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data.

    y : array-like of shape (n_samples,), default=None
        Labels or targets. Without them, the score is the fraction of the variance of
        the held-out rows that is explained.

    downstream : estimator, default=None
        The classifier or regressor that is fitted to the codes and ``y``. None means a
        logistic regression on standardised codes or, if ``y`` contains floats that are
        not whole or have more than 20 different values, a ridge regression. Sparse
        codes are scaled, but not centred.

    cv : int, splitter or iterable, default=None
        The folds. None means five folds, repeated twice, shuffled with a seed of 0.

    n_components : int or list of int, default=None
        Numbers of components to compare. None uses the number that each estimator has.
        The parameter has no effect on estimators without ``n_components``, such as a
        stack or a pipeline. PCA is compared with all these numbers.

    scaler : transformer, default=None
        A scaler such as ``MinMaxScaler()``, which is fitted to the training rows of
        each fold and applied before all representations. If entries of X are missing,
        it must fill them in.

    n_jobs : int, default=None
        Number of fits at the same time.

    Returns
    -------
    Comparison
        A table, which can be printed and is also shown in notebooks. ``to_frame()``
        converts it to a pandas data frame, and ``to_markdown()`` to Markdown. It has a
        row for each estimator and number of components, with the columns

        * ``score``, the mean over the folds, and ``error``, its standard error, with
          the same correction;
        * ``difference``, the difference from PCA; ``low`` and ``high``, its 95 %
          confidence interval; and ``p``, its p-value;
        * ``explained``, the fraction of the variance of the held-out rows that is
          explained;
        * ``sparsity``, the mean of Hoyer's measure (√k − ‖h‖₁/‖h‖₂)/(√k − 1) of the
          codes of the held-out rows: 1 if only one code of a row is not zero, 0 if all
          codes of a row have the same size;
        * ``fit_seconds`` and ``transform_seconds``, CPU time, the median of the folds;
        * ``parameters``, the number of learnt numbers.

    Raises
    ------
    ValueError
        If ``downstream`` is given without ``y``, if a number of components is
        invalid, or if X contains NaN and there is no ``scaler``.

    See Also
    --------
    skae.plotting.ComparisonDisplay : Draw the comparison.
    AutoencoderCV : Choose a parameter by cross-validation.

    References
    ----------
    .. [1] C. Nadeau and Y. Bengio, Inference for the generalization error, Machine
       Learning 52 (2003) 239-281.
    .. [2] R. R. Bouckaert and E. Frank, Evaluating the replicability of significance
       tests for comparing learning algorithms, PAKDD 2004.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import SparseAutoencoder, compare
    >>> X, y = load_wine(return_X_y=True)
    >>> model = SparseAutoencoder(tol=0.1, random_state=0)
    >>> table = compare(model, X, y, n_components=[2, 4], scaler=StandardScaler(), cv=3)
    >>> for row in table.rows:
    ...     print(row["estimator"], row["components"])
    features as they are 13
    PCA 2
    PCA 4
    SparseAutoencoder 2
    SparseAutoencoder 4
    """
    if downstream is not None and y is None:
        raise ValueError(
            f"downstream={downstream!r} is fitted to codes and y, got y=None; pass y, "
            "or use downstream=None to compare reconstructions."
        )
    X, y = in_host_memory("compare", X, y)
    X, y = indexable(X if hasattr(X, "shape") else np.asarray(X), y)
    if y is not None and downstream is None:
        downstream = _model_for(y)
    named = _named(estimators)
    if scaler is None and "PCA" not in named:
        _refuse_missing(X)
    if scaler is not None and not hasattr(scaler, "transform"):
        raise TypeError(
            "scaler must be a transformer, such as StandardScaler(), or None, got "
            f"scaler={scaler!r}."
        )
    folds = _folds(cv, X, y, downstream)
    sizes = _sizes(n_components)

    def judged(candidates: list[Candidate]) -> dict[tuple[str, int], list[_Run]]:
        runs = Parallel(n_jobs=n_jobs)(
            delayed(_judge)(model, scaler, downstream, X, y, train, test)
            for _, _, model in candidates
            for train, test in folds
        )
        by_key = {}
        for i, (name, size, _) in enumerate(candidates):
            of_one = runs[i * len(folds) : (i + 1) * len(folds)]
            by_key[name, of_one[0].n_codes if size is None else size] = of_one
        return by_key

    found = judged(_candidates(named, X, sizes))
    # PCA comes after them, for only a fit tells how many codes a stack or a pipeline
    # has.
    first: list[Candidate] = []
    if y is not None:
        first.append((_AS_THEY_ARE, X.shape[1], None))
    if "PCA" not in named:
        first += _pca(X, {size for _, size in found}.union(sizes or []), folds)
    by_key = judged(first) | found
    share = float(np.mean([len(test) / len(train) for train, test in folds]))
    scores = {key: np.array([run.score for run in of]) for key, of in by_key.items()}
    rows = []
    for (name, size), of_one in by_key.items():
        against = _test_against_pca(scores, (name, size), share)
        rows.append(_row(name, size, of_one, scores[name, size], share, against))
    return Comparison(
        rows,
        scores,
        {key: np.array([run.explained for run in of]) for key, of in by_key.items()},
        {key: of[-1].fitted for key, of in by_key.items()},
        "variance explained" if y is None else _name_of_score(downstream),
    )


def _refuse_missing(X: Any) -> None:
    """PCA takes no missing entries; better said before anything is fitted."""
    values = np.asarray(X.data if issparse(X) else X)
    if values.dtype.kind != "f":
        try:
            values = values.astype(float)
        except (TypeError, ValueError):  # text, of which the estimators may say more
            return
    if values.size and np.isnan(values.min()):  # which needs no memory
        raise ValueError(
            "X contains NaN, which PCA and the models of codes do not take; put an "
            "imputer in front of all, such as scaler=SimpleImputer() or "
            "scaler=make_pipeline(SimpleImputer(), StandardScaler())."
        )


def _model_for(y: Any) -> Any:
    """The default of ``downstream``."""
    values = np.asarray(y)
    continuous = type_of_target(values).startswith("continuous")
    if (values.dtype.kind == "f" and len(np.unique(values)) > _CLASSES) or continuous:
        return make_pipeline(StandardScaler(), Ridge())
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _for_codes(model: Any, codes: Any) -> Any:
    """The model, but without centring where its scaler is given sparse codes."""
    first = model[0] if isinstance(model, Pipeline) else model
    if issparse(codes) and isinstance(first, StandardScaler):
        first.set_params(with_mean=False)
    return model


def _name_of_score(downstream: Any) -> str:
    return "accuracy" if is_classifier(downstream) else "R²"


def _folds(cv: Any, X: Any, y: Any, downstream: Any) -> list[Any]:
    classifies = downstream is not None and is_classifier(downstream)
    n_splits = 5 if cv is None else cv
    if classifies and isinstance(n_splits, Integral) and np.ndim(y) == 1:
        most = int(np.unique(y, return_counts=True)[1].max())
        if most < int(n_splits):
            raise ValueError(
                f"The largest class of y has a size of {most}, too small for {n_splits}"
                " folds; if y holds numbers, not classes, use downstream=Ridge(), "
                "otherwise fewer folds, such as cv=2."
            )
    if cv is None:
        kind = RepeatedStratifiedKFold if classifies else RepeatedKFold
        cv = kind(n_splits=5, n_repeats=2, random_state=0)
    folds = list(check_cv(cv, y, classifier=classifies).split(X, y))
    if not folds or min(len(test) for _, test in folds) < 2:
        raise ValueError(f"cv={cv!r} must hold out folds of 2 rows and more.")
    return folds


def _candidates(
    named: dict[str, Any], X: Any, sizes: list[int] | None
) -> list[Candidate]:
    """Each estimator at each of the sizes, or at its own."""
    found: list[Candidate] = []
    for name, model in named.items():
        params = model.get_params()
        key = next((k for k in _SIZES if k in params), None)
        if key is None:
            found.append((name, None, model))
        elif sizes is None:
            size = params[key]
            found.append((name, X.shape[1] if size is None else int(size), model))
        else:
            for size in sizes:
                found.append((name, size, clone(model).set_params(**{key: size})))
    return found


def _pca(X: Any, sizes: set[int], folds: list[Any]) -> list[Candidate]:
    """PCA at those sizes that it can have."""
    most = min(X.shape[1], min(len(train) for train, _ in folds))
    solver = "auto"
    if issparse(X):  # of which ARPACK finds all components but one
        solver, most = "arpack", max(most - 1, 1)
    return [
        ("PCA", k, PCA(k, svd_solver=solver, random_state=0))
        for k in sorted({min(size, most) for size in sizes} or {most})
    ]


def _sizes(n_components: Any) -> list[int] | None:
    if n_components is None:
        return None
    sizes = [n_components] if isinstance(n_components, Integral) else [*n_components]
    if not sizes or any(not isinstance(k, Integral) or k < 1 for k in sizes):
        raise ValueError(
            "n_components must be an int of 1 or more, or some of them, got "
            f"n_components={n_components!r}."
        )
    return [int(k) for k in sizes]


def _named(estimators: Any) -> dict[str, Any]:
    """Name -> estimator; a second estimator of a class has a 2 after its name."""
    if isinstance(estimators, Mapping):
        named = dict(estimators)
    else:
        named = {}
        if not isinstance(estimators, list | tuple):
            estimators = [estimators]
        for model in estimators:
            name, n = type(model).__name__, 2
            while name in named:
                name, n = f"{type(model).__name__} {n}", n + 1
            named[name] = model
    for model in named.values():
        if not hasattr(model, "fit") or not hasattr(model, "transform"):
            raise TypeError(
                "estimators must be transformers, which fit and transform, one of "
                f"them, a list, or a dict of name to estimator; got {model!r}."
            )
    return named


@dataclass(frozen=True)
class _Run:
    """Results of a representation in one fold."""

    score: float
    explained: float
    sparsity: float
    fit_seconds: float
    transform_seconds: float
    n_codes: int
    n_parameters: int
    fitted: Any


def _judge(
    model: Any, scaler: Any, downstream: Any, X: Any, y: Any, train: Any, test: Any
) -> _Run:
    rows, rows_test = rows_of(X, train), rows_of(X, test)
    targets, targets_test = (None, None)
    if y is not None:
        targets, targets_test = rows_of(y, train), rows_of(y, test)
    fitted = None if model is None else clone(model)
    with single_threaded_blas():
        if scaler is not None:
            scale = clone(scaler).fit(rows)
            rows, rows_test = scale.transform(rows), scale.transform(rows_test)
        began = time.process_time()
        if fitted is not None:
            fitted.fit(rows, targets)
        fit_seconds = time.process_time() - began
        codes = rows if fitted is None else fitted.transform(rows)
        began = time.process_time()
        codes_test = rows_test if fitted is None else fitted.transform(rows_test)
        transform_seconds = time.process_time() - began
        explained = _explained(fitted, codes_test, rows_test)
        score = explained
        if downstream is not None:
            judged = _for_codes(clone(downstream), codes).fit(codes, targets)
            score = float(judged.score(codes_test, targets_test))
    return _Run(
        score,
        explained,
        _hoyer(codes_test),
        fit_seconds,
        transform_seconds,
        codes_test.shape[1],
        0 if fitted is None else _n_parameters(fitted),
        fitted,
    )


def _explained(fitted: Any, codes: Any, rows: Any) -> float:
    """Fraction of the variance of rows that the codes explain."""
    if fitted is None:
        return 1.0
    if not hasattr(fitted, "inverse_transform"):
        return float("nan")
    rows = rows.toarray() if issparse(rows) else np.asarray(rows, float)
    error = np.sum((np.asarray(fitted.inverse_transform(codes)) - rows) ** 2)
    return float(1 - error / np.sum((rows - rows.mean(axis=0)) ** 2))


def _hoyer(codes: Any) -> float:
    """Mean of Hoyer's sparsity over the rows that are not zero."""
    codes = codes.toarray() if issparse(codes) else np.asarray(codes, float)
    lengths = np.linalg.norm(codes, axis=1)
    rows, lengths = codes[lengths > 0], lengths[lengths > 0]
    root = codes.shape[1] ** 0.5
    if root == 1 or not len(rows):
        return float("nan")
    return float(np.mean((root - np.abs(rows).sum(axis=1) / lengths) / (root - 1)))


def _n_parameters(fitted: Any) -> int:
    """Number of learnt numbers, counted in the attributes listed in _LEARNT."""
    model = getattr(fitted, "best_estimator_", fitted)
    if hasattr(model, "steps"):
        return sum(_n_parameters(step) for _, step in model.steps)
    total = 0
    for name in _LEARNT:
        arrays = vars(model).get(name, [])
        for array in arrays if isinstance(arrays, list) else [arrays]:
            total += np.size(array) if array is not None else 0
    return total


def _test_against_pca(
    scores: dict[tuple[str, int], np.ndarray], key: tuple[str, int], share: float
) -> Paired | None:
    """Test against PCA with as many components or, without one, the best PCA."""
    if key[0] == "PCA":
        return None
    of_pca = {k: of_one for (name, k), of_one in scores.items() if name == "PCA"}
    if not of_pca:
        return None
    best = max(of_pca.values(), key=lambda of_one: float(of_one.mean()))
    return paired_test(scores[key] - of_pca.get(key[1], best), share)


def _row(
    name: str,
    size: int,
    runs: list[_Run],
    scores: np.ndarray,
    share: float,
    against: Paired | None,
) -> dict[str, Any]:
    def median(of: str) -> float:
        return float(np.median([getattr(run, of) for run in runs]))

    return {
        "estimator": name,
        "components": size,
        "score": float(scores.mean()),
        "error": corrected_error(scores, share),
        "difference": None if against is None else against.difference,
        "low": None if against is None else against.low,
        "high": None if against is None else against.high,
        "p": None if against is None else against.p,
        "explained": float(np.mean([run.explained for run in runs])),
        "sparsity": float(np.mean([run.sparsity for run in runs])),
        "fit_seconds": median("fit_seconds"),
        "transform_seconds": median("transform_seconds"),
        "parameters": runs[-1].n_parameters,
    }
