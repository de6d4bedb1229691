"""Outliers: rows that a fitted estimator cannot reconstruct, and why."""
