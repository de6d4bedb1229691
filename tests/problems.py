"""Problems with a known or computable minimum, for the solvers' tests and benchmarks.

Most of the analytic ones are in Moré, Garbow & Hillstrom (1981), Testing unconstrained
optimization software, ACM TOMS 7; the sparse autoencoder is the UFLDL tutorial's,
written as its formulas read.
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine


class Problem(NamedTuple):
    """A function ``fun(x) -> (value, gradient)`` in the dtype of x, and where to start.

    `one_minimum`: all minima that a descent from `x0` is known to reach have one value.
    """

    name: str
    fun: Any
    x0: np.ndarray
    one_minimum: bool = True


def rosenbrock(n):
    def fun(x):
        u, v = x[1:] - x[:-1] ** 2, 1 - x[:-1]
        g = np.zeros_like(x)
        g[1:] += 200 * u
        g[:-1] -= 400 * x[:-1] * u + 2 * v
        return np.sum(100 * u**2 + v**2), g

    # From four dimensions there is a second, higher minimum near (-1, 1, ..., 1).
    return Problem(f"Rosenbrock {n}", fun, np.tile([-1.2, 1.0], n // 2))


def quadratic(condition, n=60):
    """½ (x - c)ᵀ A (x - c) with the eigenvalues of A spread evenly in logarithm."""
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    A, c = (Q * np.logspace(0, np.log10(condition), n)) @ Q.T, rng.standard_normal(n)
    cast = {t: (A.astype(t), c.astype(t)) for t in ("float32", "float64")}

    def fun(x):
        A, c = cast[x.dtype.name]
        g = A @ (x - c)
        return (x - c) @ g / 2, g

    return Problem(f"quadratic, condition {condition:.0e}", fun, np.zeros(n))


def beale():
    def fun(z):
        x, y = z
        c = np.array([1.5, 2.25, 2.625], dtype=z.dtype)
        p = np.array([1, 2, 3])
        r = c - x * (1 - y**p)
        J = np.stack([y**p - 1, x * p * y ** (p - 1)])
        return np.sum(r**2), 2 * J @ r

    return Problem("Beale", fun, np.array([1.0, 1.0]))


def booth():
    def fun(z):
        x, y = z
        r = np.array([x + 2 * y - 7, 2 * x + y - 5])
        J = np.array([[1, 2], [2, 1]], dtype=z.dtype)
        return np.sum(r**2), 2 * J @ r

    return Problem("Booth", fun, np.array([0.0, 0.0]))


def himmelblau():
    def fun(z):
        x, y = z
        r = np.array([x**2 + y - 11, x + y**2 - 7])
        J = np.array([[2 * x, 1], [1, 2 * y]], dtype=z.dtype)
        return np.sum(r**2), 2 * J @ r

    # Four minima, all with the value 0.
    return Problem("Himmelblau", fun, np.array([0.0, 0.0]))


def brown():
    def fun(z):
        x, y = z
        r = np.array([x - 1e6, y - 2e-6, x * y - 2])
        J = np.array([[1, 0, y], [0, 1, x]], dtype=z.dtype)
        return np.sum(r**2), 2 * J @ r

    return Problem("Brown badly scaled", fun, np.array([1.0, 1.0]))


def powell_singular(n=4):
    def fun(x):
        a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
        p, q, r, s = a + 10 * b, c - d, b - 2 * c, a - d
        g = np.empty_like(x)
        g[0::4] = 2 * p + 40 * s**3
        g[1::4] = 20 * p + 4 * r**3
        g[2::4] = 10 * q - 8 * r**3
        g[3::4] = -10 * q - 40 * s**3
        return np.sum(p**2 + 5 * q**2 + r**4 + 10 * s**4), g

    return Problem(f"Powell singular {n}", fun, np.tile([3.0, -1, 0, 1], n // 4))


def wood(n=4):
    def fun(x):
        a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
        p, q, r, s = b - a**2, d - c**2, b + d - 2, b - d
        g = np.empty_like(x)
        g[0::4] = -400 * a * p - 2 * (1 - a)
        g[1::4] = 200 * p + 20 * r + 0.2 * s
        g[2::4] = -360 * c * q - 2 * (1 - c)
        g[3::4] = 180 * q + 20 * r - 0.2 * s
        terms = 100 * p**2 + (1 - a) ** 2 + 90 * q**2 + (1 - c) ** 2
        return np.sum(terms + 10 * r**2 + 0.1 * s**2), g

    return Problem(f"Wood {n}", fun, np.tile([-3.0, -1], n // 2))


def dixon_price(n):
    def fun(x):
        i = np.arange(2, n + 1, dtype=x.dtype)
        u = 2 * x[1:] ** 2 - x[:-1]
        g = np.zeros_like(x)
        g[0] = 2 * (x[0] - 1)
        g[1:] += 8 * i * u * x[1:]
        g[:-1] -= 2 * i * u
        return (x[0] - 1) ** 2 + np.sum(i * u**2), g

    return Problem(f"Dixon-Price {n}", fun, np.ones(n))


def trigonometric(n):
    def fun(x):
        i = np.arange(1, n + 1, dtype=x.dtype)
        r = n - np.sum(np.cos(x)) + i * (1 - np.cos(x)) - np.sin(x)
        g = 2 * np.sin(x) * np.sum(r) + 2 * r * (i * np.sin(x) - np.cos(x))
        return np.sum(r**2), g

    return Problem(f"trigonometric {n}", fun, np.full(n, 1 / n), one_minimum=False)


def _standardised(X):
    scale = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(scale > 0, scale, 1)


def logistic_regression(name, load, alpha):
    """Multinomial, weighted mean plus alpha/2 |W|^2; the intercepts are free."""
    X, labels = load(return_X_y=True)
    X = _standardised(X)
    Y = np.eye(labels.max() + 1)[labels]
    n, d, k = *X.shape, Y.shape[1]
    cast = {t: (X.astype(t), Y.astype(t)) for t in ("float32", "float64")}

    def fun(theta):
        X, Y = cast[theta.dtype.name]
        W, b = theta[: d * k].reshape(d, k), theta[d * k :]
        Z = X @ W + b
        Z -= Z.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(Z).sum(axis=1, keepdims=True))
        delta = (np.exp(Z - log_sum) - Y) / n
        value = np.sum(Y * (log_sum - Z)) / n + alpha / 2 * np.sum(W**2)
        return value, np.concatenate([(X.T @ delta + alpha * W).ravel(), delta.sum(0)])

    return Problem(f"logistic regression, {name}", fun, np.zeros(d * k + k))


def sparse_autoencoder(name, load, h, alpha=1e-3, beta=0.1, rho=0.1, rows=300):
    """1/n Σ ½|x̂ - x|² + α/2 (|W|² + |D|²) + β Σ KL(ρ || mean h), logistic h."""
    X = load(return_X_y=True)[0][:rows]
    X = (X - X.min()) / (X.max() - X.min())
    n, d = X.shape
    cast = {t: X.astype(t) for t in ("float32", "float64")}

    def fun(theta):
        X = cast[theta.dtype.name]
        W, D = theta[: h * d].reshape(h, d), theta[h * d : 2 * h * d].reshape(d, h)
        b, c = theta[2 * h * d : 2 * h * d + h], theta[2 * h * d + h :]
        H = 1 / (1 + np.exp(-(X @ W.T + b)))
        E = H @ D.T + c - X
        q = H.mean(axis=0)
        kl = rho * np.log(rho / q) + (1 - rho) * np.log((1 - rho) / (1 - q))
        value = np.sum(E**2) / (2 * n) + beta * np.sum(kl)
        value += alpha / 2 * (np.sum(W**2) + np.sum(D**2))
        dq = beta * (-rho / q + (1 - rho) / (1 - q))
        delta = (E @ D + dq) / n * H * (1 - H)
        parts = delta.T @ X + alpha * W, E.T @ H / n + alpha * D
        rest = delta.sum(axis=0), E.sum(axis=0) / n
        return value, np.concatenate([p.ravel() for p in parts + rest])

    radius = np.sqrt(6 / (h + d + 1))
    theta = np.random.default_rng(0).uniform(-radius, radius, 2 * h * d + h + d)
    theta[2 * h * d :] = 0
    return Problem(f"sparse autoencoder, {name} {d}-{h}", fun, theta, one_minimum=False)


def problems():
    """The table."""
    return [
        *(rosenbrock(n) for n in (2, 10, 50, 100)),
        *(quadratic(c) for c in (1e1, 1e2, 1e3, 1e4, 1e5, 1e6)),
        beale(),
        booth(),
        himmelblau(),
        brown(),
        powell_singular(4),
        powell_singular(40),
        wood(4),
        wood(40),
        dixon_price(10),
        trigonometric(10),
        logistic_regression("breast cancer", load_breast_cancer, 1e-3),
        logistic_regression("digits", load_digits, 1e-3),
        logistic_regression("wine", load_wine, 1e-4),
        sparse_autoencoder("iris", load_iris, 3, alpha=1e-4),
        sparse_autoencoder("digits", load_digits, 8),
        sparse_autoencoder("digits", load_digits, 16),
    ]
