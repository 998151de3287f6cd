"""Time and peak memory against length as charts: what was measured, what was not, and where lines cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from linrec_bench.figures.ticks import log_ticks
from linrec_bench.report import charts
from linrec_bench.report.charts import Box, Chart, Log, Tick, Words
from linrec_bench.report.cost_marks import crossing_mark, failure, mechanism
from linrec_bench.report.costs import COSTS, Cost, measured, unmeasured
from linrec_bench.report.crossings import Crossing, crossings_of, in_words
from linrec_bench.report.frames import Part, panels, phases
from linrec_bench.report.slope_guides import guides
from linrec_bench.report.ticks import ticks

PLOT = (256.0, 184.0)
"""Width and height of what is measured, without the rows above and below it."""

ROW = 12.0
"""Height of a row of hollow marks, and of a row of crossings."""

LEFT, TOP, FOOT = 56.0, 6.0, 40.0
HEADING = 14.0
TICK_ROOM = 46.0


@dataclass(frozen=True)
class Shape:
    """The charts of one shape (batch, width and so on), a row of them for each cost."""

    name: str
    charts: tuple[Chart, ...]


def cost_shapes(part: Part, reference: str) -> list[Shape]:
    """Every shape of a part that was measured at two lengths or more; first that with the most cases."""
    found = []
    for name, rows in panels(part.rows):
        drawn = [chart for cost in COSTS for chart in _charts(rows, cost, reference)]
        if drawn:
            found.append(Shape(name, tuple(drawn)))
    return found


def _charts(rows: pd.DataFrame, cost: Cost, reference: str) -> list[Chart]:
    """A chart for each phase, all of one size and with the same axes."""
    drawn = rows[measured(rows, cost)]
    if drawn["seq_len"].nunique() < 2:
        return []
    parts = [(words, part) for _, words, part in phases(rows) if measured(part, cost).any()]
    crossings = [crossings_of(part[measured(part, cost)], cost, reference) for _, part in parts]
    room = _Room(
        failed=max(len(unmeasured(part)) for _, part in parts),
        crossed=max(sum(each.seq_len is not None for each in found) for found in crossings),
        labels=charts.label_room(list(dict.fromkeys(rows["attention"]))),
    )
    scales = _scales(rows, drawn, cost, room)
    return [
        _chart(part, cost, f"{cost.name}, {words}".capitalize(), found, reference, room, scales)
        for (words, part), found in zip(parts, crossings, strict=True)
    ]


@dataclass(frozen=True)
class _Room:
    """Rows of hollow marks and of crossings that charts of one size need, and how wide labels are."""

    failed: int
    crossed: int
    labels: float

    @property
    def plot(self) -> Box:
        """Where values are drawn."""
        top = TOP + self.failed * ROW + (5 if self.failed else 0)
        return Box(LEFT, top, LEFT + PLOT[0], top + PLOT[1])

    @property
    def whole(self) -> Box:
        """The plot with the rows above and below."""
        below = HEADING + self.crossed * ROW + 3 if self.crossed else 0
        return Box(LEFT, TOP, LEFT + PLOT[0], self.plot.bottom + below)

    @property
    def shades(self) -> tuple[Box, ...]:
        """The rows above and below, whose height is no value."""
        above = (replace(self.whole, bottom=self.plot.top),) if self.failed else ()
        below = (replace(self.whole, top=self.plot.bottom),) if self.crossed else ()
        return above + below


def _scales(rows: pd.DataFrame, drawn: pd.DataFrame, cost: Cost, room: _Room) -> tuple[Log, Log]:
    lengths = rows["seq_len"].astype(float)
    ends = [drawn[cost.column].astype(float)]
    if cost.interval:
        ends += [drawn[f"{cost.column}_{end}"].astype(float).dropna() for end in ("low", "high")]
    values = pd.concat(ends)
    low, high = float(values.min()), float(values.max())
    margin = max(high / low, 4.0) ** 0.05
    plot = room.plot
    return (
        Log(float(lengths.min()) / 2**0.35, float(lengths.max()) * 2**0.35, plot.left, plot.right),
        Log(low / margin, high * margin, plot.bottom, plot.top),
    )


def _chart(
    rows: pd.DataFrame,
    cost: Cost,
    title: str,
    crossings: Sequence[Crossing],
    reference: str,
    room: _Room,
    scales: tuple[Log, Log],
) -> Chart:
    x, y = scales
    plot, whole = room.plot, room.whole
    drawn = [mechanism(str(name), part, cost, x, y) for name, part in rows.groupby("attention", sort=False)]
    failures = [
        failure(name, rows[rows["attention"] == name], x, TOP + 2.5 + ROW * (at + 0.5))
        for at, name in enumerate(unmeasured(rows))
    ]
    crossed = [each for each in crossings if each.seq_len is not None]
    below = [
        crossing_mark(each, cost, reference, x, plot.bottom + HEADING + ROW * (at + 0.5))
        for at, each in enumerate(crossed)
    ]
    ends = {each.key: each.marks[-1].y for each in drawn if each.marks}
    ends |= {each.marks[0].key: each.marks[0].y for each in failures if each.marks[0].key not in ends}
    lines = [[(mark.x, mark.y) for mark in each.marks] for each in drawn]
    slopes, names = guides(x, y, lines)
    heading = Words(plot.left + 4, plot.bottom + 10.5, f"{cost.cheaper} than {reference} from N =")
    return Chart(
        title=title,
        width=whole.right + room.labels,
        height=whole.bottom + FOOT,
        box=whole,
        x_name="sequence length N",
        x_ticks=_x_ticks(rows, x),
        y_ticks=ticks(log_ticks(y.low, y.high, base=cost.base, least=4), y, cost.ticks),
        marks=tuple(mark for each in [*drawn, *failures, *below] for mark in each.marks),
        labels=charts.beside(ends, replace(plot, top=TOP)),
        lines=tuple(line for each in drawn for line in each.lines),
        areas=tuple(area for each in drawn for area in each.areas),
        whiskers=tuple(line for each in below for line in each.lines),
        guides=slopes,
        shades=room.shades,
        words=(
            *names,
            *(words for each in failures for words in each.words),
            *([heading] if room.crossed else []),
        ),
        note=in_words(crossings, cost, reference),
    )


def _x_ticks(rows: pd.DataFrame, x: Log) -> tuple[Tick, ...]:
    """The lengths of the grid, as many as there is room for words."""
    lengths = sorted({int(length) for length in rows["seq_len"]})
    ticks: list[Tick] = []
    for length in reversed(lengths):
        if not ticks or ticks[-1].at - x(length) >= TICK_ROOM:
            ticks.append(Tick(x(length), f"{length:,}"))
    return tuple(reversed(ticks))
