"""The objective as the literature writes it: whole arrays, one line a formula.

Nothing here imports skae. With rows x_i, codes h_i = f(W x_i + b), reconstructions
x̂_i = g(Dᵀ h_i + c) and sample weights s_i,

    J = Σ s_i ℓ(x_i, x̂_i) / Σ s_i + (α/2)(‖W‖² + ‖D‖²) + sparsity.
"""

import numpy as np

ACTIVATIONS = {
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": lambda z: np.tanh(z),
    "relu": lambda z: np.maximum(z, 0),
    "identity": lambda z: z,
}

LOSSES = {
    "squared_error": lambda x, r: 0.5 * (r - x) ** 2,
    "log_loss": lambda x, r: -x * np.log(r) - (1 - x) * np.log(1 - r),
}


def kl_divergence(rho, rho_hat):
    """KL(ρ‖ρ̂) between two coins."""
    return rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))


def kl_sparsity(H, s, beta, rho, activation):
    """β Σ_j KL(ρ ‖ ρ̂_j); tanh codes, in (-1, 1), count as (h + 1)/2."""
    rho_hat = s @ H / s.sum()
    if activation == "tanh":
        rho_hat = (rho_hat + 1) / 2
    return beta * kl_divergence(rho, rho_hat).sum()


def l1_sparsity(H, s, beta):
    """β (1/n) Σ_i Σ_j |h_ij|."""
    return beta * s @ np.abs(H).sum(axis=1) / s.sum()


def codes(X, W, b, activation):
    return ACTIVATIONS[activation](X @ W.T + b)


def jacobian(x, W, b, activation):
    """∂h/∂x of one row, (n_components, n_features): diag(f′(z)) W."""
    z = W @ x + b
    slope = {
        "logistic": lambda: np.exp(-z) / (1 + np.exp(-z)) ** 2,
        "tanh": lambda: 1 / np.cosh(z) ** 2,
    }[activation]()
    return np.diag(slope) @ W


def terms(
    X,
    W,
    b,
    D,
    c,
    *,
    activation,
    output,
    loss,
    alpha,
    sparsity=None,
    contraction=None,
    s=None,
    **penalty,
):
    """The terms of J, by name; ``penalty`` holds beta, and rho for "kl"."""
    s = np.ones(len(X)) if s is None else s
    H = codes(X, W, b, activation)
    R = ACTIVATIONS[output](H @ D + c)
    sparsities = {
        None: lambda: 0.0,
        "l1": lambda: l1_sparsity(H, s, **penalty),
        "kl": lambda: kl_sparsity(H, s, activation=activation, **penalty),
    }
    parts = {
        "reconstruction": s @ LOSSES[loss](X, R).sum(axis=1) / s.sum(),
        "decay": alpha / 2 * ((W**2).sum() + (D**2).sum()),
        "sparsity": sparsities[sparsity](),
    }
    if contraction is not None:
        norms = [(jacobian(x, W, b, activation) ** 2).sum() for x in X]
        parts["contraction"] = contraction * s @ norms / s.sum()
    return parts


def sparse_coding(X, S, A, V, weight, epsilon, penalty):
    """J of sparse coding: (1/n)‖SA − X‖² + λ (1/n) Σ √((S∘S) Vᵀ + ε) + γ ‖A‖²."""
    fit = ((S @ A - X) ** 2).sum() / len(X)
    sparsity = weight * np.sqrt((S * S) @ V.T + epsilon).sum() / len(X)
    return fit + sparsity + penalty * (A**2).sum()
