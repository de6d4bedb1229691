"""Measures of codes and dictionaries, against brute force and their definitions."""

from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_digits, make_classification
from sklearn.decomposition import NMF, PCA, DictionaryLearning
from sklearn.feature_selection import f_classif

from skae import SparseAutoencoder, TopKAutoencoder
from skae.inspection import (
    activation_frequency,
    dead_units,
    explained_variance,
    hoyer_sparsity,
    matched_units,
    monosemanticity,
    sparse_probing,
    stability,
    top_samples,
)
from skae.inspection._measures import _f_values

KINDS = pytest.mark.parametrize("kind", [np.asarray, csr_array], ids=["dense", "csr"])


@pytest.fixture(scope="module")
def digits():
    return load_digits().data[:200]


@pytest.fixture(scope="module")
def top_k(digits):
    return TopKAutoencoder(30, 3, max_iter=5, random_state=0).fit(digits)


@pytest.fixture
def codes():
    random = np.random.RandomState(0)
    codes = random.standard_normal((25, 6)) * (random.uniform(size=(25, 6)) < 0.4)
    codes[:, 4] = 0
    codes[3] = 0
    codes[:, 5] = 0
    codes[7, 5] = 2
    return codes


def test_top_samples_are_the_largest_codes(top_k, digits):
    column = top_k.transform(digits).toarray()[:, 2]
    rows, values = top_samples(top_k, digits, 2, n=7)
    assert (values == np.sort(column)[::-1][:7]).all()
    assert (column[rows] == values).all()


def test_top_samples_leave_silent_ones_out(top_k, digits):
    column = top_k.transform(digits).toarray()[:, 2]
    rows, _ = top_samples(top_k, digits, 2, n=1000)
    assert sorted(rows) == np.flatnonzero(column).tolist()


