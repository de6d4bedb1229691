"""Files that earlier versions have saved load, and compute what they did."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from files.write import compute
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning

import skae

FILES = Path(__file__).resolve().parent / "files"
EXPECTED = sorted(FILES.glob("*/expected.npz"))
SAVED = sorted(
    path for kind in ("pickle", "skops") for path in FILES.glob(f"*/*.{kind}")
)
PUBLIC = {getattr(skae, name) for name in skae.__all__}
PUBLIC = {kind for kind in PUBLIC if hasattr(kind, "fit")}


def load(path):
    """The estimator in a file; it warns if another version saved it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        if path.suffix == ".pickle":
            model = pickle.loads(path.read_bytes())
        else:
            io = pytest.importorskip("skops.io")
            names = io.get_untrusted_types(file=path)
            assert set(names) <= {f"{c.__module__}.{c.__name__}" for c in PUBLIC}
            model = io.load(path, trusted=names)
    said = any("saved by skae" in str(warning.message) for warning in caught)
    assert said == (path.parent.name != skae.__version__)
    return model


def name(path):
    return str(path.relative_to(FILES))


@pytest.mark.parametrize("path", SAVED, ids=name)
def test_a_file_loads_and_computes_what_it_did(path):
    model = load(path)
    expected = np.load(path.parent / "expected.npz")
    # Codes that are searched for are as near as the search goes.
    tolerance = 1e-4 if isinstance(model, skae.SparseCoding) else 1e-6
    methods = [key for key in expected if key.startswith(f"{path.stem}.")]
    assert methods
    for key in methods:
        found = compute(model, key.partition(".")[2], expected["X"])
        assert found.shape == expected[key].shape
        if found.dtype.kind == "f":
            np.testing.assert_allclose(
                found, expected[key], rtol=tolerance, atol=tolerance
            )
        else:
            assert (found == expected[key]).all()
    assert repr(clone(model)) == repr(model)


@pytest.mark.parametrize("path", EXPECTED, ids=name)
def test_every_estimator_has_its_files(path):
    kinds = {"pickle": set(), "skops": set()}
    for file in path.parent.glob("*.*"):
        if file.suffix[1:] in kinds:
            kinds[file.suffix[1:]].add(file.stem)
    names = {key.partition(".")[0] for key in np.load(path)} - {"X"}
    assert kinds == {"pickle": names, "skops": names}
    if path.parent.name == skae.__version__:
        loaded = {type(load(path.with_name(f"{n}.pickle"))) for n in names}
        assert loaded == PUBLIC, "enter new estimators in tests/files/write.py, run it"


def test_there_are_files():
    assert EXPECTED and len(SAVED) >= 2 * len(PUBLIC)
