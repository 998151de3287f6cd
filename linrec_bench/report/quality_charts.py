"""Ranking quality on test against what it costs, as charts: a point a mechanism, intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.ticker import MaxNLocator

from linrec_bench.analysis.seeds import across_seeds
from linrec_bench.analysis.systems import compared, named
from linrec_bench.declarations import trainings
from linrec_bench.figures import facets
from linrec_bench.figures.ticks import log_ticks
from linrec_bench.presentation import case_names, numbers
from linrec_bench.report import charts
from linrec_bench.report.charts import Box, Chart, Line, Linear, Log, Mark, Words
from linrec_bench.report.frames import number, records
from linrec_bench.report.ticks import byte_ticks, metric_ticks, second_ticks, ticks

METRIC = "ndcg@10"

SETTINGS = ("dataset", "model", "seq_len", "batch_size", "hidden_size", "heads", "layers", "dtype", "causal")
"""What sets one chart apart from another, where it varies."""

FURTHEST = 0.9
"""How far below its mean an interval is drawn: with two seeds it may reach zero, which a log axis lacks."""

BOX = Box(56.0, 6.0, 312.0, 210.0)


@dataclass(frozen=True)
class Price:
    column: str
    name: str
    base: int
    ticks: Callable[[Sequence[float]], list[str]]
    said: Callable[[float], str]


PRICES = (
    Price("train_time_s", "training time", 10, second_ticks, numbers.duration),
    Price("memory_bytes", "peak memory", 2, byte_ticks, numbers.memory),
    Price("peak_process_bytes", "peak memory of the process", 2, byte_ticks, numbers.memory),
)


def quality_charts(summary: pd.DataFrame) -> list[Chart]:
    """A chart for each setting and for training time and memory, where both quality and cost are known."""
    if METRIC not in summary:
        return []
    variants = across_seeds(compared(summary[summary["task"].isin(trainings())]))
    rows = variants[variants[METRIC].notna()]
    prices = [price for price in PRICES if (rows[price.column] > 0).any()]
    if any(price.column == "memory_bytes" for price in prices):
        prices = [price for price in prices if price.column != "peak_process_bytes"]
    found = []
    for setting in facets.settings(rows, SETTINGS) if len(rows) else []:
        part = facets.select(rows, setting)
        for price in prices:
            known = part[part[price.column] > 0]
            if len(known):
                title = ", ".join(
                    filter(None, ("NDCG@10 against " + price.name, case_names.settings(setting)))
                )
                found.append(_chart(records(known), price, title))
    return found


def compared_names(summary: pd.DataFrame) -> list[str]:
    """What charts and tables of quality call mechanisms or systems."""
    rows = summary[summary["task"].isin(trainings())]
    return [str(name) for told in (compared(rows), named(rows)) for name in told["attention"].unique()]


def _chart(variants: list[dict[str, object]], price: Price, title: str) -> Chart:
    x, y = _scales(variants, price)
    names = [str(row["attention"]) for row in variants]
    marks, whiskers, ends = [], [], {}
    for name, row in zip(names, variants, strict=True):
        cost, quality = x(number(row, price.column)), y(number(row, METRIC))
        marks.append(Mark(name, cost, quality, _said(row, price)))
        ends[name] = quality
        (left, right), (low, high) = _reach(row, price.column), _reach(row, METRIC)
        if left < right:
            whiskers.append(Line(name, charts.polyline([(x(left), quality), (x(right), quality)])))
        if low < high:
            whiskers.append(Line(name, charts.polyline([(cost, y(low)), (cost, y(high))])))
    x_values = log_ticks(x.low, x.high, base=price.base)
    y_values = [float(v) for v in MaxNLocator(5).tick_values(y.low, y.high) if y.low <= v <= y.high]
    return Chart(
        title=title,
        width=BOX.right + charts.label_room(names),
        height=BOX.bottom + 40,
        box=BOX,
        x_name=price.name,
        x_ticks=ticks(x_values, x, price.ticks),
        y_ticks=ticks(y_values, y, metric_ticks),
        marks=tuple(marks),
        labels=charts.beside(ends, BOX),
        whiskers=tuple(whiskers),
        words=(Words(BOX.left + 8, BOX.top + 14, "↖ better"),),
    )


def _reach(row: Mapping[str, object], column: str) -> tuple[float, float]:
    """The drawn ends of an interval; twice the mean without one."""
    mean, low, high = (number(row, f"{column}{end}") for end in ("", "_low", "_high"))
    return (mean, mean) if math.isnan(low) else (max(low, (1 - FURTHEST) * mean), high)


def _scales(variants: list[dict[str, object]], price: Price) -> tuple[Log, Linear]:
    left = min(_reach(row, price.column)[0] for row in variants)
    right = max(_reach(row, price.column)[1] for row in variants)
    margin = max(right / left, 2.0) ** 0.12
    low, high = (
        min(_reach(row, METRIC)[0] for row in variants),
        max(_reach(row, METRIC)[1] for row in variants),
    )
    room = max(high - low, 0.1 * high, 1e-3) * 0.2
    return (
        Log(left / margin, right * margin, BOX.left, BOX.right),
        Linear(max(0.0, low - room), high + room, BOX.bottom, BOX.top),
    )


def _said(row: Mapping[str, object], price: Price) -> str:
    quality, low, high = (number(row, f"{METRIC}{end}") for end in ("", "_low", "_high"))
    ends = numbers.interval(low, high, numbers.metric)
    seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
    cost = price.said(number(row, price.column))
    found = f"{numbers.metric(quality)} {ends}".strip()
    return f"{row['attention']}: NDCG@10 {found}, {price.name} {cost} ({seeds})"
