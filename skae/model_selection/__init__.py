"""Model selection: paths of fits, their cross-validation, and comparisons."""
