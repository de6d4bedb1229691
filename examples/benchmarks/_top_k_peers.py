"""The parts of bench_top_k.py beside PyTorch: peers and recovery."""

import time
from functools import partial

import numpy as np
from _common import Table
from _top_k_data import remembered, sums_of_features, unexplained, words_file
from _top_k_torch import train_hypothesaes, train_saelens
from scipy.sparse import csr_array

from skae import TopKAutoencoder
from skae.inspection import matched_units


def peers(arguments):
    """Variance unexplained against CPU seconds."""
    d, n, k = arguments.size
    l0 = 3 * k // 8
    if arguments.words:
        n, k, X = 400, 8, np.load(arguments.glove or words_file())
        order = np.random.RandomState(0).permutation(len(X))
        X, what = X[order[: arguments.rows + 4096]].astype(np.float32), "words"
        d = X.shape[1]
    else:
        X = sums_of_features(arguments.rows + 4096, 2 * n // 3, l0, d, 0)[0]
        what = f"rows that sum {l0} of {2 * n // 3} features\n"
    # The mean length that SAELens gives rows.
    X *= np.float32(d**0.5 / np.linalg.norm(X, axis=1).mean())
    X, held_out = X[:-4096], X[-4096:]
    print(
        f"Fraction of variance unexplained (FVU) of rows held out; {len(X)} {what}"
        f" in {d} dimensions, {n} units, k = {k}, one thread"
    )

    def measured(spent, steps, codes, D, c):
        silent = np.mean((codes != 0).sum(axis=0) == 0)
        fvu = unexplained(held_out, codes, D, c)
        return float(spent), steps, float(fvu), codes.nnz / len(held_out), float(silent)

    def own(epochs, rate=None):
        began = time.process_time()
        model = TopKAutoencoder(n, k, max_iter=epochs, random_state=0)
        if rate is not None:
            model.set_params(learning_rate_init=rate)
        model.fit(X)
        spent = time.process_time() - began
        codes = csr_array(model.transform(held_out))
        steps = epochs * -(-len(X) // model._batch(len(X)))
        atoms, c = model.decoder_components_, model.intercept_visible_
        return [measured(spent, steps, codes, atoms, c)]

    def other(train):
        rows = []

        def report(state, spent, steps):
            W, b, D, c, threshold = state
            P = held_out @ W.T + b
            codes = csr_array(np.where(P > threshold, P, 0))
            rows.append(measured(spent, steps, codes, D, c))

        train(X, n, k, arguments.marks, report)
        return rows

    tasks = {
        f"skae, {epochs} epochs": partial(own, epochs) for epochs in arguments.epochs
    }
    if arguments.words:
        tasks |= {
            f"skae, rate 0.06, {n} epochs": partial(own, n, 0.06)
            for n in arguments.epochs
        }
    tasks |= {
        "SAELens' BatchTopK": partial(other, train_saelens),
        "SAELens', rate 3e-3": partial(other, partial(train_saelens, rate=3e-3)),
        "hypothesaes": partial(other, train_hypothesaes),
    }
    table = Table("", "CPU s", "steps", "FVU", "l0", "dead")
    found = {}
    for name, task in tasks.items():
        rows = remembered(arguments, "peers", name, task) or []
        package = "skae" if name.startswith("skae") else name
        # With more codes, less is left unexplained.
        comparable = [row for row in rows if abs(row[3] / k - 1) < 0.1]
        found.setdefault(package, []).extend(comparable)
        for spent, steps, fvu, codes, silent in rows:
            table.row(
                name,
                f"{spent:.1f}",
                steps,
                f"{fvu:.4f}",
                f"{codes:.1f}",
                f"{100 * silent:.1f} %",
            )
    print(f"\nCPU seconds to the lowest FVU of each, with l0 within a tenth of {k}")
    own = found.pop("skae")
    table = Table("", "FVU", "CPU s", "skae: CPU s")
    for name, rows in found.items():
        if rows:
            spent, _, fvu, *_ = min(rows, key=lambda row: row[2])
            as_good = [row[0] for row in own if row[2] <= fvu]
            ours = f"{min(as_good):.1f}" if as_good else "never"
            table.row(name, f"{fvu:.4f}", f"{spent:.1f}", ours)


def recovery(arguments):
    """Features found again."""
    d, n_features, l0 = arguments.features
    prefixes = n_features // 16, n_features // 4
    print(
        f"Recovery of {n_features} features in {d} dimensions, {l0} of them in a row, "
        f"{arguments.rows} rows; as many units"
    )
    table = Table("", "seed", "MCC", "F1", "FVU", "l0", "dead", "CPU s")
    kinds = {
        "skae batch": {},
        "skae row": {"selection": "row"},
        "skae prefixes": {"prefixes": prefixes},
    }
    others = {
        "SAELens' BatchTopK": (None, 3e-4),
        "SAELens', rate 3e-3": (None, 3e-3),
        "SAELens' Matryoshka": (prefixes, 3e-4),
        "Matryoshka, rate 3e-3": (prefixes, 3e-3),
    }
    for seed in range(arguments.seeds):
        X, truth, atoms = sums_of_features(
            arguments.rows, n_features, l0, d, seed, zipf=0.5
        )
        few, fires = X[:8192], truth[:8192].toarray() > 0

        def measured(codes, D, c, spent, atoms=atoms, few=few, fires=fires):
            features, units, cosines = matched_units(atoms, D)
            active = codes.toarray()[:, units] > 0
            hits = (active & fires[:, features]).sum(axis=0)
            total = active.sum(axis=0) + fires[:, features].sum(axis=0)
            return (
                float(np.mean(cosines)),
                float(np.mean(2 * hits / np.maximum(total, 1))),
                float(unexplained(few, codes, D, c)),
                codes.nnz / len(few),
                float(np.mean((codes != 0).sum(axis=0) == 0)),
                float(spent),
            )

        def own(more, seed=seed, X=X, few=few, measured=measured):
            began = time.process_time()
            model = TopKAutoencoder(n_features, l0, random_state=seed, **more)
            model.set_params(max_iter=arguments.max).fit(X)
            spent = time.process_time() - began
            D, c = model.decoder_components_, model.intercept_visible_
            return [measured(csr_array(model.transform(few)), D, c, spent)]

        def other(nested, rate, spent, X=X, few=few, measured=measured):
            rows = []

            def report(state, seconds, steps):
                W, b, D, c, threshold = state
                P = few @ W.T + b
                codes = csr_array(np.where(P > threshold, P, 0))
                rows.append(measured(codes, D, c, seconds))

            marks = [arguments.longer * spent]
            train_saelens(X, n_features, l0, marks, report, nested, rate)
            return rows

        tasks = {name: partial(own, more) for name, more in kinds.items()}
        spent = 0.0
        for name in (*kinds, *others):
            task = tasks.get(name) or partial(other, *others[name], spent)
            for row in remembered(arguments, "recovery", [name, seed], task) or []:
                mcc, f1, fvu, codes, silent, took = row
                spent = max(spent, took) if name in kinds else spent
                table.row(
                    name,
                    seed,
                    f"{mcc:.3f}",
                    f"{f1:.3f}",
                    f"{fvu:.3f}",
                    f"{codes:.1f}",
                    f"{100 * silent:.1f} %",
                    f"{took:.0f}",
                )
