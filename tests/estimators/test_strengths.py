"""Penalties that are "scale" or a multiple of it, and the mean code asked for."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:(Training|Fine-tuning|The output layer) stopped"
)

X, Y = load_iris(return_X_y=True)
SHORT = {"max_iter": 3, "random_state": 0}
AUTOENCODERS = [SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder]
OUTPUTS = {
    "linear": {},
    "logistic": {"output_activation": "logistic"},
    "log loss": {"output_activation": "logistic", "loss": "log_loss"},
}


@pytest.mark.parametrize("unit", [2.0**-10, 2.0**8])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
@pytest.mark.parametrize("cls", AUTOENCODERS)
def test_a_change_of_units_changes_no_codes(cls, l1_ratio, unit):
    model = cls(3, l1_ratio=l1_ratio, max_iter=40, random_state=0)
    one, other = model.fit_transform(X), model.fit_transform(unit * X)
    np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("tied", [False, True])
def test_penalties_change_as_loss_and_weights_do(output, tied):
    """u/z² and u/z, with the loss as u and the weights as z in the units of X."""
    rows = X / 8
    s = rows.var(axis=0).mean() ** 0.5
    u = 1.0 if output == "log loss" else s**2
    z = np.array([1 / s, s if output == "linear" else 1.0])
    if tied:
        z = np.ones(2)
    model = SparseAutoencoder(3, tied_weights=tied, **OUTPUTS[output], **SHORT)
    given = model.fit(rows).penalties_
    np.testing.assert_allclose(given["squares"], u / z**2 * [3e-3, 1e-4])
    assert given["absolute"] == [0.0, 0.0]
    given = model.set_params(l1_ratio=1.0).fit(rows).penalties_
    np.testing.assert_allclose(given["absolute"], u / z * 5e-3)
    assert given["squares"] == [0.0, 0.0]


@pytest.mark.parametrize("l1_ratio", [0.0, 0.25])
def test_a_number_is_the_formula(l1_ratio):
    model = SparseAutoencoder(3, alpha=0.02, l1_ratio=l1_ratio, **SHORT)
    given = model.fit(100 * X).penalties_
    np.testing.assert_allclose(given["squares"], [(1 - l1_ratio) * 0.02] * 2)
    np.testing.assert_allclose(given["absolute"], [l1_ratio * 0.02] * 2)


def codes_of(model):
    return model.sparsity_weight_


def decay_of(model):
    return np.array(model.penalties_["squares"])


@pytest.mark.parametrize(
    ("estimator", "name", "of"),
    [
        (SparseAutoencoder(3, **SHORT), "alpha", decay_of),
        (SparseAutoencoder(3, **SHORT), "sparsity_weight", codes_of),
        (DenoisingAutoencoder(3, sparsity="kl", **SHORT), "sparsity_weight", codes_of),
        (
            *(ContractiveAutoencoder(3, **SHORT), "contraction_weight"),
            lambda model: model.contraction_weight_,
        ),
        (SparseCoding(3, **SHORT), "sparsity_weight", codes_of),
        (
            *(SparseCoding(3, **SHORT), "dictionary_penalty"),
            lambda model: model.dictionary_penalty_,
        ),
        (StackedAutoencoder(3, **SHORT), "alpha", decay_of),
        (StackedAutoencoderClassifier(3, **SHORT), "alpha", decay_of),
        (StackedAutoencoderRegressor(3, **SHORT), "alpha", decay_of),
    ],
    ids=lambda given: type(given).__name__ if hasattr(given, "fit") else None,
)
def test_a_multiple_of_scale(estimator, name, of):
    one = of(estimator.set_params(**{name: "scale"}).fit(X, Y))
    for given in (("scale", 3), ["scale", np.float64(3)]):
        three = of(estimator.set_params(**{name: given}).fit(X, Y))
        np.testing.assert_allclose(three, 3 * one, rtol=1e-12)


@pytest.mark.parametrize(
    "given",
    [("scale", -1), ("scale", np.nan), ("auto", 3), ("scale",), ("scale", "3"), ()],
    ids=repr,
)
def test_what_is_no_multiple(given):
    with pytest.raises(ValueError, match="alpha must be a number of 0 or more"):
        SparseAutoencoder(3, alpha=given).fit(X)
    with pytest.raises(ValueError, match="sparsity_weight must be a number"):
        SparseCoding(3, sparsity_weight=given).fit(X)


def test_a_dictionary_needs_a_penalty():
    with pytest.raises(ValueError, match="multiple above 0"):
        SparseCoding(3, dictionary_penalty=("scale", 0)).fit(X)


@pytest.mark.parametrize(("k", "rho"), [(1, 0.425), (2, 0.35), (4, 0.2), (9, 0.2)])
def test_the_mean_code_asked_by_default(k, rho):
    model = SparseAutoencoder(k, sparsity_weight=1e4, max_iter=60, random_state=0)
    model.fit(X)
    assert model.sparsity_target_ == pytest.approx(rho)
    np.testing.assert_allclose(model.mean_activation_, rho, rtol=0.05)
    assert model.set_params(sparsity_target=0.3).fit(X).sparsity_target_ == 0.3
    assert model.set_params(sparsity=None).fit(X).sparsity_target_ is None
