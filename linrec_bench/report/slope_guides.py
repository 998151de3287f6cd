"""Short named lines of slope 1 and 2, where no measured line passes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise, product

from linrec_bench.report import charts
from linrec_bench.report.charts import Line, Log, Words

Point = tuple[float, float]

CLEAR = 9.0
"""Distance to lines that is enough: half a label and a mark."""

_STARTS = tuple(product((0.6, 0.45, 0.3, 0.15, 0.03), (0.05, 0.25, 0.45, 0.65, 0.75)))
"""Where guides may start, shares of the height and width of the plot: first the upper left corner, which
growing lines leave empty."""

_WORD = (4.0, 10.0, 16.0)
"""Where a name behind its line has ink, beyond the end of the line."""


def guides(x: Log, y: Log, lines: Iterable[Sequence[Point]]) -> tuple[tuple[Line, ...], tuple[Words, ...]]:
    """The guides and their names at the first start that is clear of `lines` (points in the drawing), or else
    at the clearest."""
    taken = [point for line in lines for point in _dense(line)]
    places = [_ends(x, y, across, up) for up, across in _STARTS]
    clearances = [_clearance(place, taken) for place in places]
    best = next((at for at, clear in enumerate(clearances) if clear >= CLEAR), None)
    place = places[max(range(len(places)), key=clearances.__getitem__) if best is None else best]
    start, ends = place
    return (
        tuple(Line(name, charts.polyline([start, end])) for name, end in ends.items()),
        tuple(Words(end[0] + 3, end[1] + 3, name) for name, end in ends.items()),
    )


def _ends(x: Log, y: Log, across: float, up: float) -> tuple[Point, dict[str, Point]]:
    """Where both guides start, and by name where they end."""
    left, bottom = x.low * (x.high / x.low) ** across, y.low * (y.high / y.low) ** up
    reach = min((x.high / x.low) ** 0.16, (y.high / y.low) ** (0.32 / 2))
    ends = {name: (x(left * reach), y(bottom * reach**power)) for power, name in ((1, "N"), (2, "N²"))}
    return (x(left), y(bottom)), ends


def _clearance(place: tuple[Point, dict[str, Point]], taken: Sequence[Point]) -> float:
    start, ends = place
    ink = [point for end in ends.values() for point in _dense([start, end])]
    ink += [(end[0] + more, end[1]) for end in ends.values() for more in _WORD]
    return min((math.dist(one, other) for one, other in product(ink, taken)), default=math.inf)


def _dense(line: Sequence[Point]) -> list[Point]:
    """Points along a line, no further from each other than 4."""
    found = list(line[:1])
    for here, there in pairwise(line):
        steps = max(1, math.ceil(math.dist(here, there) / 4))
        found += [
            (here[0] + (there[0] - here[0]) * step / steps, here[1] + (there[1] - here[1]) * step / steps)
            for step in range(1, steps + 1)
        ]
    return found
