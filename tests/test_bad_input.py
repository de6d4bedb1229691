"""Hard to break: a clear error that names its cause, or finite results."""

import re

import numpy as np
import pytest
import scipy.sparse
from compare import assert_has_score
from covering import every_pair
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import config_context

from skae import (
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(30, 4))
DTYPES = [np.float32, np.float64]
ATTRIBUTES = [
    "components_",
    "intercept_hidden_",
    "decoder_components_",
    "intercept_visible_",
    "mean_activation_",
    "loss_",
    "loss_curve_",
    "sparsity_weight_",
]


def autoencoder(**params):
    return SparseAutoencoder(
        **{"n_components": 3, "max_iter": 30, "random_state": 0, **params}
    )


def assert_finite(model, data, sample_weight=None):
    for name in ATTRIBUTES:
        assert np.isfinite(getattr(model, name)).all(), name
    for terms in (model.loss_terms_, model.loss_curve_terms_):
        for name, term in terms.items():
            assert np.isfinite(term).all(), name
    for method in (model.transform, model.predict, model.score_samples):
        assert np.isfinite(method(data)).all(), method
    assert_has_score(model, data, sample_weight)


# -- refused, with the cause by name -----------------------------------------------


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
@pytest.mark.parametrize("method", ["fit", "transform", "predict", "score"])
def test_infinity(method, bad):
    data = X.copy()
    data[3, 1] = bad
    model = autoencoder() if method == "fit" else autoencoder().fit(X)
    with pytest.raises(ValueError, match=r"Input X contains infinity"):
        getattr(model, method)(data)
    data[5, 2] = np.nan  # which is a missing entry, and hides no other
    with pytest.raises(ValueError, match=r"Input X contains infinity"):
        getattr(model, method)(data)


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[np.inf], [-np.inf]]),
        np.array([[np.inf], [-np.inf]], np.float16),
        scipy.sparse.csr_array([[np.inf], [-np.inf]]),
        np.full((20, 7), 1e300),
        np.full((3, 1), np.nan),
    ],
    ids=["infinities", "in float16", "sparse", "large", "missing"],
)
@pytest.mark.parametrize("kind", [SparseAutoencoder, StackedAutoencoder, SparseCoding])
def test_numbers_that_are_refused_cause_no_warning_of_numpy(kind, rows):
    """Of sums of infinities, of infinite lengths, and of means of no entries."""
    with (
        np.errstate(all="raise"),
        pytest.raises(ValueError, match=r"X .*(infinity|large|NaN)"),
    ):
        kind().fit(rows)


@pytest.mark.parametrize("bad", [np.inf, 1e300])
@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
def test_infinity_that_nobody_looks_for_is_named(bad, container):
    """Under ``assume_finite``, and so are numbers that no sum can hold."""
    data = X.copy()
    data[3:5, 1] = bad, -bad  # of infinities the sum is NaN
    message = "too large.* infinity"
    with config_context(assume_finite=True), pytest.raises(ValueError, match=message):
        autoencoder().fit(container(data))
    with config_context(assume_finite=True):
        with pytest.raises(ValueError, match="sample_weight"):
            autoencoder().fit(X, sample_weight=np.full(30, bad))


def masked(array, dtype=float):
    """Nothing that is seen differs from the array; what is not seen is huge."""
    hidden = np.zeros(array.shape, bool)
    hidden.flat[1] = True
    return np.ma.masked_array(np.where(hidden, 1e20, array), hidden).astype(dtype)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [SparseAutoencoder, StackedAutoencoder, SparseCoding])
def test_masked_entries_are_missing_values(kind, dtype):
    with pytest.raises(ValueError, match="X is a masked array with 1 masked entries"):
        kind(3).fit(masked(X, dtype))
    model = kind(3, max_iter=5).fit(X)
    for method in (model.transform, model.predict, model.score):
        with pytest.raises(ValueError, match="X is a masked array"):
            method(masked(X, dtype))
    with pytest.raises(ValueError, match="X is a masked array"):
        model.inverse_transform(masked(X[:, :3], dtype))


