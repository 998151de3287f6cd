"""How rows of numbers grow, a block character a number. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def sparklines(lengths: Sequence[int], rows: Sequence[Sequence[float]]) -> list[str]:
    """A line of blocks for each row of positive values at `lengths`; NaN leaves a space.

    The height of a block is the logarithm of value / first value of the row. One scale serves all rows, so
    that slopes compare between them; its top is the largest growth, but at least that of the lengths, so
    that noise on flat rows stays flat.
    """
    growths = [_log_growth(row) for row in rows]
    top = max(
        [math.log(max(lengths) / min(lengths)), *(g for row in growths for g in row if not math.isnan(g))],
    )
    return ["".join(_block(growth, top) for growth in row) for row in growths]


def _log_growth(row: Sequence[float]) -> list[float]:
    first = next((value for value in row if value > 0), math.nan)
    return [math.log(value) - math.log(first) if value > 0 else math.nan for value in row]


def _block(growth: float, top: float) -> str:
    if math.isnan(growth):
        return " "
    share = growth / top if top > 0 else 0.0
    return BLOCKS[round(min(1.0, max(0.0, share)) * (len(BLOCKS) - 1))]
