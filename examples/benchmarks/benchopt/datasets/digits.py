"""The 1,797 digits of scikit-learn, 8 x 8 pixels in [0, 1]."""

from benchopt import BaseDataset
from sklearn.datasets import load_digits


class Dataset(BaseDataset):
    """Images of digits; every pixel counts in units of the brightest."""

    name = "Digits"
    requirements = ["scikit-learn"]

    def get_data(self):
        """Return the rows."""
        return {"X": load_digits().data / 16}