def test_masked_targets_and_weights():
    model = StackedAutoencoderRegressor(3)
    with pytest.raises(ValueError, match="y is a masked array"):
        model.fit(X, masked(X[:, 0]))
    with pytest.raises(ValueError, match="X_unlabeled is a masked array"):
        model.fit(X, X[:, 0], X_unlabeled=masked(X))
    with pytest.raises(ValueError, match="sample_weight is a masked array"):
        autoencoder().fit(X, sample_weight=masked(X[:, 0]))


def test_a_mask_that_hides_nothing_is_no_matter():
    shown = np.ma.masked_array(X, np.zeros(X.shape, bool))
    np.testing.assert_array_equal(
        autoencoder().fit(shown).components_, autoencoder().fit(X).components_
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_in_codes(bad):
    model = autoencoder().fit(X)
    with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
        model.inverse_transform(np.full((2, 3), bad))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X[0], "Expected 2D array, got 1D array"),
        (X[np.newaxis], "Found array with dim 3"),
        (1.0, "Expected 2D array, got scalar"),
        (X[:0], r"Found array with 0 sample\(s\)"),
        (X[:, :0], r"0 feature\(s\)"),
        ([[1, 2], [3]], "inhomogeneous|sequence"),
        (X * 1j, "Complex data not supported"),
        (np.array([["a", "b"], ["c", "d"]]), "could not convert|non-numeric|dtype"),
        (np.array([[1, "b"], [2, 3]], dtype=object), "could not convert"),
    ],
    ids=[
        "1d",
        "3d",
        "scalar",
        "no rows",
        "no columns",
        "ragged",
        "complex",
        "strings",
        "objects",
    ],
)
def test_not_a_matrix_of_numbers(data, message):
    with pytest.raises(ValueError, match=message):
        autoencoder().fit(data)


@pytest.mark.parametrize("container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
@pytest.mark.filterwarnings("ignore:Fine-tuning stopped")
@pytest.mark.parametrize("kind", [SparseAutoencoder, StackedAutoencoder])
def test_sparse_codes_are_named_where_they_are_refused(kind, container):
    """Rows may be sparse, but codes are dense."""
    model = kind(max_iter=5).fit(X)
    with pytest.raises(TypeError, match=r"[Ss]parse data .*dense data is required"):
        model.inverse_transform(container(model.transform(X)))


@pytest.mark.parametrize("method", ["transform", "predict", "score", "score_samples"])
def test_other_number_of_features(method):
    with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 4"):
        getattr(autoencoder().fit(X), method)(X[:, :3])


@pytest.mark.parametrize("kind", [SparseAutoencoder, SparseCoding])
def test_as_many_units_as_very_many_columns(kind):
    """800 million weights and more are not what a default may ask for."""
    wide = scipy.sparse.csr_array((np.ones(9), (range(9), range(9))), shape=(9, 20_000))
    with pytest.raises(ValueError, match=r"n_components=None .* columns, 20000"):
        kind().fit(wide)


def test_codes_of_another_length():
    with pytest.raises(ValueError, match=r"X has 4 columns, .*n_components=3"):
        autoencoder().fit(X).inverse_transform(X)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("n_components", 0),
        ("n_components", -1),
        ("n_components", 2.5),
        ("n_components", "all"),
        ("activation", "sigmoid"),
        ("output_activation", "tanh"),
        ("loss", "mse"),
        ("tied_weights", "yes"),
        ("alpha", -1e-9),
        ("alpha", np.nan),
        ("alpha", np.inf),
        ("alpha", "auto"),
        ("sparsity", "l2"),
        ("sparsity_target", 0),
        ("sparsity_target", 0.0),
        ("sparsity_target", 1),
        ("sparsity_target", -0.1),
        ("sparsity_target", 1.5),
        ("sparsity_target", np.nan),
        ("sparsity_weight", -1),
        ("sparsity_weight", np.nan),
        ("sparsity_weight", np.inf),
        ("sparsity_weight", None),
        ("max_iter", 0),
        ("max_iter", 1.5),
        ("max_fun", 0),
        ("tol", -1),
        ("tol", np.nan),
        ("n_init", 0),
        ("n_jobs", "all"),
        ("random_state", -1.5),
        ("random_state", "zero"),
        ("warm_start", None),
        ("verbose", -1),
    ],
)
def test_parameters_are_named(parameter, value):
    model = autoencoder(**{parameter: value})
    with pytest.raises(ValueError, match=rf"'{parameter}' parameter .* must be"):
        model.fit(X)


