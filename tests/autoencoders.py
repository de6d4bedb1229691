"""Small autoencoders trained on batches, and what is compared of two of them."""

import pytest
from sklearn.datasets import load_digits

from skae import ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder

X = load_digits().data[:600] / 16
FITTED = [
    "components_",
    "intercept_hidden_",
    "decoder_components_",
    "intercept_visible_",
    "mean_activation_",
    "loss_curve_",
]
KINDS = [SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
each_solver = pytest.mark.parametrize("solver", ["lbfgs", "adam"])


def autoencoder(kind=SparseAutoencoder, **params):
    defaults = {"n_components": 8, "solver": "adam", "max_iter": 5, "batch_size": 50}
    return kind(**{**defaults, "random_state": 0, **params})


def assert_same_bits(one, other, names=FITTED):
    for name in names:
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


def loss_of_means(data):
    return 0.5 * data.var(axis=0).sum()
