"""Outlier detection by reconstruction errors."""