def test_log_loss_needs_a_logistic_output():
    with pytest.raises(ValueError, match="output_activation='logistic'"):
        autoencoder(loss="log_loss").fit(X)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("data", [X - 0.1, X + 0.5, 255 * X])
def test_logistic_output_needs_data_in_0_1(loss, data):
    with pytest.raises(ValueError, match=r"X in \[0, 1\].*MinMaxScaler"):
        autoencoder(output_activation="logistic", loss=loss).fit(data)


@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_kl_needs_bounded_codes(activation):
    with pytest.raises(ValueError, match=f"'kl'.*{activation}.*sparsity='l1'"):
        autoencoder(activation=activation).fit(X)


@pytest.mark.parametrize("method", ["fit", "score"])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(30), "[Ss]ample weights.*non-zero"),
        (-np.ones(30), "Negative values.*sample_weight"),
        (np.r_[-1.0, np.ones(29)], "Negative values.*sample_weight"),
        (np.ones(29), "sample_weight.shape"),
        (np.ones((30, 2)), "[Ss]ample weights must be 1D"),
        (np.r_[np.nan, np.ones(29)], "sample_weight contains NaN"),
        (np.r_[np.inf, np.ones(29)], "sample_weight contains infinity"),
        (["a"] * 30, "could not convert|non-numeric|dtype"),
    ],
    ids=["zero", "all < 0", "one < 0", "short", "2d", "nan", "inf", "strings"],
)
def test_sample_weight_is_named(method, weights, message):
    model = autoencoder() if method == "fit" else autoencoder().fit(X)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(X, sample_weight=weights)


@pytest.mark.parametrize(
    ("dtype", "scale", "size"),
    [
        (np.float32, 1e13, "large"),
        (np.float32, 1e38, "large"),
        (np.float64, 1e110, "large"),
        (np.float64, 1e200, "large"),
        (np.float64, 1e308, "large"),
        (np.float32, 1e-14, "small"),
        (np.float32, 1e-40, "small"),
        (np.float64, 1e-110, "small"),
        (np.float64, 1e-150, "small"),
        (np.float64, 1e-200, "small"),  # where squares are zero
        (np.float64, 1e-310, "small"),
    ],
)
def test_x_beyond_the_range_of_its_dtype(dtype, scale, size):
    with pytest.raises(ValueError, match=f"X is too {size}.*StandardScaler"):
        autoencoder().fit((scale * X).astype(dtype))


def test_penalties_that_overflow_with_x():
    data = (1e-9 * X).astype(np.float32)
    with pytest.raises(ValueError, match=r"overflows.*scale X.*penalties"):
        autoencoder(alpha=1e6).fit(data)


# -- fitted, to something finite -----------------------------------------------------

FLAVOURS = [
    {},
    {"activation": "tanh"},
    {"activation": "relu", "sparsity": "l1"},
    {"activation": "identity", "sparsity": None},
    {"tied_weights": True},
]

EDGES = {
    "one row": X[:1],
    "two rows": X[:2],
    "one feature": X[:, :1],
    "one number": X[:1, :1],
    "zero": np.zeros((5, 3)),
    "constant": np.full((5, 3), 7.3),
    "huge constant": np.full((5, 3), 1e8 / 3),
    "tiny constant": np.full((5, 3), 1e-8 / 3),
    "constant columns": np.c_[X, np.zeros(30), np.full(30, 1e3)],
    "binary": (X > 0.5).astype(float),
    "1e8": 1e8 * X,
    "1e-8": 1e-8 * X,
    "1e8 shifted": 1e8 * (X + 10),
    "scales apart": X * [1e-8, 1, 1e4, 1e8],
    "outlier": np.vstack([X[:18], np.full((1, 4), 1e6)]),  # too few rows to warn of
    "repeated rows": np.repeat(X[:3], 20, axis=0),
    "duplicated columns": np.c_[X, X],
}


