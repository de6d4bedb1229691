"""Draws of estimators, parameters, rows and containers: finite results, or a refusal.

Of every draw it is asked that

* what is fitted is finite, and so is what it returns, or ValueError or TypeError says
  why not, naming an argument or a parameter, and leaves the estimator as it was;
* NumPy warns of nothing;
* a container changes nothing: the bits are those of a plain array of the same numbers;
* a row is coded alone as among others, and sparse as dense, within rounding;
* a pickle predicts the same bits, a clone fits the same.

The draws are few and always the same, unless ``--fuzz N`` asks for N other ones.
"""

import pickle
import re
import tempfile
import warnings

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
    TopKAutoencoder,
)

# -- what is drawn ---------------------------------------------------------------------

TRAINING = {
    "solver": ["lbfgs", "adam"],
    "max_iter": [1, 3, 12],
    "max_fun": [1, 5, 15000],
    "tol": [0, 1e-2, 0.5],
    "batch_size": ["auto", 1, 3],
    "learning_rate": ["constant", "linear"],
    "learning_rate_init": [1e-3, 0.1, 10.0],
    "shuffle": [True, False],
    "early_stopping": [False, False, True],
    "n_iter_no_change": [1, 10],
    "validation_fraction": [0.1, 0.5],
}
WEIGHTS = {
    "alpha": ["scale", 0, 1e-3, 1e6, ("scale", 3)],
    "l1_ratio": [0.0, 0.5, 1.0],
}
AUTOENCODER = {
    **TRAINING,
    **WEIGHTS,
    "n_components": [None, 1, 2, 7],
    "activation": ["logistic", "tanh", "relu", "identity"],
    "output_activation": ["identity", "identity", "logistic"],
    "loss": ["squared_error", "squared_error", "log_loss"],
    "tied_weights": [False, True],
    "scale_codes": [True, False],
    "n_init": [1, 1, 2],
}
SPARSITY = {
    "sparsity": ["kl", "l1", None],
    "sparsity_target": ["auto", 0.05, 0.999],
    "sparsity_weight": ["scale", 0, 1e4, ("scale", 0.1)],
}
STACK = {
    **TRAINING,
    **WEIGHTS,
    "hidden_layer_sizes": [2, (3,), (3, 2)],
    "autoencoder": ["denoising", "sparse", "contractive", "rbm", None],
    "activation": ["logistic", "tanh", "relu", "identity"],
    "fine_tune": [True, True, False],
    "scale_codes": [True, False],
    "input_dropout": [0.0, 0.0, 0.5],
    "hidden_dropout": [0.0, 0.0, 0.5],
}
SUPERVISED = {**STACK, "decay": ["all", "start", "output"]}
ESTIMATORS = {
    SparseAutoencoder: {**AUTOENCODER, **SPARSITY},
    DenoisingAutoencoder: {
        **AUTOENCODER,
        **SPARSITY,
        "corruption": ["auto", "masking", "gaussian", "salt_and_pepper"],
        "corruption_level": ["scale", ("scale", 2), 0.0, 0.3, 1.0],
        "emphasis": [None, None, (1, 0.5), (0, 1)],
        "redraw_every": [None, 1, 20],
    },
    ContractiveAutoencoder: {
        **AUTOENCODER,
        "contraction_weight": ["scale", 0, 1e3],
    },
    TopKAutoencoder: {
        "n_components": [None, 1, 8],
        "n_nonzero_coefs": [1, 2, 0.5],
        "selection": ["batch", "row"],
        "auxiliary_weight": [1 / 32, 0.0],
        "dead_after": ["auto", 1],
        **{
            name: TRAINING[name]
            for name in ("max_iter", "tol", "batch_size", "learning_rate", "shuffle")
        },
    },
    SparseCoding: {
        "n_components": [None, 1, 4],
        "sparsity_weight": ["scale", 0, 1e3, 1e-8],
        "dictionary_penalty": ["scale", 1e-8, 1e3],
        "epsilon": [1e-5, 1e-12, 1.0],
        "topography": [None, None, (3, 4)],
        "max_iter": [1, 3],
        "code_max_iter": [1, 10],
        "batch_size": [None, 2, 1000],
        "tol": [0, 0.05],
    },
    StackedAutoencoder: {
        **STACK,
        "output_activation": ["identity", "identity", "logistic"],
        "loss": ["squared_error", "squared_error", "log_loss"],
    },
    StackedAutoencoderClassifier: {
        **SUPERVISED,
        "class_weight": [None, None, "balanced", {0: 2.0}],
    },
    StackedAutoencoderRegressor: SUPERVISED,
}
# Of parameters, what is not allowed.
NONSENSE = [-1, 0, np.nan, np.inf, "nonsense", None, (), [1, 2], 1.5, True]
# Of the few draws most are of numbers that are no reason to refuse.
LEVELS = [
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    1.0,
    0.0,
    1e-3,
    1e3,
    1e-30,
    1e-160,
    1e-310,
    1e15,
    1e30,
    1e150,
    1e300,
]
KINDS = [
    *("normal", "normal", "uniform", "uniform", "binary", "counts", "repeated"),
    *("constant", "offset", "one constant column", "unequal columns", "one outlier"),
]
DTYPES = [np.float64, np.float64, np.float32, np.int64, np.bool_, np.float16]


