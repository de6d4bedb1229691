"""An evaluation on a cluster is that of the threads: bit by bit, or to rounding."""

from contextlib import contextmanager
from dataclasses import replace

import networks
import numpy as np
import pytest
from compare import assert_same_bits
from dask_data import KillOnce, blocks_of, cluster
from objectives import CASES, Case, D, is_noisy

from skae.core.autoencoder import AutoencoderObjective
from skae.engines.threads import ThreadEngine

pytest.importorskip("dask.distributed")

import dask
import dask.array as da

from skae.engines.dask import DaskEngine
from skae.rows import dask_tasks as dask_runners
from skae.rows.dask import Blocks, prepare_block

N = 203
KL = Case("logistic", "identity", "squared_error", "kl", tied=False, weighted=True)
PLAIN = Case("relu", "logistic", "squared_error", "none", tied=False, weighted=False)
EXTRAS = ("l1", "contraction", "masking kl", "gaussian", "salt_and_pepper emphasis")
ONE_OF_A_KIND = [
    case
    for case in CASES
    if case[:3] == ("logistic", "identity", "squared_error")
    and case.extra in (*EXTRAS, "custom")
    and case.weighted
    and not case.tied
]
UNEVEN = (1, 150, 0, 2, 50)


@pytest.fixture(scope="module")
def processes():
    with cluster(processes=True) as client:
        yield client


@pytest.fixture
def client(threads):
    with threads.as_current():
        yield threads


@pytest.fixture(params=["threads", "processes"])
def either_client(request):
    client = request.getfixturevalue(request.param)
    with client.as_current():
        yield client


@contextmanager
def own_cluster(**options):
    """One that a test may spoil."""
    with cluster(**options) as client, client.as_current():
        yield client


def data(case, dtype=np.float64):
    rng = np.random.default_rng(0)
    objective = case.objective(dtype)
    X = rng.uniform(0.1, 0.9, (N, D)).astype(dtype)
    s = rng.uniform(0.5, 2, N).astype(dtype) if case.weighted else None
    theta = (0.5 * rng.standard_normal(objective.layout.size)).astype(dtype)
    return objective, X, s, theta


def on_threads(objective, X, s, theta, targets=None, draw=0, **options):
    with ThreadEngine(objective, X, s, targets=targets, **options) as evaluate:
        evaluate.draw = draw
        loss, gradient, terms = evaluate(theta)
        return loss, gradient.copy(), terms


def on_dask(objective, blocks, theta, draw=0, **options):
    with DaskEngine(objective, blocks, **options) as evaluate:
        evaluate.draw = draw
        return evaluate(theta)


