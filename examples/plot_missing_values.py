r"""
========================
Data with missing values
========================

The autoencoders can learn from rows in which some entries are missing (NaN). The loss
is then a sum over the observed entries. The reconstruction of a row is complete, so it
can be used to fill in the missing entries.

This example shows three applications: filling in a table, compared with scikit-learn's
imputers; filling in missing blocks of images; and choosing the number of components and
the sparsity by held-out entries, which works where held-out rows do not help.
"""

import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderImputer, HeldOutEntriesScorer, SparseAutoencoder

rng = np.random.default_rng(0)

# %%
# Filling in a table
# ------------------
#
# The table has 400 rows and 30 columns, and some of its entries are removed at random.
# The imputers learn from the first half of the rows. The errors are those of the second
# half, in standard deviations of the columns.

table = StandardScaler().fit_transform(load_breast_cancer().data[:400])
imputers = {
    "column means": SimpleImputer(),
    "nearest rows": KNNImputer(),
    "regressions": IterativeImputer(random_state=0),
    "autoencoders": AutoencoderImputer(random_state=0),
}
warnings.simplefilter("ignore", ConvergenceWarning)  # of IterativeImputer
shares = [0.1, 0.2, 0.4]
errors = {name: [] for name in imputers}
for share in shares:
    missing = rng.uniform(size=table.shape) < share
    incomplete = np.where(missing, np.nan, table)
    for name, imputer in imputers.items():
        filled = imputer.fit(incomplete[:200]).transform(incomplete[200:])
        error = (filled - table[200:])[missing[200:]]
        errors[name].append(np.sqrt(np.mean(error**2)))

for name, of_shares in errors.items():
    print(f"{name:14}", *(f"{error:6.3f}" for error in of_shares))

# %%
# Filling in images
# -----------------
#
# In every digit of 8 x 8 pixels, a block of 3 x 3 pixels is missing. The neighbouring
# pixels contain little information about the middle of the block. The imputers learn
# from the incomplete images only. With 1797 images of ten digits, there are images
# that are nearly the same, and the mean of the nearest rows has the smallest error.

digits = load_digits().data
pictures = digits.reshape(-1, 8, 8).copy()
for picture, (row, column) in zip(
    pictures, rng.integers(0, 6, (len(pictures), 2)), strict=True
):
    picture[row : row + 3, column : column + 3] = np.nan
pictures = pictures.reshape(len(pictures), 64)
repaired = AutoencoderImputer(random_state=0).fit_transform(pictures)
holes = np.isnan(pictures)
by_means = SimpleImputer(keep_empty_features=True).fit_transform(pictures)
by_neighbours = KNNImputer(keep_empty_features=True).fit_transform(pictures)
for name, filled in (
    ("column means", by_means),
    ("nearest rows", by_neighbours),
    ("autoencoders", repaired),
):
    print(f"{name}: {np.sqrt(np.mean((filled - digits)[holes] ** 2)):.2f}")

# %%
# Choosing the number of components
# ---------------------------------
#
# The rows of this table with 20 columns are linear combinations of four components plus
# noise. The more components a linear autoencoder has, the better it reconstructs
# held-out rows. The score on held-out entries is best with the correct number.

planted = rng.standard_normal((300, 4)) @ rng.standard_normal((4, 20))
planted += rng.standard_normal(planted.shape)
components = [1, 2, 3, 4, 5, 6, 8, 10, 13]
scores = {"held-out rows": None, "held-out entries": HeldOutEntriesScorer()}
found = {
    name: [
        cross_val_score(
            SparseAutoencoder(k, activation="identity", sparsity=None, random_state=0),
            planted,
            scoring=scoring,
            cv=3,
        ).mean()
        for k in components
    ]
    for name, scoring in scores.items()
}

# %%
# Choosing the sparsity
# ---------------------
#
# The rows of this table are sparse combinations of ten atoms plus noise. On average,
# two of the atoms occur in a row. The autoencoder has twenty units, twice as many as
# needed. With the weight that is best for held-out entries, exactly ten of them are
# used, and their decoder weights are the atoms. By held-out rows, the best weight is
# zero. All units are used then, and the atoms are not found.

atoms = rng.standard_normal((10, 20))
atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
present = rng.uniform(size=(400, 10)) < 0.2
combined = (rng.exponential(size=(400, 10)) * present) @ atoms
combined += 0.3 * combined.std() * rng.standard_normal(combined.shape)
weights = [0, 0.1, 0.2, 0.3, 0.5, 0.7, 1]
of_weights = {name: [] for name in scores}
n_used, cosine = [], []
for weight in weights:
    sparse = SparseAutoencoder(
        20,
        activation="relu",
        sparsity="l1",
        sparsity_weight=weight,
        alpha=1e-3,
        random_state=0,
    )
    for name, scoring in scores.items():
        found_here = cross_val_score(sparse, combined, scoring=scoring, cv=3)
        of_weights[name].append(found_here.mean())
    used = (sparse.fit_transform(combined) > 1e-2).mean(axis=0) > 0.01
    units = sparse.decoder_components_[used]
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    n_used.append(used.sum())
    cosine.append((units @ atoms.T).max(axis=0).mean())

print("weight   rows  entries  units used  cosine with the atoms")
columns = weights, *of_weights.values(), n_used, cosine
for weight, by_rows, by_entries, units, near in zip(*columns, strict=True):
    print(f"{weight:6} {by_rows:6.3f} {by_entries:8.3f} {units:11} {near:22.3f}")

# %%
# All results in one figure
# -------------------------

figure = plt.figure(figsize=(10, 6.4), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=[1.25, 1])
axes = above.subplots(1, 3)
for name, of_shares in errors.items():
    axes[0].plot(100 * np.array(shares), of_shares, "o-", label=name)
axes[0].set(
    xlabel="entries missing, %", ylabel="error, in standard deviations", ylim=(0, None)
)
axes[0].set_title("Breast cancer, 30 columns")
for name, of_components in found.items():
    axes[1].plot(components, of_components, "o-", label=name)
axes[1].axvline(4, color="0.7", zorder=0)
axes[1].set(xlabel="number of components (correct: 4)", ylabel="R²")
axes[1].set_title("Number of components")
for name, by_weight in of_weights.items():
    axes[2].plot(range(len(weights)), by_weight, "o-", label=name)
labels = [f"{w:g}\n{n}" for w, n in zip(weights, n_used, strict=True)]
axes[2].set_xticks(range(len(weights)), labels)
axes[2].axvline(np.argmax(of_weights["held-out entries"]), color="0.7", zorder=0)
axes[2].set(xlabel="sparsity weight; below: units used", ylabel="R²")
axes[2].set_title("Sparsity")
for ax in axes:
    ax.legend(frameon=False, fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)

some = np.arange(12)
kinds = {"original": digits, "incomplete": pictures, "filled in": repaired}
colours = plt.get_cmap("gray_r").with_extremes(bad="#e8a33d")
grid = below.subplots(3, len(some))
for (name, rows), line in zip(kinds.items(), grid, strict=True):
    for row, ax in zip(rows[some], line, strict=True):
        ax.imshow(row.reshape(8, 8), cmap=colours, vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=120)
else:
    plt.show()