def numbers(kind, level, shape, rng):
    """An array of float64."""
    n, d = shape
    X = rng.normal(size=shape) * level
    match kind:
        case "uniform":
            X = rng.uniform(size=shape) * level
        case "binary":
            X = rng.integers(0, 2, size=shape) * level
        case "counts":
            X = rng.poisson(0.5, size=shape) * level
        case "repeated":
            X = X[rng.integers(0, 2, size=n) % n]
        case "constant":
            X = np.full(shape, level)
        case "offset":
            X += 1e4 * level
        case "one constant column":
            X[:, 0] = 3 * level
        case "unequal columns":
            X *= 10.0 ** rng.integers(-6, 6, size=d)
        case "one outlier":
            X[0] *= 1e6
    return X


def non_contiguous(X):
    return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def memory_mapped(X):
    with tempfile.NamedTemporaryFile() as file:
        X_map = np.memmap(file.name, X.dtype, "w+", shape=X.shape)
        X_map[:] = X
        return X_map


def framed(X):
    return pd.DataFrame(X, columns=[f"column {j}" for j in range(X.shape[1])])


DENSE = {
    "array": np.asarray,
    "Fortran": np.asfortranarray,
    "non-contiguous": non_contiguous,
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "read-only": read_only,
    "list": lambda X: X.tolist(),
    "memory map": memory_mapped,
    "pandas": framed,
    "polars": lambda X: pl.DataFrame({f"c{j}": X[:, j] for j in range(X.shape[1])}),
}


def sparse(kind):
    """Of numbers as SciPy has them."""
    return lambda X: kind(X.astype(np.float32) if X.dtype == np.float16 else X)


SPARSE = {
    "CSR": sparse(scipy.sparse.csr_array),
    "CSC": sparse(scipy.sparse.csc_matrix),
    "COO": sparse(scipy.sparse.coo_array),
}
CONTAINERS = DENSE | SPARSE


def agreement(model):
    """What to change for parameters to go together."""
    given, changes = model.get_params(), {}
    if given.get("loss") == "log_loss":
        changes["output_activation"] = "logistic"
    saturates = given.get("activation") in ("logistic", "tanh")
    if given.get("sparsity") == "kl" and not saturates:
        changes["sparsity"] = "l1"
    contracts = "contractive" in (given.get("autoencoder"), _name_of(model))
    if (contracts and not saturates) or given.get("autoencoder") == "rbm":
        changes["activation"] = "logistic"
    if given.get("emphasis") and given["corruption"] == "gaussian":
        changes["emphasis"] = None
    if given.get("topography"):
        changes["n_components"] = None
    if given.get("input_dropout") or given.get("hidden_dropout"):
        changes["solver"] = "adam"
    if not given.get("fine_tune", True):
        changes["early_stopping"] = False
    if given.get("autoencoder", "") is None:
        changes["fine_tune"] = True
        changes |= {"decay": "all"} if "decay" in given else {}
    if given.get("decay") == "start":
        changes["l1_ratio"] = 0.0
    return changes


