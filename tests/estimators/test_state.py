"""What a fitted estimator consists of: arrays, numbers, strings, and public classes."""

import io
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris

import skae
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

pytestmark = pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped")

X, Y = load_iris(return_X_y=True)
SHORT = {"max_iter": 3, "random_state": 0}
FITTED = {
    "sparse": lambda: SparseAutoencoder(3, **SHORT).fit(X),
    "adam": lambda: SparseAutoencoder(3, solver="adam", **SHORT).fit(X),
    "pieces": lambda: SparseAutoencoder(3, solver="adam").partial_fit(X),
    "denoising": lambda: DenoisingAutoencoder(3, early_stopping=True, **SHORT).fit(X),
    "contractive": lambda: ContractiveAutoencoder(3, **SHORT).fit(X),
    "coding": lambda: SparseCoding(topography=(3, 3), **SHORT).fit(X),
    "coding pieces": lambda: SparseCoding(5).partial_fit(X),
    "top k": lambda: TopKAutoencoder(6, 2, **SHORT).fit(X),
    "top k pieces": lambda: TopKAutoencoder(6, 2, random_state=0).partial_fit(X),
    "deep": lambda: StackedAutoencoder((4, 2), **SHORT).fit(X),
    "classifier": lambda: StackedAutoencoderClassifier(
        (4, 3), autoencoder="sparse", solver="adam", **SHORT
    ).fit(X, Y),
    "regressor": lambda: StackedAutoencoderRegressor(4, **SHORT).fit(X, Y),
}


def names_in(model):
    """Every class and function that has to be imported to load a pickle of it."""
    found = set()

    class Recorder(pickle.Unpickler):
        def find_class(self, module, name):
            found.add((module, name))
            return super().find_class(module, name)

    Recorder(io.BytesIO(pickle.dumps(model))).load()
    return found


@pytest.mark.parametrize("name", FITTED)
def test_a_pickle_names_nothing_private_of_ours(name):
    ours = {pair for pair in names_in(FITTED[name]()) if pair[0].startswith("skae")}
    assert ours, "the estimator itself is one of ours"
    for module, found in ours:
        public = getattr(skae, found, None)
        assert public is not None, f"{module}.{found} would have to be trusted by name"
        assert public.__module__ == module


def test_adams_averages_are_kept_for_the_next_piece_only():
    """They are three times as large as the weights."""

    def size(model):
        return len(pickle.dumps(model))

    wide = np.random.default_rng(0).uniform(size=(50, 200))
    fitted = SparseAutoencoder(50, solver="adam", **SHORT).fit(wide)
    weights = fitted.components_.nbytes + fitted.decoder_components_.nbytes
    assert size(fitted) < 1.2 * weights
    assert size(fitted.partial_fit(wide)) > 2.9 * weights
    assert size(fitted.fit(wide)) < 1.2 * weights
