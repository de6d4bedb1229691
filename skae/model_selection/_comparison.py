"""A comparison as a table: text, Markdown, HTML or a data frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

COLUMNS = (
    *("estimator", "components", "score", "error"),
    *("difference", "low", "high", "p"),
    *("explained", "sparsity", "fit_seconds", "transform_seconds", "parameters"),
)
HEADS = (
    *("", "components", "score", "against PCA", "p"),
    *("explained", "sparsity", "fit s", "transform s", "parameters"),
)


class Comparison:
    """Result of :func:`compare`, printed as a table.

    Parameters
    ----------
    rows : list of dict
        For each estimator and number of components, the columns that ``compare`` lists.

    fold_scores : dict of (str, int) to ndarray of shape (n_folds,)
        Scores of the folds, for each estimator and number of components.

    fold_explained : dict of (str, int) to ndarray of shape (n_folds,)
        Fractions of the variance of the held-out rows that are explained.

    fitted : dict of (str, int) to estimator
        The estimators as fitted in the last fold.

    score_name : str
        Name of the score.

    See Also
    --------
    compare : Compute the comparison.
    skae.plotting.ComparisonDisplay : Draw the comparison.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import SparseAutoencoder, compare
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SparseAutoencoder(tol=0.1, random_state=0)
    >>> comparison = compare([model], X, y, n_components=2, cv=3)
    >>> print(comparison.to_markdown().splitlines()[0][:35])
    |  | components | score | against PCA
    """

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        fold_scores: dict[tuple[str, int], np.ndarray],
        fold_explained: dict[tuple[str, int], np.ndarray],
        fitted: dict[tuple[str, int], Any],
        score_name: str,
    ) -> None:
        self.rows = rows
        self.fold_scores = fold_scores
        self.fold_explained = fold_explained
        self.fitted = fitted
        self.score_name = score_name

    def to_frame(self) -> Any:
        """Return the table as a data frame.

        Returns
        -------
        pandas.DataFrame
            One row for each estimator and number of components.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas; install it with pip install pandas, or use "
                "the rows, a list of dict."
            ) from error
        return pd.DataFrame(self.rows, columns=list(COLUMNS))

    def to_markdown(self) -> str:
        """Return the table in Markdown.

        Returns
        -------
        str
            The table, with one line for each estimator and number of components.
        """
        lines = [HEADS, ["---"] * len(HEADS), *map(_cells, self.rows)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def __str__(self) -> str:
        table = [[self.score_name, *HEADS[1:]], *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        table.insert(1, ["-" * width for width in widths])
        return "\n".join(
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ).rstrip()
            for cells in table
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def line(cells: Sequence[str], tag: str) -> str:
            return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)

        body = "".join(f"<tr>{line(_cells(row), 'td')}</tr>" for row in self.rows)
        head = line([self.score_name, *HEADS[1:]], "th")
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: dict[str, Any]) -> list[str]:
    difference = ""
    if _is_there(row["difference"]):
        difference = f"{row['difference']:+.3f}"
        if _is_there(row["low"]):
            difference += f" [{row['low']:+.3f}, {row['high']:+.3f}]"
    score = f"{row['score']:.3f}"
    if _is_there(row["error"]):
        score += f" ± {row['error']:.3f}"
    return [
        row["estimator"],
        str(row["components"]),
        score,
        difference,
        _number(row["p"], ".2g"),
        _number(row["explained"], ".3f"),
        _number(row["sparsity"], ".2f"),
        _number(row["fit_seconds"], ".3f"),
        _number(row["transform_seconds"], ".4f"),
        "" if row["parameters"] is None else str(row["parameters"]),
    ]


def _is_there(value: Any) -> bool:
    return value is not None and not math.isnan(value)


def _number(value: Any, how: str) -> str:
    return format(value, how) if _is_there(value) else ""
