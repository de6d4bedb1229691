"""The objective as the literature writes it: whole arrays, one line a formula.

Nothing here imports skae. With rows x_i, codes h_i = f(W x_i + b), reconstructions
x̂_i = g(Dᵀ h_i + c) and sample weights s_i,

    J = Σ s_i ℓ(x_i, x̂_i) / Σ s_i + (α/2)(‖W‖² + ‖D‖²) + sparsity,

with l1_ratio of α on ‖W‖₁ + ‖D‖₁ and the rest on the squares.
"""

import numpy as np

ACTIVATIONS = {
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": lambda z: np.tanh(z),
    "relu": lambda z: np.maximum(z, 0),
    "identity": lambda z: z,
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
}

LOSSES = {
    "squared_error": lambda x, r: 0.5 * (r - x) ** 2,
    "log_loss": lambda x, r: -x * np.log(r) - (1 - x) * np.log(1 - r),
    "cross_entropy": lambda t, r: -t * np.log(r),
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
    """∂h/∂x of one row, (n_components, n_features): diag(f′(z)) W.

    f′(z) is Im f(z + iε)/ε, which rounds nothing away however small ε is.
    """
    z = W @ x + b
    slope = ACTIVATIONS[activation](z + 1e-100j).imag / 1e-100
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
    alpha=0.0,
    l1_ratio=0.0,
    penalties=None,
    sparsity=None,
    contraction=None,
    s=None,
    **penalty,
):
    """The terms of J, by name; ``penalty`` holds beta, and rho for "kl".

    ``penalties`` has what multiplies the squares and the absolute values of W and of D,
    in place of ``alpha`` and ``l1_ratio``.
    """
    squares, absolute = [(1 - l1_ratio) * alpha] * 2, [l1_ratio * alpha] * 2
    if penalties is not None:
        squares, absolute = penalties["squares"], penalties["absolute"]
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
        "decay": sum(
            a / 2 * (V**2).sum() for a, V in zip(squares, (W, D), strict=True)
        ),
        "sparsity": sparsities[sparsity](),
    }
    if any(absolute):
        parts["l1"] = sum(
            a * np.abs(V).sum() for a, V in zip(absolute, (W, D), strict=True)
        )
    if contraction is not None:
        norms = [(jacobian(x, W, b, activation) ** 2).sum() for x in X]
        parts["contraction"] = contraction * s @ norms / s.sum()
    return parts


def pre_activations(X, coefs, intercepts, activations, factors):
    """Of each layer of a network; ``factors`` multiply each layer's inputs."""
    H, Z = X, []
    for W, b, activation, factor in zip(
        coefs, intercepts, activations, factors, strict=True
    ):
        Z.append((H * factor) @ W.T + b)
        H = ACTIVATIONS[activation](Z[-1])
    return Z


def network_terms(X, T, coefs, intercepts, *, activations, loss, alphas, s, factors):
    """The terms of a network's J; ``activations`` end with the output's."""
    Z = pre_activations(X, coefs, intercepts, activations, factors)
    losses = LOSSES[loss](T, ACTIVATIONS[activations[-1]](Z[-1])).sum(axis=1)
    decay = sum(a / 2 * (W**2).sum() for a, W in zip(alphas, coefs, strict=True))
    return {"loss": s @ losses / s.sum(), "decay": decay}


def soft_threshold(x, threshold):
    """The z that makes ½(z − x)² + threshold |z| least, entry by entry."""
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def adam(gradients, x, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8, l1=0.0):
    """Algorithm 1 of Kingma and Ba (2015): x after each of the given gradients.

    ``gradients`` is a list of functions of x. With weights ``l1`` of |x_j|, each step
    is followed by the proximal operator of l1 |x_j| in the metric of that step.
    """
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient(x)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        x = x - rate * m_hat / (np.sqrt(v_hat) + epsilon)
        x = soft_threshold(x, rate * l1 / (np.sqrt(v_hat) + epsilon))
        yield x


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def network_outputs(X, coefs, intercepts, activations):
    """Of a deep network, with the weights of each layer as (inputs, units)."""
    H = X
    for W, b, name in zip(coefs, intercepts, activations, strict=True):
        H = {**ACTIVATIONS, "softmax": softmax}[name](H @ W + b)
    return H


def network_loss(
    X, Y, coefs, intercepts, activations, *, loss, alphas, l1=None, s=None
):
    """J = Σ s_i ℓ(y_i, ŷ_i) / Σ s_i + Σ_l (α_l/2) ‖W_l‖² + Σ_l λ_l ‖W_l‖₁."""
    s = np.ones(len(X)) if s is None else s
    R = network_outputs(X, coefs, intercepts, activations)
    cross_entropy = {"cross_entropy": lambda y, r: -y * np.log(r)}
    losses = {**LOSSES, **cross_entropy}[loss](Y, R).sum(axis=1)
    decay = sum(a / 2 * (W**2).sum() for a, W in zip(alphas, coefs, strict=True))
    l1 = [0.0] * len(coefs) if l1 is None else l1
    absolute = sum(c * np.abs(W).sum() for c, W in zip(l1, coefs, strict=True))
    return s @ losses / s.sum() + decay + absolute


def sparse_coding(X, S, A, V, weight, epsilon, penalty):
    """J of sparse coding: (1/n)‖SA − X‖² + λ (1/n) Σ √((S∘S) Vᵀ + ε) + γ ‖A‖²."""
    fit = ((S @ A - X) ** 2).sum() / len(X)
    sparsity = weight * np.sqrt((S * S) @ V.T + epsilon).sum() / len(X)
    return fit + sparsity + penalty * (A**2).sum()
