"""Where labels stand so that none covers another. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def spread(wanted: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Positions nearest to `wanted` (least squares), in the same order, at least `gap` apart, in low .. high.

    Where not all fit, they are spaced evenly over the range.
    """
    if not wanted:
        return []
    order = np.argsort(wanted, kind="stable")
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    steps = gap * np.arange(len(wanted))
    # Without the gaps, the nearest ordered positions are an isotonic regression.
    flat = _isotonic(np.asarray(wanted, dtype=np.float64)[order] - steps)
    positions = np.empty(len(wanted))
    positions[order] = np.clip(flat, low, high - steps[-1]) + steps
    return [float(position) for position in positions]


def _isotonic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest values that nowhere decrease: neighbours that do are pooled (Barlow et al. 1972, 1.2).

    scipy.optimize has it too, whose import takes as long as all figures of a short report.
    """
    means, sizes = list[float](), list[int]()
    for value in values:
        mean, size = float(value), 1
        while means and means[-1] >= mean:
            mean, size = (mean * size + means[-1] * sizes[-1]) / (size + sizes[-1]), size + sizes.pop()
            means.pop()
        means.append(mean)
        sizes.append(size)
    return np.repeat(means, sizes)
