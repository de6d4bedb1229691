r"""
====================================
Which sensor is wrong, and which ink
====================================

An outlier detector that says "row 1207 is strange" leaves the work to its user. A
detector by reconstruction can say more: it expects a value for every entry, and what
the row differs by from that is spread over the features. With errors
:math:`e = x - \hat x`, scales :math:`s` and :math:`t` of the features, middle :math:`m`
and Huber's :math:`\rho`, the score of a row is

.. math::

    \sum_j \rho\!\left(\frac{e_j}{s_j}\right)
        + w\, \rho\!\left(\frac{x_j - m_j}{t_j}\right),

and each feature has its part in it. Here are faults of sensors of a machine, none of
which leaves the usual range of its sensor, and digits with something in them that is
no part of a digit.
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
# Load and speed of a machine vary through the day, and ten sensors follow them, each
# in its own way and unit: temperatures, currents, vibrations. The rows are 3000 moments
# in good order, and 1000 later ones; in 100 of these one sensor shows what it would
# show at some other moment of the day. The readings are drawn, not measured.

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
# The default detector has a scaler and a sparse autoencoder inside. Where the training
# rows are known to be in good order, errors alone tell most, so ``distance_weight=0``.
# A denoising autoencoder learns to tell each sensor from the others, which makes it the
# better judge of single sensors.

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
        blamed = detector.feature_scores(later[faulty]).argmax(axis=1)
        line += f", right sensor {np.mean(blamed == wrong[faulty]):.0%}"
    print(line)

# %%
# ``OutlierDisplay`` shows where a row stands among all, and why.

detector = detectors["denoising"]
row = faulty[np.argsort(detector.score_samples(later[faulty]))[20]]
display = OutlierDisplay.from_estimator(detector, later, row=row)
display.axes_[1].set_yticklabels(
    [names[int(label.get_text()[1:])] for label in display.axes_[1].get_yticklabels()]
)
print(f"What is wrong is the sensor of {names[wrong[row]]}.")
plt.show()

# %%
# How many to look at
# -------------------
#
# ``contamination`` sets the threshold: "auto" calls at least a hundredth of the
# training rows outliers; a float calls just that share so. Scores are the same for all.

for contamination in ("auto", 0.01, 0.05):
    detector.set_params(contamination=contamination).fit(train)
    called = detector.predict(later) < 0
    print(
        f"contamination={contamination!r:<7} {called.sum():3d} called, of which "
        f"{(called & (wrong >= 0)).sum():2d} of the {len(faulty)} faults"
    )

# %%
# Pictures
# --------
#
# Pixels are features too, and what they contribute is a picture. The detector has seen
# 1200 digits; in others a patch of 3 x 3 pixels is inverted, white to black and back.
# Blame is darkest at the largest part of each row.

X, _ = load_digits(return_X_y=True)
noise |= {"corruption_level": 4.0}
ink = ReconstructionOutlierDetector(
    DenoisingAutoencoder(100, tol=0.05, **noise), distance_weight=0
).fit(X[:1200])
pictures = X[1200:1208].copy().reshape(-1, 8, 8)
pictures[:, 3:6, 2:5] = 16 - pictures[:, 3:6, 2:5]
rows = pictures.reshape(-1, 64)
blame = ink.feature_scores(rows)

figure, axes = plt.subplots(3, 8, figsize=(9, 3.6), layout="constrained")
shown = X[1200:1208], rows, blame
titles = "digits", "strange", "blame"
for axes_of_row, images, title in zip(axes, shown, titles, strict=True):
    for ax, image in zip(axes_of_row, images, strict=True):
        is_blame = title == "blame"
        colours, most = ("Reds", image.max()) if is_blame else ("gray_r", 16)
        ax.imshow(image.reshape(8, 8), cmap=colours, vmin=0, vmax=most)
        ax.set(xticks=[], yticks=[])
    axes_of_row[0].set_ylabel(title)
plt.show()

before, after = -ink.score_samples(X[1200:1208]), -ink.score_samples(rows)
print("Scores of the digits:      ", *np.round(before).astype(int))
print("Scores of the strange ones:", *np.round(after).astype(int))
print(f"Threshold: {-ink.offset_:.0f}")
