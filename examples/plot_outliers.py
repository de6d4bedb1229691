r"""
===================================================
Finding outliers and the features that explain them
===================================================

This example finds faulty sensors of a machine, whose values stay in the usual range of
the sensor, and changed pixels in images of digits. Most outlier detectors only return a
score for each row, and do not tell *why* a row is an outlier.
:class:`~skae.ReconstructionOutlierDetector` also shows which features are unusual: it
predicts every entry of a row, and compares the entry with this prediction. The score of
a row is

.. math::

    \sum_j \left[ \rho\!\left(\frac{e_j}{s_j}\right)
        + w\, \rho\!\left(\frac{x_j - m_j}{t_j}\right) \right],

where :math:`e = x - \hat x` is the reconstruction error, :math:`m` contains the medians
of the features, :math:`s` and :math:`t` are the spreads of the errors and of the
features, and :math:`\rho` is Huber's loss. The terms of the sum are the contributions
of the features.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DenoisingAutoencoder, ReconstructionOutlierDetector
from skae.plotting import OutlierDisplay

# %%
# A machine with ten sensors
# --------------------------
#
# The readings of ten sensors, such as temperatures, currents and vibrations, depend on
# the load and the speed of a machine. The training set contains 3000 rows without
# faults, the test set 1000 rows. In 100 rows of the test set one sensor is faulty: it
# shows the value of another time of the day. The data are simulated.

random = np.random.RandomState(0)
names = [
    *("current", "voltage", "speed", "torque", "oil", "bearing", "coolant"),
    *("vibration", "noise", "flow"),
]
units = np.array([12, 1, 300, 40, 8, 9, 6, 0.2, 5, 1.5])


def moments(n_rows):
    """Readings of all sensors."""
    state = random.uniform(-1, 1, (n_rows, 2))
    load, speed = state.T
    readings = np.column_stack(
        [
            *(load + 0.5 * speed, -(load**2), speed, load / (1.5 + speed)),
            *(load * speed, np.abs(load) + speed**2, np.tanh(2 * load)),
            *(np.sin(3 * speed), speed**2 + 0.3 * load, load - speed),
        ]
    )
    return units * (readings + 0.04 * random.standard_normal(readings.shape) + 3)


train, later, elsewhere = moments(3000), moments(1000), moments(1000)
wrong = np.full(len(later), -1)
faulty = random.choice(len(later), 100, replace=False)
wrong[faulty] = random.randint(10, size=100)
later[faulty, wrong[faulty]] = elsewhere[faulty, wrong[faulty]]

# %%
# The default detector contains a scaler and a sparse autoencoder. If the training rows
# are known to be free of outliers, the reconstruction errors are sufficient; this is
# ``distance_weight=0``. A denoising autoencoder learns to predict each sensor from the
# others, and therefore identifies single faulty sensors better.

noise = {"corruption": "gaussian", "corruption_level": 0.5, "random_state": 0}
denoising = make_pipeline(
    StandardScaler(), DenoisingAutoencoder(40, tol=0.05, alpha=1e-4, **noise)
)
detectors = {
    "IsolationForest": IsolationForest(random_state=0),
    "default": ReconstructionOutlierDetector(random_state=0),
    "errors alone": ReconstructionOutlierDetector(distance_weight=0, random_state=0),
    "denoising": ReconstructionOutlierDetector(denoising, distance_weight=0),
}
for name, detector in detectors.items():
    scores = -detector.fit(train).score_samples(later)
    line = f"{name:<16} AUC {roc_auc_score(wrong >= 0, scores):.3f}"
    if hasattr(detector, "feature_scores"):
        largest = detector.feature_scores(later[faulty]).argmax(axis=1)
        line += f", faulty sensor identified {np.mean(largest == wrong[faulty]):.0%}"
    print(line)

# %%
# ``OutlierDisplay`` shows the score of one row among the scores of all rows, and the
# contributions of the features to it.

detector = detectors["denoising"]
row = faulty[np.argsort(detector.score_samples(later[faulty]))[20]]
display = OutlierDisplay.from_estimator(detector, later, row=row)
display.axes_[1].set_yticklabels(
    [names[int(label.get_text()[1:])] for label in display.axes_[1].get_yticklabels()]
)
print(f"The faulty sensor is: {names[wrong[row]]}")
plt.show()

# %%
# Setting the threshold
# ---------------------
#
# ``contamination`` sets the threshold. A float is the fraction of the training rows
# that are called outliers. With "auto" this fraction is one per cent or more. The
# scores do not depend on ``contamination``.

for contamination in ("auto", 0.01, 0.05):
    detector.set_params(contamination=contamination).fit(train)
    called = detector.predict(later) < 0
    print(
        f"contamination={contamination!r:<7} {called.sum():3d} rows called outliers, "
        f"among them {(called & (wrong >= 0)).sum():2d} of {len(faulty)} faulty ones"
    )

# %%
# Images
# ------
#
# For images, the features are pixels, and their contributions can be drawn as an image.
# The detector learns from 1200 digits. In eight other digits, a patch of 3 x 3 pixels
# is inverted. In the last row of the figure, dark pixels contribute most to the score.

X, _ = load_digits(return_X_y=True)
noise |= {"corruption_level": 4.0}
ink = ReconstructionOutlierDetector(
    DenoisingAutoencoder(100, tol=0.05, **noise), distance_weight=0
).fit(X[:1200])
pictures = X[1200:1208].copy().reshape(-1, 8, 8)
pictures[:, 3:6, 2:5] = 16 - pictures[:, 3:6, 2:5]
rows = pictures.reshape(-1, 64)
contributions = ink.feature_scores(rows)

figure, axes = plt.subplots(3, 8, figsize=(9, 3.6), layout="constrained")
shown = X[1200:1208], rows, contributions
titles = "digits", "changed", "contributions"
for axes_of_row, images, title in zip(axes, shown, titles, strict=True):
    for ax, image in zip(axes_of_row, images, strict=True):
        is_contribution = title == "contributions"
        colours, most = ("Reds", image.max()) if is_contribution else ("gray_r", 16)
        ax.imshow(image.reshape(8, 8), cmap=colours, vmin=0, vmax=most)
        ax.set(xticks=[], yticks=[])
    axes_of_row[0].set_ylabel(title)
plt.show()

before, after = -ink.score_samples(X[1200:1208]), -ink.score_samples(rows)
print("Scores of the digits:        ", *np.round(before).astype(int))
print("Scores of the changed digits:", *np.round(after).astype(int))
print(f"Threshold: {-ink.offset_:.0f}")