def _name_of(model):
    return "contractive" if isinstance(model, ContractiveAutoencoder) else ""


@st.composite
def draws(draw):
    """An estimator with parameters, rows as an array, targets, weights, and how."""
    kind = draw(st.sampled_from(list(ESTIMATORS)))
    table = ESTIMATORS[kind]
    names = draw(st.lists(st.sampled_from(list(table)), unique=True, max_size=6))
    params = {name: draw(st.sampled_from(table[name])) for name in names}
    for limit in ("max_iter", "code_max_iter"):
        if limit in table:
            params.setdefault(limit, 3)
    reasonable = draw(st.integers(0, 9)) > 0
    if reasonable:
        params |= agreement(kind(**params))
    else:
        name = draw(st.sampled_from(list(table)))
        params[name] = draw(st.sampled_from(NONSENSE))
    n = draw(st.sampled_from([1, 2, 3, 8, 20, 40]))
    d = draw(st.sampled_from([1, 2, 4, 7]))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    rows = draw(st.sampled_from(KINDS)), draw(st.sampled_from(LEVELS))
    unit = "logistic" in (params.get("output_activation"), params.get("loss"))
    if reasonable and (unit or params.get("autoencoder") == "rbm"):
        rows = draw(st.sampled_from(["uniform", "binary", "constant"])), 1.0
    if reasonable and params.get("early_stopping"):
        n = max(n, 8)
    with np.errstate(all="ignore"):
        X = numbers(*rows, (n, d), rng).astype(draw(st.sampled_from(DTYPES)))
    if draw(st.integers(0, 19)) == 0 and X.dtype.kind == "f":
        X[-1, 0] = draw(st.sampled_from([np.nan, np.inf]))
    weights = [*["none"] * 5, *["some"] * 4, "zeros", "tiny", "huge"]
    weights = draw(st.sampled_from(weights))
    weight = {
        "none": None,
        "some": rng.integers(0, 3, size=n),
        "zeros": np.zeros(n),
        "tiny": np.full(n, 1e-300),
        "huge": rng.uniform(size=n) * 1e300,
    }[weights]
    container = draw(st.sampled_from(list(CONTAINERS)))
    how = draw(st.sampled_from(["fit", "fit", "partial_fit", "warm", "refit"]))
    return kind, params, X, rng.permutation(np.arange(n) % 3), weight, container, how


# -- what is asked ---------------------------------------------------------------------

# Where a refusal points.
CULPRITS = r"\b(X|y|sample_weight|Sample weights|codes|Found array)\b"


def arguments(model, X, y, weight):
    """Of ``fit``."""
    supervised = hasattr(model, "classes_") or "decay" in model.get_params()
    target = None
    if supervised:
        is_classifier = isinstance(model, StackedAutoencoderClassifier)
        target = y if is_classifier else np.cos(y)
    options = {} if weight is None else {"sample_weight": weight}
    return ((X, target), options) if supervised else ((X,), options)


def steps(model, how):
    """Names of methods to call, one after the other, and parameters set before."""
    params = model.get_params()
    if how == "partial_fit" and "n_init" in params:
        return [("partial_fit", {"solver": "adam"}), ("partial_fit", {})]
    if how == "warm":
        return [("fit", {}), ("fit", {"warm_start": True})]
    if how == "refit":
        return [("fit", {}), ("fit", {"random_state": 1})]
    return [("fit", {})]


