"""Rows near a curved surface: sparse codes, mixed, bent and noisy."""

import numpy as np
from benchopt import BaseDataset


class Dataset(BaseDataset):
    """Tanh of sums of few atoms."""

    name = "Simulated"
    parameters = {"n_samples, n_features": [(2000, 50)], "random_state": [0]}

    def get_data(self):
        """Return the rows."""
        rng = np.random.default_rng(self.random_state)
        codes = rng.exponential(size=(self.n_samples, 20))
        codes *= rng.uniform(size=codes.shape) < 0.15
        atoms = rng.standard_normal((20, self.n_features))
        noise = 0.05 * rng.standard_normal((self.n_samples, self.n_features))
        return {"X": np.tanh(codes @ atoms) + noise}
