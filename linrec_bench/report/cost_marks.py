"""What one mechanism adds to a cost chart: its line, where it was not measured, where it crosses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from linrec_bench.presentation import numbers, words
from linrec_bench.report import charts
from linrec_bench.report.charts import Line, Log, Mark, Words
from linrec_bench.report.costs import Cost
from linrec_bench.report.crossings import Crossing
from linrec_bench.report.frames import number, records


@dataclass(frozen=True)
class Drawn:
    """What one mechanism adds to a chart."""

    key: str
    marks: tuple[Mark, ...]
    lines: tuple[Line, ...] = ()
    areas: tuple[Line, ...] = ()
    words: tuple[Words, ...] = ()


def mechanism(name: str, rows: pd.DataFrame, cost: Cost, x: Log, y: Log) -> Drawn:
    """Its line, band and marks; the line breaks at a length without a value."""
    cases = records(rows.sort_values("seq_len"))
    values = [number(row, cost.column) if row["status"] == "ok" else math.nan for row in cases]
    points = [
        (x(number(row, "seq_len")), y(value) if value > 0 else math.nan)
        for row, value in zip(cases, values, strict=True)
    ]
    lines, areas = [], []
    for stretch in charts.runs([value > 0 for value in values]):
        path = charts.polyline([points[at] for at in stretch])
        if path:
            lines.append(Line(name, path, charts.dashes(name)))
    ends = [_interval(row, cost) for row in cases]
    for stretch in charts.runs(
        [value > 0 and end is not None for value, end in zip(values, ends, strict=True)]
    ):
        bounds = [(points[at][0], end) for at in stretch if (end := ends[at])]
        region = charts.area([(at, y(end[1])) for at, end in bounds], [(at, y(end[0])) for at, end in bounds])
        if region:
            areas.append(Line(name, region))
    marks = tuple(
        Mark(name, *points[at], _said(row, cost, values[at]))
        for at, row in enumerate(cases)
        if values[at] > 0
    )
    return Drawn(name, marks, tuple(lines), tuple(areas))


def _interval(row: dict[str, object], cost: Cost) -> tuple[float, float] | None:
    """The interval of a case; None without one."""
    low, high = (number(row, f"{cost.column}_{end}") for end in ("low", "high"))
    return (low, high) if cost.interval and low > 0 and high > 0 else None


def _said(row: dict[str, object], cost: Cost, value: float) -> str:
    """`linrec at N = 4,096: 12.3 ms [11.9, 13.0], 0.312 × softmax`."""
    text = f"{row['attention']} at N = {row['seq_len']:,}: {cost.said(value)}"
    ends = _interval(row, cost)
    if ends is not None:
        text += f" {numbers.duration_interval(value, *ends)}"
    ratio = number(row, cost.ratio)
    if not math.isnan(ratio) and row["reference"] != row["attention"]:
        text += f", {numbers.ratio(ratio)} {row['reference']}"
    return text


def failure(name: str, rows: pd.DataFrame, x: Log, height: float) -> Drawn:
    """Hollow marks where a mechanism was not measured, and beside them why, on the side with more room."""
    missing = records(rows[rows["status"] != "ok"].sort_values("seq_len"))
    marks = tuple(
        Mark(
            name,
            x(number(row, "seq_len")),
            height,
            f"{name} at N = {row['seq_len']:,}: not measured, {_why(row)}",
            hollow=True,
        )
        for row in missing
    )
    why = ", ".join(dict.fromkeys(words.status(str(row["status"])) for row in missing))
    before = marks[0].x - x.start >= x.end - marks[-1].x
    reason = (
        Words(marks[0].x - 9, height + 3.2, why, "end")
        if before
        else Words(marks[-1].x + 9, height + 3.2, why)
    )
    return Drawn(name, marks, words=(reason,))


def _why(row: Mapping[str, object]) -> str:
    return words.status(str(row["status"]), str(row["detail"]))


def crossing_mark(each: Crossing, cost: Cost, reference: str, x: Log, height: float) -> Drawn:
    """A mark at N* with a whisker over its interval; an unknown end reaches the edge of the plot."""
    assert each.seq_len is not None
    low = x.low if math.isnan(each.low) else each.low
    high = x.high if math.isnan(each.high) else each.high
    name = each.challenger
    text = f"{name} is {cost.cheaper} than {reference} from {each.said.removeprefix('at ')}"
    mark = Mark(name, x(each.seq_len), height, text)
    whisker = Line(name, charts.polyline([(x(low), height), (x(high), height)]))
    return Drawn(name, (mark,), lines=(whisker,))
