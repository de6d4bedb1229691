"""SparseCoding against scikit-learn's dictionaries, on 20,000 whitened patches.

121 atoms for patches of 8 x 8 pixels, float64. Codes are those of 1,000 other patches:
``transform`` here, ``SparseCoder(transform_algorithm="lasso_lars")`` there, with the
``alpha`` that the dictionary was fitted with.

* error: sum of squared differences between patches and reconstructions, as a fraction
  of the sum of squares of the patches.
* near 0: fraction of the codes s_ij with |s_ij| ‖A_j‖ below 1 % of the root mean
  square length of a patch, whatever the scale of atoms and codes.
* used: atoms longer than 1 % of the longest.

First the error at several sparsities, then at equal sparsity: λ is chosen by bisection
so that as many codes are near 0 as with ``MiniBatchDictionaryLearning`` at its
defaults. Times of the two fits are measured in turns. ``DictionaryLearning`` codes all
rows in every iteration and gets three of them.

Last, the UFLDL tutorial's protocol: 200 rounds with batches of 2,000.
"""

import warnings

import numpy as np
from _common import (
    Table,
    median_ratio,
    not_converged,
    parse_arguments,
    print_header,
    seconds,
    time_in_turns,
)
from _patches import whitened_patches
from sklearn.base import clone
from sklearn.decomposition import (
    DictionaryLearning,
    MiniBatchDictionaryLearning,
    SparseCoder,
)

from skae import SparseCoding

ATOMS = 121


class Comparison:
    """Fits, codes and their figures, on one split of the patches."""

    def __init__(self, quick):
        patches = whitened_patches(2000 if quick else 21_000)
        self.X, self.held_out = patches[:-1000], patches[-1000:]
        self.table = Table("", "near 0", "error", "used", "fit s", "rounds", "code s")

    def judge(self, atoms, codes):
        """(near 0, error) of codes of the held-out patches."""
        X = self.held_out
        length = np.sqrt((X**2).sum(axis=1).mean())
        parts = np.abs(codes) * np.linalg.norm(atoms, axis=1)
        residual = codes @ atoms - X
        error = (residual**2).sum() / (X**2).sum()
        return float((parts < 0.01 * length).mean()), float(error)

    def enter(self, name, model, alpha=None):
        """Fit, code and print a row; returns (near 0, error)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitting = seconds(lambda: model.fit(self.X))
        atoms, coder = model.components_, model
        if alpha is not None:
            coder = SparseCoder(
                atoms, transform_algorithm="lasso_lars", transform_alpha=alpha
            )
        codes = []
        coding = seconds(lambda: codes.append(coder.transform(self.held_out)))
        near, error = self.judge(atoms, codes[0])
        lengths = np.linalg.norm(atoms, axis=1)
        used = int((lengths > 0.01 * lengths.max()).sum())
        n_iter = getattr(model, "n_steps_", model.n_iter_)
        self.table.row(name, near, error, used, fitting, n_iter, coding)
        return near, error

    def weight_with(self, near, quick):
        """λ at which as many codes are near 0, by bisection on a few rounds."""
        size = (self.X**2).sum(axis=1).mean()
        low, high = 0.01, 0.3
        X = self.X.astype(np.float32)
        for _ in range(2 if quick else 6):
            middle = (low * high) ** 0.5
            model = ours(middle * size, max_iter=5 if quick else 50)
            with not_converged():
                codes = model.fit(X).transform(self.held_out)
            if self.judge(model.components_, codes)[0] < near:
                low = middle
            else:
                high = middle
        return (low * high) ** 0.5 * size


def ours(weight="scale", **parameters):
    return SparseCoding(ATOMS, sparsity_weight=weight, random_state=0, **parameters)


def theirs(alpha=1.0):
    return MiniBatchDictionaryLearning(ATOMS, alpha=alpha, random_state=0)


def sparsities(comparison, quick):
    """Rows of the table at several weights; returns that of the defaults."""
    size = (comparison.X**2).sum(axis=1).mean()
    default = comparison.enter("MiniBatchDL, defaults", theirs(), alpha=1.0)
    for alpha in [] if quick else [0.5, 2.0]:
        comparison.enter(f"MiniBatchDL, alpha={alpha:g}", theirs(alpha), alpha)
    full = DictionaryLearning(
        ATOMS, max_iter=1 if quick else 3, transform_max_iter=1000, random_state=0
    )
    comparison.enter("DictionaryLearning", full, alpha=1.0)
    rounds = 5 if quick else 300
    for fraction in [0.003] if quick else [0.003, 0.01, 0.03, 0.1]:
        name = f"SparseCoding, {fraction:g}"
        comparison.enter(name, ours(fraction * size, max_iter=rounds))
    grid = {"topography": (11, 11)}
    comparison.enter("topographic", ours(max_iter=rounds, **grid))
    return default


def at_equal_sparsity(comparison, default, quick):
    """The same λ, at the default stopping rule and well beyond it."""
    near, error = default
    weight = comparison.weight_with(near, quick)
    models = {
        "defaults": ours(weight, max_iter=5 if quick else 300),
        "tol=0.02": ours(weight, max_iter=5 if quick else 300, tol=0.02),
    }
    figures = {name: comparison.enter(name, model) for name, model in models.items()}
    X, single = comparison.X, comparison.X.astype(np.float32)
    tasks = {"theirs": lambda: theirs().fit(X)}
    for name, model in models.items():
        tasks[name] = lambda model=model: clone(model).fit(X)
        tasks[f"{name}, float32"] = lambda model=model: clone(model).fit(single)
    with not_converged():
        times = time_in_turns(tasks, 1 if quick else 2)
    for name, (reached, our_error) in figures.items():
        ratio = our_error / error
        print(
            f"\n{name}, {reached:.3f} of codes near 0 against {near:.3f}: error "
            f"{ratio:.3g} times theirs"
        )
        for task in (name, f"{name}, float32"):
            speed = median_ratio(times["theirs"], times[task])
            print(f"fit, {task}: {speed:.2f} times as fast", flush=True)


def ufldl(comparison, quick):
    """200 rounds of 2,000, λ = 5e-5 · 2000 as UFLDL writes it, γ = 1e-2."""
    print("\nUFLDL's protocol, batches of 2000, 200 rounds:")
    for topography in (None, (11, 11)):
        model = ours(
            0.1,
            dictionary_penalty=0.01,
            epsilon=1e-5,
            topography=topography,
            code_max_iter=20,
            batch_size=2000,
            max_iter=3 if quick else 200,
            tol=0.0,
        )
        with not_converged():
            needed = seconds(lambda model=model: model.fit(comparison.X))
        name = "plain" if topography is None else "topographic"
        print(
            f"{name}: {needed:.0f} s, loss {model.loss_curve_[-1]:.4g}",
            flush=True,
        )


def main():
    quick = parse_arguments(__doc__).quick
    print_header("Sparse coding of whitened 8 x 8 patches")
    comparison = Comparison(quick)
    default = sparsities(comparison, quick)
    at_equal_sparsity(comparison, default, quick)
    ufldl(comparison, quick)


if __name__ == "__main__":
    main()
