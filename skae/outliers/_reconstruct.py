"""Reconstruction by any estimator, and the arguments of its ``fit``."""

from __future__ import annotations

from typing import Any

from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

NEEDS = (
    "estimator must reconstruct rows: it needs transform and inverse_transform, or a "
    "predict that returns rows"
)


def reconstructs(estimator: Any) -> bool:
    """Whether an estimator has the methods needed for a reconstruction."""
    if isinstance(estimator, type):  # not an instance of it
        return False
    both = hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform")
    return both or (hasattr(estimator, "predict") and not is_classifier(estimator))


def reconstruct(estimator: Any, X: Any) -> Any:
    """Reconstruct rows by a fitted estimator: an array of X's shape, possibly lazy.

    ``predict`` of a pipeline or a search returns rows in the units of its last step.
    ``inverse_transform`` returns them in the units of X, and is therefore used if it
    exists. For estimators of this package, ``predict`` gives the same in one step.
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
    """Convert a data frame to an array, and leave other values unchanged."""
    return values.to_numpy() if hasattr(values, "to_numpy") else values


def takes(estimator: Any, kind: str) -> bool:
    """Whether the input tags of an estimator contain "sparse", "allow_nan", ...

    For "sparse", all steps of a pipeline must have the tag; the tags of the pipeline
    itself say so only from scikit-learn 1.7 on. For other tags, the first step decides.
    """
    if isinstance(estimator, Pipeline):
        steps = _steps(estimator)
        first = steps if kind == "sparse" else steps[:1]
        return all(takes(step, kind) for step in first)
    return bool(getattr(get_tags(estimator).input_tags, kind))


def first_name(estimator: Any) -> str:
    """The name of the class of an estimator, or of the first step of a pipeline."""
    if isinstance(estimator, Pipeline) and _steps(estimator):
        return first_name(_steps(estimator)[0])
    return type(estimator).__name__


def _steps(pipeline: Pipeline) -> list[Any]:
    return [step for _, step in pipeline.steps if step not in (None, "passthrough")]


def fit_arguments(estimator: Any, X: Any) -> tuple[Any, ...]:
    """Arguments of ``fit``; for a regressor, the rows are also the targets."""
    if isinstance(estimator, FrozenEstimator):
        return X, None  # its fit does nothing, but does not do without y
    return (X, X) if is_regressor(estimator) else (X,)


def weight_parameters(estimator: Any, sample_weight: Any) -> dict[str, Any]:
    """``sample_weight`` under the names that ``fit`` expects, for each pipeline step.

    Only used without metadata routing.
    """
    if sample_weight is None or isinstance(estimator, FrozenEstimator):
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
