"""Estimators say which version saved them, and warn where another one loads them."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning

import skae
from skae.export import versions

PUBLIC = [getattr(skae, name) for name in skae.__all__]
ESTIMATORS = [kind for kind in PUBLIC if hasattr(kind, "fit")]
each = pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)


@each
def test_another_version_warns(kind, monkeypatch):
    saved = pickle.dumps(kind())
    monkeypatch.setattr(versions, "__version__", "1000.0")
    with pytest.warns(InconsistentVersionWarning, match=kind.__name__) as caught:
        loaded = pickle.loads(saved)
    assert repr(loaded) == repr(kind())
    (warning,) = caught
    assert warning.filename == __file__  # the line that loads
    message = str(warning.message)
    assert skae.__version__ in message and "1000.0" in message
    assert warning.message.original_skae_version == skae.__version__
    assert warning.message.current_skae_version == "1000.0"


def test_a_file_without_a_version_is_an_old_one():
    model = skae.SparseAutoencoder(3)
    state = {k: v for k, v in model.__getstate__().items() if k != "_skae_version"}
    with pytest.warns(InconsistentVersionWarning, match=r"skae 0\.1\.0 or earlier"):
        model.__setstate__(state)


@each
@pytest.mark.parametrize(
    "round_trip",
    [
        lambda model: pickle.loads(pickle.dumps(model)),
        copy.copy,
        copy.deepcopy,
        clone,
    ],
    ids=["pickle", "copy", "deepcopy", "clone"],
)
def test_the_same_version_is_silent_and_leaves_no_trace(kind, round_trip):
    model = kind()
    before = dict(vars(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = round_trip(model)
    assert vars(loaded).keys() == vars(model).keys() == before.keys()


def test_joblib_points_at_the_users_line(monkeypatch):
    file = io.BytesIO()
    joblib.dump(skae.SparseAutoencoder(2), file)
    monkeypatch.setattr(versions, "__version__", "1000.0")
    file.seek(0)
    with pytest.warns(InconsistentVersionWarning) as caught:
        joblib.load(file)
    assert caught[0].filename == __file__


def test_a_state_can_be_used_twice():
    X = np.random.default_rng(0).uniform(size=(20, 3))
    state = skae.SparseAutoencoder(2, tol=0.5).fit(X).__getstate__()
    for _ in range(2):
        model = skae.SparseAutoencoder()
        model.__setstate__(state)
        assert model.transform(X).shape == (20, 2)


def test_parameters_that_an_old_file_lacks_take_their_defaults():
    state = skae.SparseAutoencoder(3, tol=0.5).__getstate__()
    del state["_skae_version"], state["scale_codes"]
    model = skae.SparseAutoencoder.__new__(skae.SparseAutoencoder)
    with pytest.warns(InconsistentVersionWarning):
        model.__setstate__(state)
    assert model.get_params() == skae.SparseAutoencoder(3, tol=0.5).get_params()
