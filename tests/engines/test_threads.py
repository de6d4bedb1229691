"""Blocks in threads: the same bits, nothing left behind."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse
from compare import assert_same_bits
from covering import every_pair
from networks import NetworkCase
from objectives import CASES, ONE_OUTPUT, Case, D, K, is_noisy
from threadpoolctl import threadpool_info, threadpool_limits

from skae.core.sparse_autoencoder import sparse_objective
from skae.engines.blas import single_threaded_blas
from skae.engines.threads import ThreadEngine
from skae.rows.lengths import block_rows
from skae.rows.sparse import sparse_multiplications

KL = Case("logistic", "identity", "squared_error", "kl", tied=False, weighted=True)
PLAIN = Case("relu", "logistic", "squared_error", "none", tied=False, weighted=False)
N = 203


def data(case, dtype=np.float64, n=N):
    rng = np.random.default_rng(0)
    objective = case.objective(dtype)
    X = rng.uniform(0.1, 0.9, (n, D)).astype(dtype)
    s = rng.uniform(0.5, 2, n).astype(dtype) if case.weighted else None
    theta = (0.5 * rng.standard_normal(objective.layout.size)).astype(dtype)
    return objective, X, s, theta


def run(objective, X, s, theta, **options):
    """Loss, gradient and terms, copied."""
    with ThreadEngine(objective, X, s, **options) as evaluate:
        loss, gradient, terms = evaluate(theta)
        return loss, gradient.copy(), terms


def blas_threads():
    return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]


def engine_threads():
    return [t for t in threading.enumerate() if t.name.startswith("skae-block")]


@pytest.fixture(autouse=True)
def nothing_left_behind():
    before = blas_threads()
    yield
    assert engine_threads() == []
    assert blas_threads() == before


@every_pair(rows=[1, 7, 64, N, None], case=[KL, PLAIN], dtype=[np.float32, np.float64])
def test_number_of_threads_changes_no_bit(case, rows, dtype):
    problem = data(case, dtype)
    alone = run(*problem, rows=rows, n_threads=1)
    for n_threads in (2, 3):
        for _ in range(3):  # who comes first must not matter
            assert_same_bits(alone, run(*problem, rows=rows, n_threads=n_threads))


@every_pair(case=ONE_OUTPUT)
def test_size_of_blocks_is_rounding_only(case):
    objective, X, s, theta = data(case)
    whole = run(objective, X, s, theta, rows=N)
    for rows in (1, 10, 101):
        loss, gradient, terms = run(objective, X, s, theta, rows=rows)
        assert loss == pytest.approx(whole[0], rel=1e-12)
        assert terms == pytest.approx(whole[2], rel=1e-12)
        distance = np.linalg.norm(gradient - whole[1])
        assert distance < 1e-12 * np.linalg.norm(whole[1])


def test_codes_are_kept_as_far_as_memory_goes():
    objective, X, s, _ = data(KL)

    def kept(memory):
        engine = ThreadEngine(objective, X, s, rows=51, code_memory=memory)
        return [codes.nbytes for codes in engine._codes if codes is not None]

    every = kept(2**30)
    assert len(every) == 4 and sum(every) >= N * K * 8
    assert kept(sum(every)) == every
    assert kept(sum(every) - 1) == every[:3]
    assert kept(every[0]) == every[:1] and kept(0) == []


@pytest.mark.parametrize("n_threads", [1, 2])
def test_codes_kept_or_encoded_twice_are_the_same_bits(n_threads):
    objective, X, s, theta = data(KL)
    rows = 50
    of_one_block = (K + 1) * rows * X.itemsize
    results = [
        run(objective, X, s, theta, rows=rows, n_threads=n_threads, code_memory=memory)
        for memory in (0, of_one_block, int(2.5 * of_one_block), 10**9)
    ]
    for result in results[1:]:
        assert_same_bits(results[0], result)


@pytest.mark.parametrize("memory", [0, 10**9])
@pytest.mark.parametrize("case", [KL, PLAIN], ids=str)
def test_an_evaluation_leaves_no_trace_in_the_next(case, memory):
    objective, X, s, theta = data(case)
    with ThreadEngine(objective, X, s, rows=50, code_memory=memory) as evaluate:
        loss, gradient, terms = evaluate(theta)
        first = loss, gradient.copy(), terms
        elsewhere = evaluate(-3 * theta)
        options = {"rows": 50, "code_memory": memory}
        assert_same_bits(elsewhere, run(objective, X, s, -3 * theta, **options))
        assert_same_bits(first, evaluate(theta))


@every_pair(case=ONE_OUTPUT)
def test_float32_stays_float32_and_is_near_float64(case):
    objective, X, s, theta = data(case)
    loss, gradient, _ = run(objective, X, s, theta)
    s32 = None if s is None else s.astype(np.float32)
    single = case.objective(np.float32)
    loss32, gradient32, _ = run(
        single, X.astype(np.float32), s32, theta.astype(np.float32)
    )
    assert gradient32.dtype == np.float32
    assert isinstance(loss32, float)
    assert loss32 == pytest.approx(loss, rel=1e-5)
    assert np.linalg.norm(gradient32 - gradient) < 1e-4 * np.linalg.norm(gradient)


# Repetitions of a row meet noise of their own, which a weight cannot stand for.
@every_pair(case=[case for case in CASES if not case.weighted and not is_noisy(case)])
def test_integer_weights_are_repeated_rows(case):
    objective, X, _, theta = data(case)
    s = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
    repeated = np.repeat(X, s.astype(int), axis=0)
    loss, gradient, terms = run(objective, X, s, theta, rows=40)
    expected = run(objective, repeated, None, theta, rows=40)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    assert terms == pytest.approx(expected[2], rel=1e-12)
    distance = np.linalg.norm(gradient - expected[1])
    assert distance < 1e-12 * np.linalg.norm(expected[1])


def test_mean_code_is_the_weighted_mean_of_the_codes():
    objective, X, s, theta = data(KL)
    with ThreadEngine(objective, X, s, rows=40) as engine:
        mean = engine.statistics(theta)
    p = objective.parameters(theta)
    codes = 1 / (1 + np.exp(-X @ p.encoder.T - p.hidden))
    np.testing.assert_allclose(mean, np.average(codes, axis=0, weights=s), rtol=1e-12)


@every_pair(
    at=[0, 1, 5, 9],
    n_threads=[1, 2, 3],
    stage=["block", "statistics"],
    error=[RuntimeError, KeyboardInterrupt],
)
def test_an_exception_in_a_block_reaches_the_caller(
    monkeypatch, stage, at, n_threads, error
):
    """And nothing hangs, keeps running or writes to the buffers afterwards."""
    objective, X, s, theta = data(KL)
    expected = run(objective, X, s, theta, rows=20)
    original = getattr(objective, stage)
    running, calls = set(), iter(range(10**6))

    def fail(*args):
        me = threading.get_ident()
        running.add(me)
        try:
            if next(calls) == at:
                raise error("from a block")
            time.sleep(0.001)
            return original(*args)
        finally:
            running.discard(me)

    with ThreadEngine(objective, X, s, rows=20, n_threads=n_threads) as evaluate:
        monkeypatch.setattr(objective, stage, fail)
        with pytest.raises(error, match="from a block"):
            evaluate(theta)
        assert not running
        monkeypatch.undo()
        loss, gradient, terms = evaluate(theta)  # the engine survives
        assert_same_bits(expected, (loss, gradient, terms))


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_overflow_warns_if_the_caller_wants_it(n_threads):
    objective, X, s, theta = data(KL)
    options = {"rows": 20, "n_threads": n_threads}
    with np.errstate(all="ignore"):
        assert not np.isfinite(run(objective, X, s, 1e200 * theta, **options)[0])
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        run(objective, X, s, 1e200 * theta, **options)


def test_exception_in_the_with_block_restores_everything():
    objective, X, s, theta = data(KL)
    with pytest.raises(RuntimeError, match="mine"):
        with ThreadEngine(objective, X, s, rows=20, n_threads=3) as evaluate:
            evaluate(theta)
            raise RuntimeError("mine")


def test_engines_that_overlap_give_the_bits_of_one_alone():
    objective, X, s, theta = data(KL, n=2000)
    points = [theta * scale for scale in np.linspace(0.5, 2, 8)]
    alone = [run(objective, X, s, point, rows=100) for point in points]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(
            lambda point: run(KL.objective(), X, s, point, rows=100, n_threads=2),
            points,
        )
        for one, other in zip(alone, together, strict=True):
            assert_same_bits(one, other)


@pytest.mark.usefixtures("two_blas_threads")
def test_blas_is_limited_until_the_last_one_leaves():
    before = blas_threads()
    with single_threaded_blas() as first:
        assert set(blas_threads()) <= {1}
        with single_threaded_blas() as again:  # as one who waits here
            assert set(blas_threads()) <= {1}
        with ThreadPoolExecutor(1) as pool:

            def enter():
                with single_threaded_blas() as share:
                    assert set(blas_threads()) <= {1}
                    return share

            second = in_thread(pool, enter)
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before
    assert first == again == max(before, default=1)
    assert second == max(1, first // 2)
    with threadpool_limits(3, user_api="blas"), single_threaded_blas() as three:
        with ThreadPoolExecutor(1) as pool:
            assert in_thread(pool, enter) == max(1, three // 2)


def in_thread(pool, function):
    return pool.submit(function).result()


@pytest.mark.usefixtures("two_blas_threads")
@pytest.mark.parametrize("last", ["first", "second"])
def test_any_thread_may_be_the_first_or_the_last(last):
    """Both threads live on, and this one has limited BLAS before."""
    before = blas_threads()
    with single_threaded_blas():
        pass
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        one, other = single_threaded_blas(), single_threaded_blas()
        in_thread(first, one.__enter__)
        assert set(blas_threads()) <= {1}
        in_thread(second, other.__enter__)
        leave = [(first, one), (second, other)]
        if last == "first":
            leave.reverse()
        for pool, limit in leave:
            assert set(blas_threads()) <= {1}
            in_thread(pool, lambda limit=limit: limit.__exit__(None, None, None))
        assert blas_threads() == before


@pytest.mark.usefixtures("two_blas_threads")
def test_limits_set_by_others_around_us_stay_theirs():
    before = blas_threads()
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(1) as pool:

        def enter_and_leave():
            with single_threaded_blas() as share:
                return share

        assert enter_and_leave() == in_thread(pool, enter_and_leave) == 1
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before


@pytest.mark.parametrize(
    "shape", [(1, 2), (129, 9), (10_000, 980), (60_000, 10**6 + 3)]
)
def test_blocks_are_even_and_nearly_equal(shape):
    n_samples = shape[0]
    rows = block_rows(*shape)
    assert 1 <= rows <= n_samples
    n_blocks = -(-n_samples // rows)
    # Rounding up may cost one of several hundred blocks, where it matters to nobody.
    assert n_blocks == 1 or n_blocks % 2 == 0 or n_blocks > 100
    assert n_samples > (n_blocks - 1) * rows  # the last one is not empty


def test_blocks_do_not_depend_on_the_machine(monkeypatch):
    sizes = [block_rows(n, 89) for n in (10, 5000, 10**6)]
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert sizes == [block_rows(n, 89) for n in (10, 5000, 10**6)]


def test_failure_to_enter_lifts_the_limit(monkeypatch):
    objective, X, s, _ = data(PLAIN)

    def fails(*args):
        raise MemoryError

    monkeypatch.setattr(objective, "workspace", fails)
    with pytest.raises(MemoryError) as held:
        ThreadEngine(objective, X, s).__enter__()
    assert held  # its traceback, and all in it, is still alive


def with_zeros(s, n):
    """Weights s, or of one if they are None, but for some that are zero."""
    s = np.ones(n) if s is None else s.copy()
    s[::3] = s[-4:] = 0
    return s


@every_pair(case=CASES)
def test_rows_of_weight_zero_are_as_if_taken_from_the_data(case):
    """The same bits, noise included; weights of one left are no weights."""
    objective, X, s, theta = data(case, n=60)
    s = with_zeros(s, len(X))
    left = s > 0
    weights = s[left] if case.weighted else None
    without = run(objective, X[left], weights, theta, rows=7)
    for n_threads in (1, 2):
        options = {"rows": 7, "n_threads": n_threads}
        assert_same_bits(run(objective, X, s, theta, **options), without)


@every_pair(case=ONE_OUTPUT)
def test_sparse_rows_of_weight_zero_are_as_if_taken_from_the_data(case, monkeypatch):
    """The same bits, threads and codes kept, which the others must not decide."""
    objective = case.objective(make=sparse_objective)
    _, X, s, theta = data(case, n=60)
    s = with_zeros(s, len(X))
    left = s > 0
    X[left] *= np.random.default_rng(2).random((left.sum(), D)) < 0.3  # others are full
    X, without = scipy.sparse.csr_array(X), scipy.sparse.csr_array(X[left])
    # Some blocks; a few of whose codes fit; too little work for another thread.
    monkeypatch.setattr("skae.rows.lengths._CODES", K)
    monkeypatch.setattr("skae.rows.lengths._ENTRIES_PER_COLUMN", 2)
    monkeypatch.setattr("skae.rows.lengths._BLOCK_NUMBERS", 2)
    monkeypatch.setattr("skae.rows.data.LocalRows.code_memory", (0, 2**30))
    work = sparse_multiplications(without, objective) + 1
    if objective.by_column:
        monkeypatch.setattr("skae.engines.threads.MULTIPLICATIONS_WORTH_THREADS", work)
    results = []
    for rows, weights in ((X, s), (without, s[left] if case.weighted else None)):
        with ThreadEngine(objective, rows, weights) as engine:
            loss, gradient, terms = engine(theta)
            results.append((loss, gradient.copy(), terms))
            threads = len(engine._workspaces)
            kept = sum(codes is not None for codes in engine._codes)
            results.append((len(engine._blocks), threads, kept))
    assert_same_bits(results[0], results[2])
    assert results[1] == results[3]
    if objective.by_column:
        assert results[1][0] > 1 and results[1][1] == 1


def test_targets_go_with_their_rows():
    case = NetworkCase(2, "tanh", "softmax", "cross_entropy", dropout=True)
    objective, X, T, _, theta = case.draw(n=60)
    s = np.where(np.arange(60) % 4, 1.5, 0)
    left = s > 0
    found = run(objective, X, s, theta, targets=T, rows=7)
    options = {"targets": T[left], "rows": 7}
    assert_same_bits(found, run(objective, X[left], s[left], theta, **options))
