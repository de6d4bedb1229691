"""From an objective and rows to parameters: the one fit path of every estimator."""
