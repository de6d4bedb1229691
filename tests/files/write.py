"""Write small files of every estimator as this version saves them, for later versions.

    python tests/files/write.py

makes ``tests/files/<version>/``: a pickle and a skops file of each model, and
``expected.npz``, what they compute. Run it once for each release, after the version is
set, and commit what it writes. Files of a release are never written again, only added
to: ``tests/test_files.py`` loads those of every version from then on. Those of a
development version (``.dev``) are written anew when what is saved changes, and go when
the release has its own. Needs skops.
"""

import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
from scipy.sparse import issparse
from sklearn.datasets import load_iris

import skae

HERE = Path(__file__).resolve().parent
METHODS = ("transform", "predict", "predict_proba", "score_samples")
SHORT = {"max_iter": 3, "random_state": 0}


def models():
    """Name and fitted estimator of each kind, and the rows that they are shown."""
    X, y = load_iris(return_X_y=True)
    X = np.round(X / 8, 4)
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    several = np.column_stack([y > 0, y > 1]).astype(int)
    stack = {"hidden_layer_sizes": (3, 2), **SHORT}
    online = skae.SparseAutoencoder(3, solver="adam", random_state=0)
    sparse = skae.SparseAutoencoder(3, **SHORT)
    classifier = skae.StackedAutoencoderClassifier
    regressor = skae.StackedAutoencoderRegressor
    fitted = {
        "sparse": skae.SparseAutoencoder(3, **SHORT).fit(X),
        "sparse_single_precision": skae.SparseAutoencoder(
            3, activation="relu", sparsity="l1", scale_codes=False, **SHORT
        ).fit(X.astype(np.float32)),
        "sparse_in_pieces": online.partial_fit(X[:80]).partial_fit(X[80:]),
        "denoising": skae.DenoisingAutoencoder(
            3, output_activation="logistic", loss="log_loss", **SHORT
        ).fit(X),
        "contractive": skae.ContractiveAutoencoder(3, tied_weights=True, **SHORT).fit(
            X
        ),
        "coding": skae.SparseCoding(3, **SHORT).fit(X),
        "coding_topographic": skae.SparseCoding(topography=(3, 3), **SHORT).fit(X),
        "stacked": skae.StackedAutoencoder(**stack).fit(X),
        "classifier": classifier(**stack).fit(X, labels),
        "classifier_of_labels": classifier(**stack).fit(X, several),
        "regressor": regressor(**stack).fit(X, X[:, 0]),
        "top_k": skae.TopKAutoencoder(8, n_nonzero_coefs=2, **SHORT).fit(X),
        "outliers": skae.ReconstructionOutlierDetector(sparse).fit(X),
        "imputer": skae.AutoencoderImputer(sparse, n_estimators=2).fit(X),
        "search": skae.AutoencoderCV(sparse, cv=2).fit(X),
    }
    return fitted, X[::10]


def compute(model, method, X):
    """What a method returns of the rows, as an array; an imputer is shown gaps."""
    if isinstance(model, skae.AutoencoderImputer):
        X = X.copy()
        X[::2, 1] = np.nan
    computed = getattr(model, method)(X)
    return computed.toarray() if issparse(computed) else computed


def main():
    """Write the folder of this version; that of a release must not be there."""
    import skops.io

    folder = HERE / skae.__version__
    folder.mkdir(exist_ok=".dev" in skae.__version__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted, X = models()
    expected = {"X": X}
    for name, model in fitted.items():
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(model, protocol=5))
        packed = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 9}
        skops.io.dump(model, folder / f"{name}.skops", **packed)
        for method in METHODS:
            if hasattr(model, method):
                expected[f"{name}.{method}"] = compute(model, method, X)
    np.savez_compressed(folder / "expected.npz", **expected)


if __name__ == "__main__":
    main()
