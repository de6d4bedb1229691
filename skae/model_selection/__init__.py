"""Choosing: paths over a parameter, their cross-validation, and comparisons."""