def assert_close(one, other, rel=1e-12):
    assert one[0] == pytest.approx(other[0], rel=rel)
    assert one[2] == pytest.approx(other[2], rel=rel)
    assert np.linalg.norm(one[1] - other[1]) < rel * np.linalg.norm(other[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", [KL, PLAIN], ids=str)
def test_processes_give_the_same_bits(either_client, case, dtype):
    objective, X, s, theta = data(case, dtype)
    expected = on_threads(objective, X, s, theta, rows=41)
    assert_same_bits(on_dask(objective, blocks_of(X, 41, s), theta, rows=41), expected)


@pytest.mark.parametrize("case", ONE_OF_A_KIND, ids=str)
def test_blocks_cut_alike_give_the_same_bits(client, case):
    objective, X, s, theta = data(case)
    blocks = blocks_of(X, 41, s)
    for draw in (0, 3):
        expected = on_threads(objective, X, s, theta, draw=draw, rows=41)
        assert_same_bits(on_dask(objective, blocks, theta, draw, rows=41), expected)


@pytest.mark.parametrize("case", [KL, PLAIN], ids=str)
def test_other_chunks_are_rounding_only(client, case):
    objective, X, s, theta = data(case)
    expected = on_threads(objective, X, s, theta)
    for rows in (UNEVEN, 20):  # of which the latter are more than one sum adds
        assert_close(on_dask(objective, blocks_of(X, rows, s), theta), expected)


@pytest.mark.parametrize("case", networks.CASES[::97], ids=str)
def test_networks_with_targets(client, case):
    objective, X, T, s, theta = case.draw(n=N)
    expected = on_threads(objective, X, s, theta, targets=T, rows=50)
    blocks = blocks_of(X, 50, s, T)
    assert_same_bits(on_dask(objective, blocks, theta, rows=50), expected)


@pytest.mark.parametrize(
    "case", [case for case in ONE_OF_A_KIND if is_noisy(case)], ids=str
)
def test_noise_is_that_of_the_row_however_rows_are_cut(client, case):
    """One row is changed, so that other noise on it would show in full."""
    objective, X, s, theta = data(case)
    X[150] *= 1000
    expected = on_threads(objective, X, s, theta, draw=2)
    assert_close(on_dask(objective, blocks_of(X, UNEVEN, s), theta, 2), expected)
    moved = on_threads(objective, np.roll(X, 1, axis=0), s, theta, draw=2)
    assert abs(moved[0] - expected[0]) > 1e-9 * abs(expected[0])


def test_adding_up_here_or_on_workers_gives_the_same_bits(either_client, monkeypatch):
    objective, X, s, theta = data(KL)
    blocks = blocks_of(X, 12, s)  # more than one sum adds
    here = on_dask(objective, blocks, theta)
    monkeypatch.setattr("skae.engines.dask._BYTES_ADDED_HERE", 0)
    assert_same_bits(on_dask(objective, blocks, theta), here)


@pytest.mark.parametrize("keep", [True, False])
def test_the_mean_code_in_a_graph_of_its_own_gives_the_same_bits(
    either_client, monkeypatch, keep
):
    objective, X, s, theta = data(KL)
    blocks = blocks_of(X, 12, s)
    together = on_dask(objective, blocks, theta, keep_codes=keep)
    monkeypatch.setattr("skae.engines.dask._BLOCKS_IN_A_GRAPH", 0)
    assert_same_bits(on_dask(objective, blocks, theta, keep_codes=keep), together)


@pytest.mark.parametrize("pattern", ["01", "0011101", "0", "00000001"])
def test_who_adds_changes_no_bit(client, monkeypatch, pattern):
    objective, X, s, theta = data(KL)
    blocks = blocks_of(X, 12, s)
    expected = on_dask(objective, blocks, theta)
    workers = list(client.nthreads())
    places = [workers[int(at)] for at in 17 * pattern][: len(blocks.tasks)]
    monkeypatch.setattr("skae.engines.dask._BYTES_ADDED_HERE", 0)
    monkeypatch.setattr(dask_runners.ClientRunner, "places", lambda *_: places)
    assert_same_bits(on_dask(objective, blocks, theta), expected)


class Ledger:
    """Runs nothing: tasks are pairs of a place and what was brought there."""

    def __init__(self):
        self.moved = 0

    def map(self, function, *columns, places):
        (place,), operands = places, [task for (task,) in columns]
        self.moved += sum(at != place for at, _ in operands)
        return [(place, sum((blocks for _, blocks in operands), ()))]


@pytest.mark.parametrize(
    ("places", "moved"),
    [
        ("aaaabbbb", 1),  # sums that leave their worker, without the last one
        ("aaaaaaaabbbbbbbb", 1),
        ("aaaabbbbccccdddd", 3),
        ("aaaaabbbbbccccc", 3),
        ("abcdefgh", 7),
        ("abababab", 4),
        ("aabababb", 3),
    ],
)
def test_sums_of_one_worker_are_added_there(places, moved):
    run = Ledger()
    engine = DaskEngine.__new__(DaskEngine)
    engine._run = run
    tasks = [(place, (block,)) for block, place in enumerate(places)]
    n_blocks = len(tasks)
    while len(tasks) > 1:
        tasks, places = engine._next_level(None, tasks, list(places))
    assert tasks[0][1] == tuple(range(n_blocks))  # in their order
    assert run.moved == moved


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_parameters_by_the_scheduler_or_handed_on_are_the_same_bits(
    client, monkeypatch, workers
):
    objective, X, s, theta = data(KL)
    blocks = blocks_of(X, 50, s)
    expected = on_threads(objective, X, s, theta, rows=50)
    monkeypatch.setattr(dask_runners, "_SENT_BY_SCHEDULER", workers)
    assert_same_bits(on_dask(objective, blocks, theta, rows=50), expected)


def test_chunks_that_follow_each_other_are_computed_on_one_worker(client):
    _, X, s, _ = data(KL)
    blocks = blocks_of(X, 26, s)
    places = blocks.run.places(blocks.tasks)
    assert places == sorted(places, key=places.index)
    assert len(places) == 8 and {places.count(at) for at in places} == {4}


def chunks_of(X):
    prepare = dask.delayed(prepare_block, pure=False)
    parts = X.to_delayed().ravel()
    return [prepare(part, None, None, X.dtype, None) for part in parts]


def test_chunks_that_are_held_stay_where_they_are(client):
    workers = 4 * list(client.nthreads())
    parts = [client.submit(np.ones, (5, D), workers=at, pure=False) for at in workers]
    X = da.concatenate([da.from_delayed(part, (5, D), float) for part in parts])
    blocks = Blocks.compute(chunks_of(X), False, [X])
    assert blocks.run.places(blocks.tasks) == workers


def test_chunks_are_left_to_dask_if_they_share_or_are_told_where(client):
    X = da.random.random((20, D), chunks=(5, D))
    assert dask_runners._may_move(chunks_of(X + 1), [X])
    assert not dask_runners._may_move(chunks_of(X - X.mean(axis=0)), [X])
    with dask.annotate(workers=list(client.nthreads())[:1]):
        chunks = chunks_of(X)
    assert not dask_runners._may_move(chunks, [X])


def test_codes_kept_or_encoded_twice_are_the_same_bits(client):
    objective, X, s, theta = data(KL)
    blocks = blocks_of(X, 50, s)
    kept = on_dask(objective, blocks, theta, keep_codes=True)
    assert_same_bits(on_dask(objective, blocks, theta, keep_codes=False), kept)


def test_parameters_scattered_or_in_the_graph_are_the_same_bits(
    either_client, monkeypatch
):
    objective, X, s, theta = data(KL)
    blocks = blocks_of(X, 50, s)
    in_graph = on_dask(objective, blocks, theta)
    monkeypatch.setattr(dask_runners, "_BYTES_IN_A_GRAPH", 0)
    assert_same_bits(on_dask(objective, blocks, theta), in_graph)


def misaligned(array):
    """A copy whose numbers straddle words, as those that came over a network may."""
    buffer = np.empty(array.nbytes + 1, np.uint8)
    copy = buffer[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def misaligned_block(block):
    return *map(misaligned, block[:2]), None


def test_blocks_from_elsewhere_give_the_same_bits(client):
    rng = np.random.default_rng(0)
    objective = AutoencoderObjective(64, 6, loss="squared_error")
    X, s = rng.uniform(size=(N, 64)), rng.uniform(0.5, 2, N)
    theta = 0.1 * rng.standard_normal(objective.layout.size)
    expected = on_threads(objective, X, s, theta, rows=41)
    blocks = blocks_of(misaligned(X), 41, misaligned(s))
    assert_same_bits(on_dask(objective, blocks, theta, rows=41), expected)
    tasks = blocks.run.map(misaligned_block, blocks.tasks)
    moved = replace(blocks, tasks=blocks.run.start(tasks))
    assert_same_bits(on_dask(objective, moved, theta, rows=41), expected)


def test_mean_code_is_that_of_the_threads(client):
    objective, X, s, theta = data(KL)
    with ThreadEngine(objective, X, s) as engine:
        expected = engine.statistics(theta)
    with DaskEngine(objective, blocks_of(X, 50, s)) as engine:
        np.testing.assert_allclose(engine.statistics(theta), expected, rtol=1e-13)


def test_rows_of_weight_zero_are_absent(client):
    objective, X, s, theta = data(KL)
    s[::3] = 0
    s[60:80] = 0  # a whole chunk
    expected = on_threads(objective, X[s > 0], s[s > 0], theta)
    assert_close(on_dask(objective, blocks_of(X, 20, s), theta), expected)


def test_an_evaluation_leaves_the_last_one_alone(either_client):
    """Its gradient is nobody else's, and θ may change afterwards."""
    objective, X, s, theta = data(KL)
    blocks = blocks_of(X, 50, s)
    with DaskEngine(objective, blocks) as evaluate:
        point = theta.copy()
        loss, gradient, terms = evaluate(point)
        first = loss, gradient.copy(), terms
        point *= -3
        evaluate(point)
        gradient += 1
        assert_same_bits(evaluate(theta), first)


def test_overflow_warns_nobody_whom_the_caller_spares(client):
    objective, X, s, theta = data(KL)
    with np.errstate(all="ignore"):
        loss, *_ = on_dask(objective, blocks_of(X, 50, s), 1e200 * theta)
    assert not np.isfinite(loss)


def test_without_a_client_the_local_scheduler_says_so():
    objective, X, s, theta = data(KL)
    with pytest.warns(UserWarning, match=r"No dask\.distributed client .* a cluster"):
        blocks = blocks_of(X, 41, s)
    expected = on_threads(objective, X, s, theta, rows=41)
    assert_same_bits(on_dask(objective, blocks, theta, rows=41), expected)


# -- what goes wrong -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("during", "restart", "scattered"),
    [
        ("_block_sums", True, False),
        ("_code_sums", False, False),
        ("_add_sums", False, False),
        ("_block_sums", False, True),
    ],
    ids=["nanny restart", "plain loss", "while adding up", "scattered parameters"],
)
def test_a_lost_worker_changes_no_bit(
    monkeypatch, tmp_path, during, restart, scattered
):
    objective, X, s, theta = data(KL)
    monkeypatch.setattr("skae.engines.dask._BYTES_ADDED_HERE", 0)
    if scattered:
        monkeypatch.setattr(dask_runners, "_BYTES_IN_A_GRAPH", 0)
    with own_cluster(processes=True) as client:
        blocks = blocks_of(X, 20, s)
        expected = on_dask(objective, blocks, theta)
        options = {"at": 1, "during": during, "restart": restart}
        kill = KillOnce(monkeypatch, tmp_path, client, **options)
        assert_same_bits(on_dask(objective, blocks, theta), expected)
    assert kill.killed


def test_a_closed_client_is_a_clear_error():
    objective, X, s, theta = data(KL)
    with own_cluster() as client:
        with DaskEngine(objective, blocks_of(X, 50, s)) as evaluate:
            evaluate(theta)
            client.close()
            with pytest.raises(RuntimeError, match=r"client was closed.*new Client"):
                evaluate(theta)


def test_cancelled_blocks_are_a_clear_error():
    objective, X, s, theta = data(KL)
    with own_cluster() as client:
        blocks = blocks_of(X, 50, s)
        client.cancel(blocks.tasks[:1], force=True)
        with pytest.raises(RuntimeError, match="were cancelled, or were lost with a"):
            on_dask(objective, blocks, theta)


def test_no_workers_left_is_a_clear_error(monkeypatch):
    objective, X, s, theta = data(KL)
    monkeypatch.setattr(dask_runners, "_SECONDS_BETWEEN_LOOKS", 0.1)
    monkeypatch.setattr(dask_runners, "_SECONDS_WITHOUT_WORKERS", 0.3)
    with own_cluster() as client:
        blocks = blocks_of(X, 50, s)
        client.cluster.scale(0)
        with pytest.raises(RuntimeError, match=r"no workers for 0\.3 s; start workers"):
            on_dask(objective, blocks, theta)


def test_other_versions_on_workers_are_a_clear_error(monkeypatch):
    _, X, s, _ = data(KL)
    with own_cluster() as client:
        versions = client.get_versions

        def other():
            found = versions()
            for worker in found["workers"].values():
                worker["packages"] = {**worker["packages"], "numpy": "1.26.4"}
            return found

        monkeypatch.setattr(client, "get_versions", other)
        with pytest.raises(RuntimeError, match=r"'numpy': '1\.26'.*install the same"):
            blocks_of(X, 50, s)


def test_workers_without_skae_are_a_clear_error(monkeypatch):
    _, X, s, _ = data(KL)
    with own_cluster() as client:
        # What it sends to the workers returns None where skae cannot be imported.
        monkeypatch.setattr(client, "run", lambda own: dict.fromkeys(client.nthreads()))
        with pytest.raises(RuntimeError, match=r"'skae': None.*pip install"):
            blocks_of(X, 50, s)


def test_an_asynchronous_client_is_a_clear_error(monkeypatch):
    with own_cluster() as client:
        monkeypatch.setattr(type(client), "asynchronous", True)
        with pytest.raises(ValueError, match="asynchronous=False"):
            dask_runners.ClientRunner(client)
        monkeypatch.undo()  # or it could not be closed
