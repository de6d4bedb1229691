"""A fit that fails leaves what an earlier one has learnt, whole."""

import pickle

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
from skae.engines.threads import ThreadEngine
from skae.training import dictionary

pytestmark = pytest.mark.filterwarnings(
    "ignore:Training stopped", "ignore:Fine-tuning stopped"
)

X, Y = load_iris(return_X_y=True)
OTHER = np.concatenate([X, 100 * X], axis=1)  # other features, another scale
MODELS = {
    "sparse": SparseAutoencoder(3),
    "denoising": DenoisingAutoencoder(3),
    "contractive": ContractiveAutoencoder(3),
    "deep": StackedAutoencoder(3),
    "classifier": StackedAutoencoderClassifier(3),
    "regressor": StackedAutoencoderRegressor(3),
    "coding": SparseCoding(3),
}


def bits(model):
    """Of all attributes, whatever they are."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


def break_training(monkeypatch, error):
    """Make training fail at its third evaluation, or round."""
    calls = []

    def failing(original):
        def call(*args):
            calls.append(1)
            if len(calls) == 3:
                raise error
            return original(*args)

        return call

    monkeypatch.setattr(ThreadEngine, "__call__", failing(ThreadEngine.__call__))
    improve = failing(dictionary.improve)
    monkeypatch.setattr(dictionary, "improve", improve)


@pytest.mark.parametrize("name", MODELS)
def test_a_refit_that_fails_leaves_no_trace(name, monkeypatch):
    model = MODELS[name].set_params(max_iter=20, random_state=0)
    model.fit(X, Y)
    before, score = bits(model), model.score(X, Y)
    with monkeypatch.context() as patch:
        break_training(patch, MemoryError("in the third evaluation"))
        with pytest.raises(MemoryError):
            model.fit(OTHER, Y)
    assert bits(model) == before
    assert model.score(X, Y) == score
    with pytest.raises(ValueError, match="infinity"):
        model.fit(np.where(OTHER > 5, np.inf, OTHER), Y)
    assert bits(model) == before


@pytest.mark.parametrize("name", MODELS)
def test_a_first_fit_that_fails_leaves_an_unfitted_estimator(name, monkeypatch):
    model = type(MODELS[name])(3, max_iter=20, random_state=0)
    before = bits(model)
    break_training(monkeypatch, MemoryError("in the third evaluation"))
    with pytest.raises(MemoryError):
        model.fit(X, Y)
    assert bits(model) == before


@pytest.mark.parametrize("name", ["sparse", "coding"])
def test_a_piece_that_fails_leaves_no_trace(name):
    model = type(MODELS[name])(3, random_state=0)
    if name == "sparse":
        model.set_params(solver="adam")
    model.partial_fit(X)
    before = bits(model)
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(OTHER)
    with pytest.raises(ValueError, match="scale X"):
        model.partial_fit(1e200 * X)
    assert bits(model) == before