def trained(model, X, y, weight, how):
    """Whether every step has been taken; a step refused is judged here."""
    for method, params in steps(model, how):
        model.set_params(**params)
        before = vars(model).copy()
        args, options = arguments(model, X, y, weight)
        try:
            getattr(model, method)(*args, **options)
        except (ValueError, TypeError) as error:
            names = "|".join([*model.get_params(), type(model).__name__])
            assert re.search(rf"{CULPRITS}|\b({names})\b", str(error)), str(error)
            after = vars(model)
            assert after.keys() == before.keys()
            assert all(after[name] is before[name] for name in before)
            return False
    return True


def is_finite(value):
    match value:
        case dict():
            return all(is_finite(part) for part in value.values())
        case list() | tuple():
            return all(is_finite(part) for part in value)
        case np.ndarray() | float() | np.floating():
            return np.asarray(value).dtype.kind not in "fc" or np.isfinite(value).all()
    return True


def outputs(model, X):
    """All that is returned for rows, by method."""
    names = ["transform", "predict", "predict_proba", "score_samples"]
    found = {name: getattr(model, name)(X) for name in names if hasattr(model, name)}
    return {name: dense(output) for name, output in found.items()}


def dense(output):
    return output.toarray() if scipy.sparse.issparse(output) else output


def assert_close(found, expected, slack):
    """Relative to the largest entry."""
    assert found.shape == expected.shape
    size = max(np.abs(expected).max(initial=0), np.abs(found).max(initial=0))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found / size, expected / size, rtol=0, atol=slack)


def is_tame(X):
    """Whether rounding is not amplified: columns are about as long as they vary."""
    X = X.astype(float)
    spread = X.std(axis=0)
    size = np.abs(X).max()
    return (
        not np.isnan(X).any()
        and len(X) > 2
        and 1e-6 < size < 1e6
        and size < 1e3 * spread.min()
    )


def check(draw):
    kind, params, X, y, weight, container, how = draw
    model = kind(**{"random_state": 0, **params})
    given = CONTAINERS[container](X)
    if not trained(model, given, y, weight, how):
        return
    for name, value in vars(model).items():
        if name.endswith("_") and name not in ("layers_", "validation_scores_"):
            assert is_finite(value), name
    # Which scikit-learn reads as float64, whatever is in them.
    plain = X.astype(float) if container in ("list", "polars") else X
    found = outputs(model, plain)
    there = ~np.isnan(X.astype(float)).all(axis=1)  # others have no score
    for name, output in found.items():
        assert is_finite(output[there]), name
        assert len(output) == len(X), name
    for name, output in outputs(pickle.loads(pickle.dumps(model)), plain).items():
        np.testing.assert_array_equal(output, found[name], name)
    again = clone(model)
    assert str(again.get_params()) == str(model.get_params())
    if how == "fit":
        same = kind(**{"random_state": 0, **params})
        alike = CONTAINERS["CSR"](plain) if container in SPARSE else plain
        assert trained(same, alike, y, weight, how)
        for name, output in outputs(same, plain).items():
            np.testing.assert_array_equal(output, found[name], name)
    if not is_tame(X):
        return
    slack = 1e-3 if X.dtype in (np.float32, np.float16) else 1e-7
    if isinstance(model, SparseCoding):
        slack *= 1e3  # codes of which each is where few iterations have led
    codes = found["transform"]
    assert_close(dense(model.transform(plain[1:2])), codes[1:2], slack)
    assert_close(dense(model.transform(CONTAINERS["CSR"](X))), codes, slack)


def checked(draw):
    """``check``, with every warning an error but those of what has been learnt."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        check(draw)


def test_no_draw_breaks_an_estimator(request):
    asked = request.config.getoption("fuzz")
    given_settings = settings(
        max_examples=asked or 60,
        derandomize=asked is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )

    given_settings(given(draws())(checked))()
