"""Where labels stand so that none covers another. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def spread(wanted: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Positions nearest to `wanted` (least squares), in the same order, at least `gap` apart, in low .. high.

    Where not all fit, they are spaced evenly over the range.
    """
    if not wanted:
        return []
    # Imported where it is needed: it takes as long as the tables of a short report.
    from scipy.optimize import isotonic_regression

    order = np.argsort(wanted, kind="stable")
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    steps = gap * np.arange(len(wanted))
    # Without the gaps, the nearest ordered positions are an isotonic regression.
    flat = isotonic_regression(np.asarray(wanted, dtype=np.float64)[order] - steps).x
    positions = np.empty(len(wanted))
    positions[order] = np.clip(flat, low, high - steps[-1]) + steps
    return [float(position) for position in positions]
