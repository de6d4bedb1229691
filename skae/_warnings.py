"""Warnings that point at the line outside this package that led to them."""

import sys
import warnings


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the first frame outside this package and those that call it for users."""
    frame, level = sys._getframe(1), 2
    inside = ("skae", "sklearn", "joblib", "pickle", "skops")
    while (
        frame.f_back is not None
        and frame.f_globals.get("__name__", "").partition(".")[0] in inside
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
