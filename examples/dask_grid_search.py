"""
Grid search on a dask cluster
=============================

A grid search consists of many fits that are independent of each other. scikit-learn
passes them to joblib, and joblib passes them to dask. Only the backend has to be set;
the estimator and the search stay the same. X is sent to the workers once, by
``scatter``.

Use this if the data fit in the memory of one worker. If they do not, pass dask arrays
to ``fit``.
"""

import joblib
from distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skae import SparseAutoencoder


def main():
    """Search on a cluster of two processes, and print what came out."""
    X = load_digits().data / 16
    search = GridSearchCV(
        SparseAutoencoder(16, max_iter=50, tol=0.05, random_state=0),
        {"sparsity_target": [0.05, 0.2], "n_components": [16, 32]},
        cv=3,
    )
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster),
        joblib.parallel_backend("dask", scatter=[X]),
    ):
        search.fit(X)
    for parameters, score in zip(
        search.cv_results_["params"],
        search.cv_results_["mean_test_score"],
        strict=True,
    ):
        print(f"{score:.3f}  {parameters}")
    print("best:", search.best_params_)


# Worker processes import this file to find what is in it.
if __name__ == "__main__":
    main()
