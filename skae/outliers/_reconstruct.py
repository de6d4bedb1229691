"""Reconstructions by any estimator, and how such an estimator is fitted."""

from __future__ import annotations

from typing import Any

from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

NEEDS = (
    "estimator must reconstruct rows: it needs transform and inverse_transform, or a "
    "predict that returns rows"
)


def reconstructs(estimator: Any) -> bool:
    """Whether an estimator has the methods that a reconstruction takes."""
    if isinstance(estimator, type):  # not an instance of it
        return False
    both = hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform")
    return both or (hasattr(estimator, "predict") and not is_classifier(estimator))


def reconstruct(estimator: Any, X: Any) -> Any:
    """The rows as the fitted estimator has them: an array of X's shape, or lazy.

    Of a pipeline or a search ``predict`` is that of its last step, in that step's
    units, so the way back through ``inverse_transform`` is taken where there is one.
    Estimators of this package do the same in one step.
    """
    own = type(estimator).__module__.partition(".")[0] == "skae"
    back = hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform")
    with config_context(transform_output="default"):
        if back and not (own and hasattr(estimator, "predict")):
            rows = estimator.inverse_transform(_plain(estimator.transform(X)))
        else:
            rows = estimator.predict(X)
    rows = rows.toarray() if issparse(rows) else _plain(rows)
    if rows.shape != X.shape:
        raise ValueError(
            f"{NEEDS}; {type(estimator).__name__} made {rows.shape} of {X.shape}."
        )
    return rows


def _plain(values: Any) -> Any:
    """An array of a data frame; others as they are."""
    return values.to_numpy() if hasattr(values, "to_numpy") else values


def takes(estimator: Any, kind: str) -> bool:
    """Whether an estimator's tags say "sparse", "allow_nan" or "positive_only" of rows.

    Of a pipeline all steps must take sparse rows, which its own tags say from
    scikit-learn 1.7 on; the others are for its first step to deal with.
    """
    if isinstance(estimator, Pipeline):
        steps = [
            step for _, step in estimator.steps if step not in (None, "passthrough")
        ]
        first = steps if kind == "sparse" else steps[:1]
        return all(takes(step, kind) for step in first)
    return bool(getattr(get_tags(estimator).input_tags, kind))


def fit_arguments(estimator: Any, X: Any) -> tuple[Any, ...]:
    """What ``fit`` is given: of a regressor, the rows are the targets too."""
    return (X, X) if is_regressor(estimator) else (X,)


def weight_parameters(estimator: Any, sample_weight: Any) -> dict[str, Any]:
    """``sample_weight`` by the names that ``fit`` knows; of a pipeline, of each step.

    Not where metadata are routed, which says that itself.
    """
    if sample_weight is None:
        return {}
    if isinstance(estimator, Pipeline):
        takers = [
            name
            for name, step in estimator.steps
            if hasattr(step, "fit") and has_fit_parameter(step, "sample_weight")
        ]
        if takers and takers[-1] == estimator.steps[-1][0]:
            return {f"{name}__sample_weight": sample_weight for name in takers}
    elif has_fit_parameter(estimator, "sample_weight"):
        return {"sample_weight": sample_weight}
    raise ValueError(
        f"The estimator {type(estimator).__name__} takes no sample_weight; leave it "
        "out, or pass an estimator whose fit takes it."
    )