@every_pair(edge=list(EDGES), flavour=FLAVOURS, dtype=DTYPES)
def test_edges_fit(edge, flavour, dtype):
    data = EDGES[edge].astype(dtype)
    model = autoencoder(**flavour).fit(data)
    assert_finite(model, data)
    assert model.transform(data).dtype == dtype


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize(
    "data",
    [
        np.zeros((5, 3)),
        np.ones((5, 3)),
        np.eye(4),
        np.c_[X, np.ones(30)],
        X[:1],
        np.array([[-1e-8], [2.5e-9]]),
        np.array([[1 + 1e-7], [1 - 1e-8]]),
    ],
    ids=[
        "zeros",
        "ones",
        "binary",
        "constant column",
        "one row",
        "rounded below 0",
        "rounded above 1",
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_edges_of_0_1_fit(data, loss, dtype):
    data = data.astype(dtype)
    model = autoencoder(output_activation="logistic", loss=loss).fit(data)
    assert_finite(model, data)


@pytest.mark.parametrize("value", [0.0, 7.3, -1e8 / 3, 1e-8])
@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_data_are_reconstructed_to_tol(value, dtype):
    """They count as of unit spread, and the gradient by c is the mean residual."""
    data = np.full((6, 3), value, dtype)
    model = autoencoder(sparsity=None, max_iter=400).fit(data)
    rounding = 10 * np.finfo(dtype).eps * abs(value)
    np.testing.assert_allclose(
        model.predict(data), data, rtol=0, atol=model.tol + rounding
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_column_is_reconstructed(dtype):
    data = np.c_[X, np.full(30, 1e3)].astype(dtype)
    model = autoencoder(max_iter=400).fit(data)
    np.testing.assert_allclose(model.predict(data)[:, -1], 1e3, rtol=1e-3)


@pytest.mark.parametrize("n_components", [None, 1, 50])
def test_more_components_than_features_or_rows(n_components):
    model = autoencoder(n_components=n_components).fit(X[:5])
    assert model.components_.shape == (n_components or 4, 4)
    assert_finite(model, X[:5])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["logistic", "tanh"])
@pytest.mark.parametrize("target", [1e-12, 1e-6, 1 - 1e-6])
def test_saturated_units(activation, target, dtype):
    """ρ̂ is driven to 0 or 1 by its target and a large weight."""
    data = (1e3 * X).astype(dtype)
    model = autoencoder(
        activation=activation, sparsity_target=target, sparsity_weight=1e6
    ).fit(data)
    assert_finite(model, data)


def test_warm_start_from_saturated_units():
    model = autoencoder(warm_start=True).fit(X)
    model.intercept_hidden_[:] = [1e4, -1e4, 1e30]
    assert_finite(model.fit(X), X)


@pytest.mark.parametrize("weight", [0, 1e12, 1e-300])
@pytest.mark.parametrize("parameter", ["alpha", "sparsity_weight"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_penalties(parameter, weight, dtype):
    model = autoencoder(**{parameter: weight}).fit(X.astype(dtype))
    assert_finite(model, X.astype(dtype))


@pytest.mark.parametrize(
    "data",
    [
        (10 * X).astype(int),
        X > 0.5,
        (255 * X).astype(np.uint8),
        X.astype(np.float16),
        X.astype(object),
        X.tolist(),
    ],
    ids=["int", "bool", "uint8", "float16", "object", "list"],
)
def test_other_types_become_float64(data):
    model = autoencoder().fit(data)
    assert_finite(model, data)
    assert model.transform(data).dtype == np.float64


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e30])
@pytest.mark.parametrize("dtype", DTYPES)
def test_only_ratios_of_sample_weights_matter(scale, dtype):
    s = RNG.uniform(0.5, 2, len(X))
    data = X.astype(dtype)
    model = autoencoder().fit(data, sample_weight=scale * s)
    assert_finite(model, data, scale * s)
    plain = autoencoder().fit(data, sample_weight=s)
    assert model.score(data) == pytest.approx(plain.score(data), abs=1e-3)


def test_a_single_row_with_weight():
    s = np.zeros(len(X))
    s[7] = 3
    model = autoencoder(sparsity=None, alpha=0).fit(X, sample_weight=s)
    assert_finite(model, X)
    np.testing.assert_allclose(model.predict(X[7:8]), X[7:8], rtol=0, atol=model.tol)


# -- anything ------------------------------------------------------------------------

VALID = {
    "n_components": st.one_of(st.none(), st.integers(1, 12)),
    "activation": st.sampled_from(["logistic", "tanh", "relu", "identity"]),
    "output_activation": st.sampled_from(["identity", "logistic"]),
    "loss": st.sampled_from(["squared_error", "log_loss"]),
    "tied_weights": st.booleans(),
    "alpha": st.one_of(st.just("scale"), st.floats(0, 1e6)),
    "sparsity": st.sampled_from(["kl", "l1", None]),
    "sparsity_target": st.floats(0, 1, exclude_min=True, exclude_max=True),
    "sparsity_weight": st.one_of(st.just("scale"), st.floats(0, 1e6)),
    "max_iter": st.integers(1, 25),
    "max_fun": st.integers(1, 40),
    "tol": st.floats(0, 1),
    "n_init": st.integers(1, 2),
    "random_state": st.integers(0, 2**32 - 1),
}
INVALID = st.sampled_from([-1, 0, 1.5, np.nan, np.inf, "none", None, (), True])


NAMED = r"\bX\b|[Ss]ample.weight|" + "|".join(rf"'{name}'|\b{name}=" for name in VALID)


@st.composite
def parameters(draw):
    """Up to five parameters of their own kind, and now and then one of any kind."""
    names = draw(st.lists(st.sampled_from(sorted(VALID)), max_size=5, unique=True))
    chosen = {name: draw(VALID[name]) for name in names}
    if draw(st.integers(0, 3)) == 0:
        chosen[draw(st.sampled_from(sorted(VALID)))] = draw(INVALID)
    return {"max_iter": 15, "random_state": 0, **chosen}


@st.composite
def matrices(draw):
    """From 1 x 1 on; constant columns, any magnitude, both dtypes."""
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 6)))
    entries = st.one_of(st.floats(-1, 1), st.sampled_from([0, 1, -1, 0.5]))
    data = draw(hnp.arrays(np.float64, shape, elements=entries, fill=st.just(0.25)))
    if draw(st.booleans()):
        data = np.abs(data)
    magnitude = draw(st.sampled_from([1, 1, 1, 1e-8, 1e8, 1e-13, 1e-30, 1e15, 1e30]))
    shift = draw(st.sampled_from([0, 0, 1, 100]))
    return (magnitude * (data + shift)).astype(draw(st.sampled_from(DTYPES)))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data(), parameters(), matrices())
