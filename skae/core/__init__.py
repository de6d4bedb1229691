"""The mathematics: NumPy only, knows no estimator, no solver and no thread."""