@pytest.mark.parametrize(
    "estimator",
    [
        SparseAutoencoder(4, max_iter=2),
        NMF(4, max_iter=3, init="random", random_state=0),
        DictionaryLearning(4, max_iter=2, random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_other_estimators_are_looked_into_as_well(estimator, digits):
    estimator.fit(digits)
    column = estimator.transform(digits)[:, 1]
    rows, values = top_samples(estimator, digits, 1, n=3)
    assert (column[rows] == values).all() and (values == np.sort(column)[:-4:-1]).all()
    codes = estimator.transform(digits)
    if hasattr(estimator, "inverse_transform"):
        reconstructed = estimator.inverse_transform(codes)
    else:
        reconstructed = codes @ estimator.components_
    errors = ((digits - reconstructed) ** 2).sum()
    expected = 1 - errors / ((digits - digits.mean(axis=0)) ** 2).sum()
    assert explained_variance(estimator, digits) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("unit", "n", "name"),
    [(30, 5, "unit"), (-1, 5, "unit"), (1.5, 5, "unit"), (0, 0, "n"), (0, 2.5, "n")],
)
def test_top_samples_refuse_what_is_not_there(top_k, digits, unit, n, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        top_samples(top_k, digits, unit, n)


@KINDS
def test_frequencies_and_dead_units_are_counted(codes, kind):
    expected = [np.mean([row[j] != 0 for row in codes]) for j in range(6)]
    assert activation_frequency(kind(codes)) == pytest.approx(expected)
    assert dead_units(kind(codes)).tolist() == [4]


def test_stored_zeros_are_no_activity():
    stored = csr_array((np.array([0.0, 1.0]), ([0, 1], [0, 1])), shape=(2, 2))
    assert dead_units(stored).tolist() == [0]


def test_explained_variance_is_about_the_mean(top_k, digits):
    assert explained_variance(top_k, digits) == pytest.approx(top_k.score(digits))
    far = digits + 1000.0
    pca = PCA(3).fit(far)
    expected = pca.explained_variance_ratio_.sum()
    assert explained_variance(pca, far) == pytest.approx(expected)


def test_explained_variance_needs_some(top_k, digits):
    with pytest.raises(ValueError, match="all equal"):
        explained_variance(top_k, np.ones((5, 64)))


@KINDS
def test_hoyer_sparsity_is_its_definition(codes, kind):
    found = hoyer_sparsity(kind(codes))
    for value, h in zip(found, codes, strict=True):
        if not h.any():
            assert np.isnan(value)
            continue
        ratio = np.linalg.norm(h, 1) / np.linalg.norm(h, 2)
        assert value == pytest.approx((6**0.5 - ratio) / (6**0.5 - 1))


@KINDS
@pytest.mark.parametrize("sparse_rows", [False, True])
def test_monosemanticity_is_the_mean_over_pairs(codes, kind, sparse_rows):
    X = np.random.RandomState(1).standard_normal((25, 4))
    X[5] = 0  # like no other
    found = monosemanticity(kind(codes), csr_array(X) if sparse_rows else X)
    assert np.isnan(found[[4, 5]]).all()
    for j in range(4):
        total = weight = 0.0
        for i, m in combinations(range(25), 2):
            product = abs(codes[i, j] * codes[m, j])
            lengths = np.linalg.norm(X[i]) * np.linalg.norm(X[m])
            total += product * (X[i] @ X[m] / lengths if lengths else 0)
            weight += product
        assert found[j] == pytest.approx(total / weight)


def test_monosemanticity_needs_the_same_samples(codes):
    with pytest.raises(ValueError, match="codes has 25 rows and X 24"):
        monosemanticity(codes, np.ones((24, 3)))


@KINDS
def test_f_values_are_scikit_learns(kind):
    X, y = make_classification(80, 6, n_classes=3, n_informative=4, random_state=0)
    assert _f_values(kind(X), y) == pytest.approx(f_classif(X, y)[0])


@KINDS
def test_a_probe_finds_the_unit_that_tells(kind):
    random = np.random.RandomState(0)
    y = np.repeat(["cat", "dog"], 30)
    codes = np.maximum(random.standard_normal((60, 10)), 0)
    codes[:, 6] = 3.0 * (y == "dog")
    codes[:, 2] = 0  # dead
    assert sparse_probing(kind(codes), y, k=1) == 1
    assert sparse_probing(kind(codes[:, :6]), y, k=1) < 0.8


def test_a_probe_needs_units(codes):
    with pytest.raises(ValueError, match=r"k=7 must be an integer from 1 to 6"):
        sparse_probing(codes, np.arange(25) % 2, k=7)
    with pytest.raises(ValueError, match="label type"):  # not five failed fits
        sparse_probing(codes, np.arange(25) / 2)


def test_stability_is_the_best_of_all_pairings():
    random = np.random.RandomState(0)
    A, B = random.standard_normal((4, 3)), random.standard_normal((5, 3))
    cosines = A @ B.T / np.linalg.norm(A, axis=1)[:, np.newaxis]
    cosines /= np.linalg.norm(B, axis=1)
    best = max(
        np.mean([cosines[i, j] for i, j in enumerate(p)])
        for p in permutations(range(5), 4)
    )
    assert stability(A, B) == pytest.approx(best)
    assert stability(B, A) == pytest.approx(best)
    rows, columns, found = matched_units(A, B)
    assert found == pytest.approx(cosines[rows, columns])


def test_stability_does_not_mind_order_or_length():
    A = np.random.RandomState(0).standard_normal((6, 4))
    shuffled = A[::-1] * np.arange(1, 7)[:, np.newaxis]
    assert stability(A, shuffled) == pytest.approx(1)
    assert stability(A, -A) < 0.9


def test_dictionaries_must_have_the_same_features():
    with pytest.raises(ValueError, match="A has 3 columns and B 4"):
        stability(np.ones((2, 3)), np.ones((2, 4)))


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (
            activation_frequency,
            r"codes .* TopKAutoencoder; pass what its transform\(X\) is",
        ),
        (dead_units, r"codes .* TopKAutoencoder; pass what its transform\(X\) is"),
        (hoyer_sparsity, r"codes .* TopKAutoencoder; pass what its transform\(X\) is"),
        (lambda model: monosemanticity(model, [[1.0]]), r"codes .* transform\(X\)"),
        (lambda model: sparse_probing(model, [0, 1]), r"codes .* transform\(X\)"),
        (lambda model: stability(model, model), "A .* its decoder_components_ is"),
        (lambda model: matched_units([[1.0]], model), "B .* decoder_components_"),
    ],
)
def test_an_estimator_in_place_of_an_array_is_named(top_k, function, wanted):
    with pytest.raises(TypeError, match=wanted):
        function(top_k)


@pytest.mark.parametrize(
    "function",
    [explained_variance, lambda codes, X: top_samples(codes, X, unit=0)],
)
def test_codes_in_place_of_an_estimator_are_named(codes, function):
    with pytest.raises(TypeError, match=r"estimator must .* got ndarray; pass"):
        function(np.asarray(codes), np.ones((25, 6)))