def test_anything_fits_or_says_why_not(data, params, matrix):
    elements = st.sampled_from([0, 1, 2, 0.5, 1e-8, 1e8, -1])
    weights = data.draw(
        st.one_of(st.none(), hnp.arrays(np.float64, len(matrix), elements=elements))
    )
    model = SparseAutoencoder(**params)
    before = matrix.copy()
    try:
        model.fit(matrix, sample_weight=weights)
    except (ValueError, TypeError) as error:
        assert re.search(NAMED, str(error)), error
        assert not hasattr(model, "components_")
    else:
        assert_finite(model, matrix, weights)
    np.testing.assert_array_equal(matrix, before)


# -- overflow, of which NumPy says nothing ---------------------------------------------


def test_squares_beyond_float32_are_scored_in_float64():
    model = autoencoder().fit(X)
    rows = (1e25 * X).astype(np.float32)
    errors = ((model.predict(rows).astype(np.float64) - rows) ** 2).sum(axis=1)
    np.testing.assert_allclose(model.score_samples(rows), -errors, rtol=1e-5)
    deviations = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    explained = 1 - errors.sum() / (deviations**2).sum()
    assert model.score(rows) == pytest.approx(explained, rel=1e-5)


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array])
def test_squares_beyond_float64_have_no_score(kind):
    rows = kind(1e160 * X)
    model = autoencoder().fit(X)
    assert (model.score_samples(rows) == -np.inf).all()
    with pytest.raises(ValueError, match=r"overflow float64; scale X"):
        model.score(rows)


@pytest.mark.parametrize("make", [SparseAutoencoder, StackedAutoencoder])
def test_a_weight_beyond_float32_is_refused(make):
    model = make(2, alpha=1e39, l1_ratio=0.5)
    with pytest.raises(ValueError, match=r"finite in float32|overflows float32"):
        model.fit(X.astype(np.float32))


def test_a_dictionary_beyond_float32_is_refused():
    model = SparseCoding(2, random_state=0).partial_fit(1e60 * (X - X.mean(axis=0)))
    with pytest.raises(ValueError, match="overflow float32"):
        model.partial_fit(X.astype(np.float32))
