"""ContractiveAutoencoder: its norm is a Jacobian's, and its weight contracts."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skae import ContractiveAutoencoder, SparseAutoencoder

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")

DIGITS = load_digits().data[:600] / 16


@pytest.mark.parametrize("activation", ["logistic", "tanh"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jacobian_norm_is_a_numerical_jacobians(activation, dtype):
    X = DIGITS[:200, 20:30]
    fit = ContractiveAutoencoder(6, activation=activation, max_iter=30, random_state=0)
    fit.set_params(scale_codes=False).fit(X.astype(dtype))
    step = 1e-6
    for x, norm in zip(X[:20], fit.jacobian_norm(X[:20].astype(dtype)), strict=True):
        moved = x + step * np.vstack([np.eye(10), -np.eye(10)])
        codes = fit.transform(moved)
        jacobian = (codes[:10] - codes[10:]).T / (2 * step)
        tolerance = 1e-7 if dtype == np.float64 else 1e-5
        assert norm == pytest.approx(np.linalg.norm(jacobian), rel=tolerance)


def test_norm_keeps_dtype_and_shape():
    fit = ContractiveAutoencoder(6, max_iter=3).fit(DIGITS)
    assert fit.jacobian_norm(DIGITS).shape == (600,)
    assert fit.jacobian_norm(DIGITS.astype(np.float32)).dtype == np.float32


def test_more_weight_contracts_more():
    norms = [
        ContractiveAutoencoder(
            16, contraction_weight=weight, max_iter=150, random_state=0
        )
        .fit(DIGITS)
        .jacobian_norm(DIGITS)
        .mean()
        for weight in (0.0, 0.01, 0.1, 1.0)
    ]
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < norms[0] / 2


def test_weight_zero_is_the_plain_autoencoder():
    options = {"n_components": 8, "max_iter": 20, "random_state": 0}
    contractive = ContractiveAutoencoder(contraction_weight=0.0, **options).fit(DIGITS)
    plain = SparseAutoencoder(sparsity=None, **options).fit(DIGITS)
    np.testing.assert_allclose(contractive.loss_curve_, plain.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("factor", [2.0**-20, 1.0, 2.0**20])
def test_default_weight_means_the_same_in_any_unit(factor):
    fit = ContractiveAutoencoder(8, alpha=0.0, max_iter=30, random_state=0)
    reference = fit.fit(DIGITS).score(DIGITS)
    assert fit.fit(DIGITS * factor).score(DIGITS * factor) == pytest.approx(
        reference, abs=1e-6
    )


def test_terms_sum_to_the_loss():
    fit = ContractiveAutoencoder(8, max_iter=30, random_state=0).fit(DIGITS)
    assert set(fit.loss_terms_) >= {"reconstruction", "decay", "contraction"}
    assert sum(fit.loss_terms_.values()) == pytest.approx(fit.loss_, rel=1e-12)
    mean_square = (fit.jacobian_norm(DIGITS) ** 2).mean()
    assert fit.loss_terms_["contraction"] == pytest.approx(
        fit.contraction_weight_ * mean_square, rel=1e-10
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": "relu"}, "activation='relu'.*logistic"),
        ({"activation": "identity"}, "activation='identity'.*alpha"),
        ({"contraction_weight": -1}, "'contraction_weight' parameter"),
        ({"contraction_weight": "auto"}, "'contraction_weight' parameter"),
    ],
)
def test_refuses(parameters, message):
    with pytest.raises(ValueError, match=message):
        ContractiveAutoencoder(4, **parameters).fit(DIGITS)
