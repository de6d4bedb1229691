"""L-BFGS and Adam of a vector on a device: the steps are those of NumPy's."""

import numpy as np
import pytest
from device_array import TRANSFERS, DeviceArray, on_test_device

from skae.solvers import Memory, minimize_adam, minimize_lbfgs
from skae.solvers.adam import Adam

RANDOM = np.random.default_rng(5)
A = RANDOM.normal(size=(30, 30)) / 5
X0 = RANDOM.normal(size=30)
GOAL = RANDOM.normal(size=30)


def fun(x):
    """Convex; steep away from zero, so that line searches take several trials."""
    q = A @ x
    return float(np.cosh(q).sum() + 0.01 * x @ x), A.T @ np.sinh(q) + 0.02 * x, None


def away(x):
    """Least elsewhere than at zero, to which an L1 norm draws."""
    value, gradient, _ = fun(x - GOAL)
    return value, gradient, None


def valley(x):
    """Rosenbrock's function, whose curved valley lets trials fail."""
    a, b = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    gradient = np.zeros_like(x)
    gradient[1:] = 200 * a
    gradient[:-1] -= 400 * a * x[:-1] + 2 * b
    return float(100 * a @ a + b @ b), gradient, None


def there(fun):
    def on_the_device(x):
        value, gradient, aux = fun(x._array)
        return value, DeviceArray(gradient), aux

    return on_the_device


# Penalties of an L1 norm: of every entry, and with entries that have none.
EVERY = 0.3
SOME = RANDOM.uniform(0.1, 1, 30) * (np.arange(30) % 4 > 0)


