"""Memory maps: what an array of the same numbers gives, in little memory."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from covering import every_pair
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
)
from skae.rows import memory_map

N, D = 700, 11
ROWS = np.random.default_rng(0).uniform(size=(N, D))
LABELS = (ROWS[:, 0] > 0.5).astype(int)
WEIGHTS = np.where(np.arange(N) % 3, 1.5, 0.0)
SHORT = {"max_iter": 4, "tol": 0.5, "random_state": 0}
MODELS = {
    "sparse": SparseAutoencoder(5, **SHORT),
    "contractive": ContractiveAutoencoder(5, early_stopping=True, **SHORT),
    "denoising": DenoisingAutoencoder(
        5, corruption="salt_and_pepper", output_activation="logistic", **SHORT
    ),
    "adam": SparseAutoencoder(5, solver="adam", early_stopping=True, **SHORT),
    "coding": SparseCoding(5, max_iter=2, tol=1e3, batch_size=50, random_state=0),
    "stack": StackedAutoencoder((5, 3), early_stopping=True, **SHORT),
    "classifier": StackedAutoencoderClassifier(5, **SHORT),
}
pytestmark = [
    pytest.mark.filterwarnings("ignore:Training stopped:UserWarning"),
]


@pytest.fixture(autouse=True)
def every_map_is_large(monkeypatch):
    monkeypatch.setattr(memory_map, "LARGE", 0)


@pytest.fixture
def mapped(tmp_path):
    """``mapped(rows, mode)``: a map of a file with these rows."""

    def make(rows, mode="r", order="C"):
        path = tmp_path / "rows"
        np.asarray(rows, order=order).ravel("K").tofile(path)
        return np.memmap(path, rows.dtype, mode, shape=rows.shape, order=order)

    return make


@every_pair(
    name=list(MODELS),
    mode=["r", "r+", "c"],
    dtype=[np.float32, np.float64],
    weights=[None, WEIGHTS],
)
def test_a_map_gives_the_bits_of_an_array(name, dtype, mode, weights, mapped):
    rows = ROWS.astype(dtype)
    X, y = mapped(rows, mode), LABELS if name == "classifier" else None
    of_array = clone(MODELS[name]).fit(rows, y, sample_weight=weights)
    of_map = clone(MODELS[name]).fit(X, y, sample_weight=weights)
    for method in ("transform", "predict", "score_samples"):
        if hasattr(of_map, method):
            found, expected = (
                getattr(of_map, method)(X),
                getattr(of_array, method)(rows),
            )
            assert type(found) is np.ndarray
            assert_array_equal(found, expected)
    assert_array_equal(X, rows)


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_what_was_written_to_a_map_stays(mode, mapped):
    X = mapped(np.zeros((N, D)), mode)
    X[:] = ROWS  # not flushed to the file, and with mode "c" never
    model = SparseAutoencoder(5, early_stopping=True, **SHORT)
    expected = clone(model).fit(ROWS).score(ROWS)
    assert model.fit(X).score(X) == expected
    assert_array_equal(X, ROWS)


def test_views_of_a_map(mapped):
    X = mapped(ROWS)
    model = SparseAutoencoder(5, **SHORT).fit(np.asarray(X)[100:600])
    expected = clone(model).fit(ROWS[100:600])
    assert_array_equal(model.components_, expected.components_)


def test_no_map():
    """Neither an array nor what was computed from a map is one."""
    assert not memory_map.is_large_map(ROWS)
    assert not memory_map.is_large_map(ROWS.tolist())
    memory_map.Release(ROWS)(ROWS[:10])


def test_what_is_computed_from_a_map_is_none(mapped):
    X = mapped(ROWS)
    assert memory_map.is_large_map(X[3:5]) and memory_map.is_large_map(X.T)
    assert not memory_map.is_large_map(X + 1)
    assert not memory_map.is_large_map(X[[3, 5]])


@pytest.mark.parametrize("wrong", ["int", "columns", "fortran"])
def test_maps_that_would_have_to_be_copied(wrong, mapped):
    if wrong == "int":
        X, message = mapped((9 * ROWS).astype(np.uint8)), "GB in uint8"
    elif wrong == "columns":
        X, message = mapped(ROWS)[:, :4], "not C-contiguous"
    else:
        X, message = mapped(ROWS, order="F"), "not C-contiguous"
    for model in (MODELS["sparse"], MODELS["stack"], MODELS["coding"]):
        with pytest.raises(ValueError, match=rf"(?s){message}.*open_memmap.*np\.array"):
            clone(model).fit(X)


@pytest.mark.parametrize("columns", [8, 2**14, 2**16])
def test_rows_read_here_and_there_are_given_back_in_time(columns, mapped, monkeypatch):
    """At the latest when a fixed size is mapped, 64 KB or more with every row."""
    given_back = []
    monkeypatch.setattr(
        memory_map.Release, "__call__", lambda release, rows: given_back.append(rows)
    )
    monkeypatch.setattr(memory_map, "_GATHERED", 2**20)
    release = memory_map.Release(mapped(np.zeros((8, columns))))
    most = 2**20 // max(2**16, 8 * columns)
    for n_read in range(1, 4 * most + 1):
        release.after_gathering(1)
        assert len(given_back) == n_read // most


@pytest.mark.parametrize("of_row", [2**16, 3 * 2**19, 2**21])
def test_what_a_row_maps_is_measured(of_row, mapped, monkeypatch):
    """With a kernel that maps so much for each row read: never over the fixed size."""
    take, resident, peak = np.take, [0], [0]

    def fault(X, index, **options):
        resident[0] += len(index) * of_row
        peak.append(resident[0])
        return take(X, index, **options)

    def give_back(release, rows):
        resident[0] = 0

    monkeypatch.setattr(memory_map, "_mapped", lambda: resident[0])
    monkeypatch.setattr(memory_map.Release, "__call__", give_back)
    monkeypatch.setattr(np, "take", fault)
    rows = np.random.default_rng(0).random((3000, 4))
    release = memory_map.Release(mapped(rows))
    for _ in range(3):
        index = np.random.default_rng(1).permutation(3000)
        np.testing.assert_array_equal(
            release.take(index, np.empty_like(rows)), rows[index]
        )
    # One piece more may be mapped before it is known.
    assert max(peak) <= 1.5 * memory_map._GATHERED


def test_small_maps_are_converted(mapped, monkeypatch):
    monkeypatch.setattr(memory_map, "LARGE", 2**28)
    rows = (9 * ROWS).astype(np.uint8)
    found = clone(MODELS["sparse"]).fit(mapped(rows))
    expected = clone(MODELS["sparse"]).fit(rows)
    assert_array_equal(found.components_, expected.components_)


@pytest.mark.parametrize("mode", ["r", "c"])
def test_what_is_not_fit_for_fit_can_be_transformed(mode, mapped):
    model = clone(MODELS["sparse"]).fit(ROWS)
    X = mapped(ROWS, mode, order="F")
    np.testing.assert_allclose(model.transform(X), model.transform(ROWS), rtol=1e-12)
    part = model.score_samples(mapped(ROWS)[::7])
    np.testing.assert_allclose(part, model.score_samples(ROWS[::7]), rtol=1e-12)


def test_not_finite(mapped):
    rows = ROWS.copy()
    rows[600, 3] = np.inf
    model = clone(MODELS["sparse"]).fit(ROWS)
    for method in (model.fit, model.transform, model.score_samples):
        with pytest.raises(ValueError, match="X contains infinity"):
            method(mapped(rows))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_map_larger_than_the_memory_that_is_used(tmp_path):
    """Of 80 MB, in a process of its own: what is resident grows by far less."""
    script = """
        import sys, warnings
        import numpy as np
        from skae import SparseAutoencoder, SparseCoding
        from skae.rows import memory_map
        warnings.simplefilter("ignore")
        # A quarter of what they are, so that a file of that size will do.
        memory_map.LARGE, memory_map._GATHERED = 2**26, 2**24

        def peak():
            with open("/proc/self/status") as status:
                (line,) = (line for line in status if line.startswith("VmHWM"))
            return int(line.split()[1]) / 1024

        shape = 20_000, 1000
        rng = np.random.default_rng(0)
        with open(sys.argv[1], "wb") as file:  # a sparse one
            for row in range(0, shape[0], 100):
                file.seek(row * shape[1] * 4)
                file.write(rng.random(shape[1], np.float32).tobytes())
            file.truncate(shape[0] * shape[1] * 4)
        X = np.memmap(sys.argv[1], np.float32, "r", shape=shape)
        weights = np.ones(shape[0])
        weights[::10] = 0
        SHORT = {"max_iter": 1, "random_state": 0}
        few = np.random.default_rng(0).random((500, 1000), np.float32)
        SparseAutoencoder(4, **SHORT).fit(few)
        before = peak()
        for options in ({"output_activation": "logistic"}, {"solver": "adam"}):
            model = SparseAutoencoder(4, early_stopping=True, **options, **SHORT)
            model.fit(X, sample_weight=weights)
        model.transform(X), model.score_samples(X), model.score(X)
        SparseCoding(4, code_max_iter=1, **{**SHORT, "max_iter": 5}).fit(X)
        model = SparseCoding(4, code_max_iter=1, batch_size=None, **SHORT)
        model.fit(X, sample_weight=weights)
        print(peak() - before)
    """
    code = textwrap.dedent(script)
    command = [sys.executable, "-c", code, str(tmp_path / "rows")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(run.stdout) < 40


def test_unlabelled_rows_meet_the_checks_of_X(mapped):
    """They are neither copied whole nor taken with other columns."""
    X, y = load_iris(return_X_y=True)
    model = StackedAutoencoderClassifier(5, **SHORT)
    with pytest.raises(ValueError, match=r"X_unlabeled is a memory map.*float16"):
        model.fit(X, y, X_unlabeled=mapped(X.astype(np.float16)))
    with pytest.raises(ValueError, match=r"X_unlabeled is a memory map.*C-contiguous"):
        model.fit(X, y, X_unlabeled=mapped(X, order="F"))
    spoilt = X.copy()
    spoilt[7, 2] = np.inf
    with pytest.raises(ValueError, match="X_unlabeled contains infinity"):
        model.fit(X, y, X_unlabeled=mapped(spoilt))
    rows = mapped(X[::2])
    fitted, plain = (model.fit(X, y, X_unlabeled=m).coefs_ for m in (rows, X[::2]))
    for one, other in zip(fitted, plain, strict=True):
        np.testing.assert_array_equal(one, other)
