"""The comparison of added rows with earlier ones: the part that both engines share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from harness.results import Relation

QUANTILES = tuple(tenth / 10 for tenth in range(11))
"""Quantiles of the earlier rows that separate the bins of a number, from the smallest to the largest."""
MAX_RELATIONS = 10
MAX_NEW_VALUES = 20
OTHER_VALUES = "other new values"
"""Stands for all new values beyond the most frequent ones."""
MAX_LABEL_VALUES = 10
MAX_OTHER_NUMBERS = 100
"""Maximum number of numeric columns that are compared besides the features."""


def choose_edges(quantiles: Sequence[float]) -> list[float]:
    """Return the limits between the bins of a number; the outer bins are beyond all earlier rows.

    Args:
        quantiles: Its values at ``QUANTILES``; empty if no earlier row has a value.
    """
    if not quantiles:
        return []
    return sorted({*quantiles[:-1], math.nextafter(quantiles[-1], math.inf)})


def correlate(rows: int, sums: Any, products: Any) -> Any:
    """Return the correlations of all pairs of columns; not a number for a constant column.

    Args:
        rows: Number of rows.
        sums: Sum of each column's bins, of shape (columns,).
        products: Sums of the products of two columns' bins, of shape (columns, columns).
    """
    import numpy as np

    totals = sums.astype(float)
    covariance = products * float(rows) - np.outer(totals, totals)
    deviation = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        return covariance / np.outer(deviation, deviation)


def rank_relations(names: Sequence[str], before: Any, added: Any) -> list[Relation]:
    """Return the correlations of all pairs of columns in both groups, the largest differences first.

    Args:
        names: The columns.
        before: Their correlations among the earlier rows.
        added: Their correlations among the added rows.
    """
    found = []
    for one in range(len(names)):
        for other in range(one):
            values = float(before[one, other]), float(added[one, other])
            if all(map(math.isfinite, values)):
                found.append(Relation(columns=(names[other], names[one]), before=values[0], added=values[1]))
    return sorted(found, key=lambda each: (-abs(each.added - each.before), each.columns))