@pytest.mark.parametrize("l1", [None, EVERY, SOME], ids=["smooth", "every", "some"])
@pytest.mark.parametrize(
    ("function", "scale"), [(fun, 1), (fun, 30), (away, 1), (valley, 1)]
)
def test_steps_are_those_of_numpy(function, scale, l1):
    values = [], []
    here = minimize_lbfgs(
        function,
        scale * X0,
        max_iter=15,
        l1=l1,
        callback=lambda i: values[0].append((i.n_fun, i.value, i.gradient_norm)),
    )
    device = minimize_lbfgs(
        there(function),
        on_test_device(scale * X0),
        max_iter=15,
        l1=l1,
        callback=lambda i: values[1].append((i.n_fun, i.value, i.gradient_norm)),
    )
    assert isinstance(device.x, DeviceArray)
    # Later on rounding leads them apart.
    np.testing.assert_allclose(values[1], values[0], rtol=1e-6)
    np.testing.assert_allclose(device.x.get(), here.x, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(device.x.get() == 0, here.x == 0)


@pytest.mark.parametrize("function", [fun, valley])
def test_the_minimum_is_found(function):
    x0 = on_test_device(X0)
    device = minimize_lbfgs(there(function), x0, max_iter=500, ftol=0, tol=1e-6)
    assert device.status == "gradient"
    assert np.abs(function(device.x.get())[1]).max() <= 1e-6


@pytest.mark.parametrize("l1", [EVERY, on_test_device(SOME)], ids=["every", "some"])
def test_the_minimum_with_zeros_is_found(l1):
    result = minimize_lbfgs(
        there(away), on_test_device(X0), max_iter=500, ftol=0, tol=1e-6, l1=l1
    )
    assert result.status == "gradient"
    x = result.x.get()
    g, c = away(x)[1], np.broadcast_to(l1 if l1 is EVERY else SOME, x.shape)
    zero = x == 0
    assert 3 < zero.sum() < 27
    assert not zero[c == 0].any()
    # The conditions of a minimum of f(x) + Σ c_j |x_j|.
    assert (np.abs(g[zero]) <= c[zero] + 1e-6).all()
    assert (np.abs(g + c * np.sign(x))[~zero] <= 1e-6).all()


def test_one_transfer_an_evaluation():
    del TRANSFERS[:]
    result = minimize_lbfgs(
        there(valley), on_test_device(X0), max_iter=80, ftol=0, n_corrections=10
    )
    assert result.n_fun > result.n_iter + 1  # some trials were not the last
    starts = 4  # is it finite, is it a minimum, its scale and its length
    assert len(TRANSFERS) <= result.n_fun + 1 + starts
    assert max(TRANSFERS) <= 2 * 10 + 9


def test_two_transfers_an_iteration_with_zeros():
    del TRANSFERS[:]
    x0 = on_test_device(X0)
    result = minimize_lbfgs(
        there(valley), x0, max_iter=30, ftol=0, tol=0, n_corrections=10, l1=SOME
    )
    assert (result.x.get() == 0).any()
    assert result.n_fun > result.n_iter + 1  # some trials were not the last
    starts = 5  # and the penalty
    assert len(TRANSFERS) <= result.n_fun + result.n_iter + 1 + starts
    assert max(TRANSFERS) <= 2 * (2 * 10 + 1) + 4


@pytest.mark.parametrize("l1", [None, np.float32(1e-3)])
def test_refused_pairs_and_dropped_histories(l1):
    def rough(x):  # rounding of float32 makes pairs useless near the minimum
        return np.float32(x @ x), np.float32(2) * x, None

    x0 = np.linspace(1, 2, 7, dtype=np.float32)
    here = minimize_lbfgs(rough, x0, tol=0, ftol=0, l1=l1)
    device = minimize_lbfgs(there(rough), on_test_device(x0), tol=0, ftol=0, l1=l1)
    assert device.status == here.status
    assert device.x.dtype == np.float32
    assert device.value <= 1e-12


@pytest.mark.parametrize("l1", [None, SOME], ids=["smooth", "some"])
def test_runs_go_on_with_a_memory(l1):
    whole = minimize_lbfgs(there(fun), on_test_device(X0), max_iter=8, ftol=0, l1=l1)
    memory, x = Memory(), on_test_device(X0)
    for _ in range(2):
        x = minimize_lbfgs(there(fun), x, max_iter=4, ftol=0, l1=l1, memory=memory).x
    np.testing.assert_allclose(x.get(), whole.x.get(), rtol=1e-9)


@pytest.mark.parametrize("l1", [None, SOME], ids=["smooth", "some"])
def test_runs_go_on_with_another_function(l1):
    ends = []
    for start, function in ((X0, lambda f: f), (on_test_device(X0), there)):
        memory, x = Memory(), start
        for f in (fun, away):
            options = {"max_iter": 4, "ftol": 0, "l1": l1, "memory": memory}
            x = minimize_lbfgs(function(f), x, **options).x
        ends.append(x)
    np.testing.assert_allclose(ends[1].get(), ends[0], rtol=1e-9, atol=1e-12)


# One number, a few stretches, and so many changes that it is an array all along.
SCALES = {
    "one": 1.0,
    "stretches": np.repeat([0.5, 2.0], 15),
    "all": np.linspace(0.5, 2, 30),
}


@pytest.mark.parametrize("l1", [None, EVERY, SOME], ids=["smooth", "every", "some"])
@pytest.mark.parametrize("scale", SCALES)
def test_adam_is_that_of_numpy(scale, l1):
    def batch(x, rows):
        residual = A[rows] @ x - 1
        return residual @ residual / 2, A[rows].T @ residual, len(rows)

    def batch_there(x, rows):
        value, gradient, weight = batch(x._array, rows)
        return value, DeviceArray(gradient), weight

    def batches():
        return np.array_split(np.arange(30), 4)

    ends = []
    for x0, fun in ((X0, batch), (on_test_device(X0), batch_there)):
        options = {"learning_rate": 0.05, "scale": SCALES[scale], "like": x0}
        adam = Adam(len(x0), np.float64, **options)
        adam.penalise(l1)
        ends.append(minimize_adam(fun, x0, batches, max_iter=40, adam=adam).x)
    here, device = ends[0], ends[1].get()
    np.testing.assert_allclose(device, here, rtol=1e-12)
    np.testing.assert_array_equal(device == 0, here == 0)
    # Entries rest at zero where a penalty holds them there, and nowhere else.
    assert (here == 0).any() == (l1 is not None)
    assert not (here == 0)[SOME == 0].any() or l1 is EVERY
