"""Training: turns an objective and rows into fitted parameters.

Every estimator trains through ``skae.training.run.fit``. This subpackage does not
import scikit-learn.
"""
