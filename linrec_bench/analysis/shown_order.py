"""Which of two mechanisms is faster at which lengths, as far as it is shown, and where that changes.

The tests are ordered so that they need no correction over lengths. At either end of the range the outermost
length is tested at half of the risk, and the next one inward only where the last was shown (a fixed sequence;
Maurer, Hothorn and Lehmacher 1995, "Multiple comparisons in drug clinical trials and preclinical assays").
Lengths between two ends that were both shown share the whole risk (Bonferroni): they can show that the order
changes more than once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from linrec_bench.analysis.intervals import Array
from linrec_bench.analysis.risk import NO_SPREAD, Spread, strict

Sign = Literal[-1, 0, 1]
"""-1 where less is shown, 1 where more is, 0 where neither is."""

Outcome = Literal["always", "never", "crosses", "loses", "several", "partly", "none"]


@dataclass(frozen=True, kw_only=True)
class LogRatios:
    """Logarithms of a cost ratio at ascending lengths, with how far down and up their 95 % intervals reach
    and the processes that these are over. `spread` is that of the cases beside them. Exact numbers reach
    nowhere and count no processes."""

    lengths: Array
    value: Array
    down: Array
    up: Array
    rounds: Array
    spread: Spread = NO_SPREAD
    exact: bool = False

    def ends(self, risk: float) -> tuple[Array, Array]:
        """Both ends at each length at the level 1 - `risk`."""
        if self.exact:
            return self.value, self.value
        down, up = strict([self.down, self.up], self.rounds, risk, self.spread)
        return self.value - down, self.value + up

    def signs(self, risk: float) -> NDArray[np.int8]:
        low, high = self.ends(risk)
        return np.where(high < 0, -1, np.where(low > 0, 1, 0)).astype(np.int8)

    def swapped(self) -> LogRatios:
        """Of the other side over this one."""
        return LogRatios(
            lengths=self.lengths,
            value=-self.value,
            down=self.up,
            up=self.down,
            rounds=self.rounds,
            spread=self.spread,
            exact=self.exact,
        )


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is shown at the shortest length (`first`, for all lengths up to the index `until`) and at the
    longest (`last`, from the index `since` on), and how often the order changes between them."""

    outcome: Outcome
    first: Sign
    until: int
    last: Sign
    since: int
    changes: int


def shown_order(ratios: LogRatios, *, risk: float) -> Order:
    """The order that is shown with at most `risk` of any false statement about the pair.

    `always` and `never`: less, or more, at every length. `crosses` and `loses`: more at first and less at
    last, or the reverse. `several`: it changes more than once. `partly`: shown at one end or at both, with
    lengths in between or beyond at which nothing is. `none`: at neither end.
    """
    signs = ratios.signs(risk / 2)
    count = len(signs)
    first, last = signs[0], signs[-1]
    until = int(np.argmax(signs != first)) - 1 if (signs != first).any() else count - 1
    since = count - 1 - until if until == count - 1 else count - int(np.argmax(signs[::-1] != last))
    changes = 0
    if first and last and count > 2:
        inner = ratios.signs(risk / (count - 2))[1:-1]
        seen = [sign for sign in (first, *inner, last) if sign]
        changes = sum(one != other for one, other in pairwise(seen))
    elif first and last:
        changes = int(first != last)
    return Order(
        outcome=_outcome(int(first), int(last), changes, whole=until == count - 1),
        first=int(first),  # type: ignore[arg-type]
        until=until,
        last=int(last),  # type: ignore[arg-type]
        since=since,
        changes=changes,
    )


def _outcome(first: int, last: int, changes: int, *, whole: bool) -> Outcome:
    if not first and not last:
        return "none"
    if whole:
        return "always" if first < 0 else "never"
    if changes > 1:
        return "several"
    if changes == 1:
        return "crosses" if last < 0 else "loses"
    return "partly"


def latest_change(ratios: LogRatios, order: Order, *, risk: float) -> tuple[float, float, float]:
    """The length from which the order is that of the longest, and the ends of its interval: NaN where the
    data do not bound it. NaN without an order at the longest length.

    The estimate is interpolated in log-log; the ends are where the ends of the ratios cross one.
    """
    if not order.last:
        return np.nan, np.nan, np.nan
    side = ratios if order.last < 0 else ratios.swapped()
    # Each end errs on one side, so that both together need no more than `risk`.
    low, high = side.ends(risk)
    at = _from_which(side.lengths, side.value)
    latest = _from_which(side.lengths, high)
    if order.outcome == "several":
        low = side.ends(risk / (len(low) - 2))[0]
        other = np.flatnonzero(low > 0)
    else:
        # From the shortest on, without a gap.
        other = np.flatnonzero(np.cumprod(low > 0))
    earliest = _interpolated(side.lengths, low, int(other[-1])) if len(other) else np.nan
    return at, earliest, latest


def first_change(ratios: LogRatios, order: Order) -> float:
    """The length up to which the order is that of the shortest."""
    side = ratios if order.first < 0 else ratios.swapped()
    backwards = _from_which(1 / side.lengths[::-1], side.value[::-1])
    return 1 / backwards


def _from_which(lengths: Array, log_ratio: Array) -> float:
    """The length from which the ratio stays below one; the first where it is so everywhere, infinite where it
    is not at the last. NaN counts as not below."""
    above = np.flatnonzero(~(log_ratio < 0))
    if len(above) == 0:
        return float(lengths[0])
    last = int(above[-1])
    return np.inf if last == len(lengths) - 1 else _interpolated(lengths, log_ratio, last)


def _interpolated(lengths: Array, log_ratio: Array, at: int) -> float:
    """Where the ratio becomes one between a length and the next; at an end that is unknown, the known one."""
    (n0, n1), (r0, r1) = np.log(lengths[at : at + 2]), log_ratio[at : at + 2]
    if not np.isfinite(r0):
        return float(lengths[at + 1])
    if not np.isfinite(r1):
        return float(lengths[at])
    return float(np.exp(n0 + (n1 - n0) * r0 / (r0 - r1)))
