"""Has a timed ratio changed since it was accepted? Intervals of both sides, and a margin for the machine.

What is compared is the ratio to a reference mechanism that was measured in the same run, side by side: the
speed of the machine cancels, and with it most of what differs between two runs of the same code.
"""

from __future__ import annotations

import math

from linrec_bench.analysis.intervals import Interval
from linrec_bench.analysis.verdict import Answer, Bound, answer


def change(new: Interval, old: Interval) -> Interval:
    """new / old with its interval: 1.1 says that the ratio has grown by a tenth.

    The two were measured independently, so that the reaches of their intervals, in logarithms, add in
    quadrature. The interval is unknown (NaN) unless both were resampled over rounds: one round alone does not
    tell how much processes differ.
    """
    value = new.value / old.value
    rounds = min(new.rounds, old.rounds)
    if new.over != "rounds" or old.over != "rounds":
        return Interval(value, math.nan, math.nan, rounds, "nothing")
    down = math.hypot(math.log(new.value / new.low), math.log(old.high / old.value))
    up = math.hypot(math.log(new.high / new.value), math.log(old.value / old.low))
    return Interval(value, value * math.exp(-down), value * math.exp(up), rounds, "rounds")


def unchanged(margin: float) -> Bound:
    """The changes that count as none: as far down as up, in logarithms. `ValueError` for a margin below 0."""
    if not margin >= 0:
        raise ValueError(f"margin {margin}; expected a share of 0 or more, such as 0.1 for 10 %")
    return Bound(1 / (1 + margin), 1 + margin, f"within {margin:.1%}")


def narrow(ratio: Interval, margin: float) -> bool:
    """Whether a ratio is known well enough to be a baseline: the half width of its interval, in logarithms,
    is at most half of the margin. Never over less than two rounds."""
    if ratio.over != "rounds":
        return False
    return math.log(ratio.high / ratio.low) / 2 <= math.log1p(margin) / 2


def compare_ratio(new: Interval, old: Interval, *, margin: float) -> Answer:
    """Broken when the interval of the change lies wholly outside of the margin, faster or slower.

    An unexplained gain is broken too: what was accepted is no longer what runs. Undecided when the interval
    reaches over an end of the margin, or is unknown.
    """
    found = change(new, old)
    return answer(unchanged(margin), found.low, found.high)
