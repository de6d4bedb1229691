"""Peers of TopKAutoencoder in PyTorch: training on one thread, watched at marks."""

import importlib.util
import time
from pathlib import Path

import numpy as np


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
