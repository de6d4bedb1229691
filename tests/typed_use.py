"""What users write, for a type checker to accept: pyright reads it, nothing runs it."""

from typing import assert_type

import numpy as np

import skae

X = np.zeros((20, 4))
y = np.zeros(20, int)

sparse = skae.SparseAutoencoder(
    16, alpha=1e-4, sparsity_weight=("scale", 3), sparsity_target=0.05, random_state=0
)
assert_type(sparse.fit(X), skae.SparseAutoencoder)
assert_type(sparse.fit(X, sample_weight=[1.0] * 20).loss_, float)
assert_type(sparse.score(X), float)
sparse.partial_fit(X)
sparse.inverse_transform(sparse.transform(X)).astype(np.float32)
print(sparse.components_.shape, sparse.mean_activation_.max(), sparse.sparsity_target_)
assert_type(sparse.penalties_["squares"][0], float)

skae.SparseAutoencoder(alpha="scale", sparsity=None, n_components=None)
skae.DenoisingAutoencoder(8, alpha=1, random_state=np.random.RandomState(0)).fit(X)
print(skae.DenoisingAutoencoder(8).fit(X).feature_range_.shape)
assert_type(skae.ContractiveAutoencoder().fit(X).contraction_weight_, float)
skae.ContractiveAutoencoder(contraction_weight=("scale", 0.5))
print(skae.SparseCoding(topography=(4, 4), epsilon=1e-3).fit(X).pooling_)
print(skae.StackedAutoencoder((8, 2), autoencoder=sparse).fit(X).coefs_[0].shape)
skae.StackedAutoencoder([8, 2], autoencoder=[sparse, "denoising"]).fit(X)
classifier = skae.StackedAutoencoderClassifier(8, autoencoder=None, solver="adam")
classifier.fit(X, y, X_unlabeled=X).predict_proba(X).argmax(axis=1)
print(classifier.classes_[0])
skae.StackedAutoencoderRegressor(8, alpha=1e-3).fit(X, y).predict(X).mean()

# What does not exist, or is of another type, is seen.
skae.SparseAutoencoder(units=3)  # pyright: ignore[reportCallIssue]
skae.SparseAutoencoder("many")  # pyright: ignore[reportArgumentType]
skae.SparseAutoencoder(alpha=None)  # pyright: ignore[reportArgumentType]
