"""Ranking quality on test against its cost in time, memory and energy, with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from linrec_bench.analysis.pareto import STANDINGS, pareto
from linrec_bench.analysis.seeds import across_seeds
from linrec_bench.analysis.systems import FLOORS, compared, compares_systems, identities
from linrec_bench.figures import facets
from linrec_bench.figures.layout import CROWD
from linrec_bench.figures.marks import CUT_OFF, DOWN, LEFT, RIGHT, UP, Arrow, Point, mark_cut
from linrec_bench.figures.panels import Panels
from linrec_bench.figures.point_labels import Name, Segment, name_points
from linrec_bench.figures.spec import FigureSpec
from linrec_bench.figures.style import PAPER, Look, NothingToDraw, Style
from linrec_bench.figures.ticks import few, formatter, log_ticks
from linrec_bench.figures.tooltips import TooltipFigure, add_tooltip, name_panel
from linrec_bench.presentation import case_names, numbers, words

ROWS = ("dataset", "model", "seq_len", "batch_size", "hidden_size", "heads", "layers", "dtype", "causal")
"""What rows of panels are split by, where it varies."""

METRIC = "ndcg@10"

Range = tuple[float, float]

FURTHEST = 0.9
"""How far below its mean an interval widens the axis of costs: with two seeds it may reach zero, which a log
axis lacks."""


@dataclass(frozen=True)
class Price:
    """A cost as a horizontal axis on a log scale of `base`."""

    column: str
    axis: str
    form: Callable[[float], str]
    value: Callable[[float], str]
    base: int


PRICES = (
    Price("train_time_s", words.COST["train_time_s"], numbers.duration_tick, numbers.duration, 10),
    Price("memory_bytes", words.COST["memory_bytes"], numbers.memory_tick, numbers.memory, 2),
    Price("peak_process_bytes", words.COST["peak_process_bytes"], numbers.memory_tick, numbers.memory, 2),
    Price("energy_j", words.COST["energy_j"], numbers.energy_tick, numbers.energy, 10),
)


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Test NDCG@10 against each cost that was measured, a point a mechanism, the Pareto front as a line.

    Where systems are compared (`analysis.systems`), a point is one of them. Means over seeds with 95 % t
    intervals (none with one seed). A point is grey only where the intervals say that another is better and
    cheaper (`analysis.pareto`). Raises `NothingToDraw` without test metrics.
    """
    del samples
    if METRIC not in summary:
        raise NothingToDraw(f"the run has no test {METRIC}")
    variants = across_seeds(compared(summary))
    rows = variants[variants[METRIC].notna()]
    rows, floors = _apart(rows)
    prices = _prices(rows)
    with matplotlib.rc_context(style.rc):
        crowded = rows["system"].nunique() > CROWD
        looks = _looks(rows, style, systems=compares_systems(summary))
        layout = facets.settings(rows, ROWS)
        sides = [facets.beside(case_names.settings(setting), "test NDCG@10") for setting in layout]
        figure, grid = Panels(
            rows=len(layout) * (len(prices) if crowded else 1),
            columns=1 if crowded else len(prices),
            labels=[],
            sides=sides,
            style=style,
            width=6.6 if crowded else 3.2,
            height=3.9 if crowded else 2.7,
            left=0.85,
            top=0.48,
            gap_x=0.3,
            gap_y=0.55,
        ).make(
            title="Ranking quality against its cost",
            subtitle=_small_print(rows, variants, floors)
            + (f" {CUT_OFF}" if _cut_off(rows, layout, prices) else ""),
            share="none",
        )
        panels = [ax for axes in grid for ax in axes]
        for ax, ((setting, side), price) in zip(
            panels, product(zip(layout, sides, strict=True), prices), strict=True
        ):
            part = facets.select(rows, setting)
            name_panel(ax, case_names.settings(setting))
            _scale(ax, rows, price)
            ax.set_xlabel(price.axis)
            ax.set_ylim(*_quality_range(part))
            if crowded or price is prices[0]:
                ax.set_ylabel(side)
            else:
                ax.yaxis.set_major_formatter(NullFormatter())
            _draw_panel(ax, pareto(_costing(part, price), cost=price.column), price, looks, style)
        grid[0][0].text(
            0.02,
            0.98,
            "↖ better",
            transform=grid[0][0].transAxes,
            va="top",
            color=style.faint,
            fontsize=style.points(8),
        )
    return figure


def _looks(rows: pd.DataFrame, style: Style, *, systems: bool) -> dict[str, Look]:
    """A mechanism looks the same in every figure; systems have to be told apart in this one."""
    shown = identities(rows)
    return style.looks(shown) if systems else {name: style.look(*own) for name, own in shown.items()}


def _prices(rows: pd.DataFrame) -> list[Price]:
    """Those that were measured; memory once. Raises `NothingToDraw` where none was."""
    found = {price.column: price for price in PRICES if rows[price.column].gt(0).any()}
    if not found:
        raise NothingToDraw(f"no case that ended ok has test {METRIC} and a training time or peak memory")
    if "memory_bytes" in found:
        found.pop("peak_process_bytes", None)
    return list(found.values())


def _apart(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is drawn, and the floors beside models: so far below that the others would be pressed together."""
    floors = rows["model_name"].isin(FLOORS) & (rows["model"] != "")
    return (rows, rows[:0]) if floors.all() else (rows[~floors], rows[floors])


def _small_print(rows: pd.DataFrame, variants: pd.DataFrame, floors: pd.DataFrame) -> str:
    same = facets.subject(rows, ROWS)
    least, most = rows["seeds"].min(), rows["seeds"].max()
    seeds = f"{least} seeds" if least == most else f"{least} to {most} seeds"
    text = "one seed, no interval" if most == 1 else f"mean and 95 % t interval over {seeds}"
    lost = variants[variants["failed"] > 0]
    unfinished = ", ".join(f"{row['system']} {row['failed']}" for _, row in lost.iterrows())
    grey = "" if most == 1 else " Grey: another is better and cheaper, as the intervals say."
    told = f"{same}; {text}. Line: no other mean is better and cheaper.{grey}"
    told += f" Not drawn, without a mechanism: {_in_words(floors)}." if len(floors) else ""
    return told + (f" Seeds that did not end ok: {unfinished}." if unfinished else "")


def _in_words(floors: pd.DataFrame) -> str:
    """`popularity 0.0432, item-knn 0.0604`; after the data set and length where several are shown."""
    found = []
    for setting in facets.settings(floors, ("dataset", "seq_len")):
        rows = facets.select(floors, setting)
        named = [f"{row['system']} {numbers.metric(row[METRIC])}" for _, row in rows.iterrows()]
        found.append(": ".join(filter(None, (case_names.settings(setting), ", ".join(named)))))
    return "; ".join(found)


def _draw_panel(ax: Axes, rows: pd.DataFrame, price: Price, looks: Mapping[str, Look], style: Style) -> None:
    lines = _draw_front(ax, rows[rows["standing"] == "front"], price, style)
    ordered = rows.sort_values("standing", key=lambda found: found.map(STANDINGS.index), kind="stable")
    names = []
    for _, row in ordered.iterrows():
        look, dominated = looks[str(row["system"])], row["standing"] == "dominated"
        colour = style.quiet if dominated else look.colour
        name = str(row["system"])
        drawn = ax.errorbar(
            row[price.column],
            row[METRIC],
            xerr=(across := _reach(row, price.column, ax.get_xlim())),
            yerr=(along := _reach(row, METRIC, ax.get_ylim())),
            color=colour,
            marker=look.marker,
            markersize=style.points(6),
            elinewidth=style.points(0.7),
            linestyle="none",
            zorder=2 if dominated else 3,
        )
        for artist in drawn.get_children():
            artist.set_label(name)
        ink = style.faint if dominated else style.ink
        x, y = float(row[price.column]), float(row[METRIC])
        names.append(Name(name, x, y, ink))
        add_tooltip(ax, x, y, _tooltip(row, price), series=name)
        if across:
            lines.append(((x - across[0][0], y), (x + across[1][0], y)))
        if along:
            lines.append(((x, y - along[0][0]), (x, y + along[1][0])))
        for place, arrow in _beyond(row, price, ax.get_xlim(), ax.get_ylim()):
            mark_cut(ax, [place], arrow, colour=colour, label=name, style=style)
    name_points(ax, names, lines=lines, style=style)


def _tooltip(row: pd.Series, price: Price) -> str:
    """`linrec: NDCG@10 0.1720 [0.1594, 0.1846], training time 65.0 s (2 seeds)`."""
    ends = numbers.interval(float(row[f"{METRIC}_low"]), float(row[f"{METRIC}_high"]), numbers.metric)
    quality = f"{words.metric(METRIC)} {numbers.metric(float(row[METRIC]))} {ends}".rstrip()
    cost = f"{price.axis} {price.value(float(row[price.column]))}"
    return f"{row['system']}: {quality}, {cost} ({numbers.counted(int(row['seeds']), 'seed')})"


def _draw_front(ax: Axes, rows: pd.DataFrame, price: Price, style: Style) -> list[Segment]:
    """The front as steps: up to the next point, nothing is known to be better. Gives the steps."""
    ordered = rows.sort_values(price.column)
    ax.plot(
        ordered[price.column],
        ordered[METRIC],
        drawstyle="steps-post",
        color=style.faint,
        linewidth=style.points(0.9),
        zorder=1.5,
        gid="front",
    )
    points = list(zip(ordered[price.column].astype(float), ordered[METRIC].astype(float), strict=True))
    corners = [(there[0], here[1]) for here, there in pairwise(points)]
    return [
        *zip(points, corners, strict=False),
        *zip(corners, points[1:], strict=True),
    ]


def _reach(row: pd.Series, column: str, within: Range) -> list[list[float]] | None:
    """How far the interval goes below and above its mean, as far as the axis goes; None without an
    interval."""
    low, mean, high = row[f"{column}_low"], row[column], row[f"{column}_high"]
    return None if math.isnan(low) else [[mean - max(low, within[0])], [min(high, within[1]) - mean]]


def _beyond(row: pd.Series, price: Price, across: Range, along: Range) -> list[tuple[Point, Arrow]]:
    """Where the intervals of a point leave a panel of these ranges, and the arrowhead that says so."""
    x, y = float(row[price.column]), float(row[METRIC])
    found: list[tuple[Point, Arrow, bool]] = [
        ((x, along[0]), DOWN, row[f"{METRIC}_low"] < along[0]),
        ((x, along[1]), UP, row[f"{METRIC}_high"] > along[1]),
        ((across[0], y), LEFT, row[f"{price.column}_low"] < across[0]),
        ((across[1], y), RIGHT, row[f"{price.column}_high"] > across[1]),
    ]
    return [(place, arrow) for place, arrow, is_beyond in found if is_beyond]


def _cut_off(rows: pd.DataFrame, layout: Sequence[facets.Setting], prices: Sequence[Price]) -> bool:
    parts = [facets.select(rows, setting) for setting in layout]
    return any(
        _beyond(row, price, _cost_range(rows, price), _quality_range(part))
        for part in parts
        for price in prices
        for _, row in part.iterrows()
    )


def _quality_range(rows: pd.DataFrame) -> tuple[float, float]:
    """Of the means, and of their intervals as far as these do not press the means together."""
    low, high = float(rows[METRIC].min()), float(rows[METRIC].max())
    reach = max(high - low, 0.05 * high)
    ends = [
        float(value)
        for value in (rows[f"{METRIC}_low"].min(), rows[f"{METRIC}_high"].max())
        if not math.isnan(value)
    ]
    least, most = min([low, *ends]), max([high, *ends])
    # No metric is below 0, though the interval of a few seeds may be.
    return max(0.0, max(least, low - reach) - 0.12 * reach), min(most, high + reach) + 0.12 * reach


def _cost_range(rows: pd.DataFrame, price: Price) -> Range:
    rows = _costing(rows, price)
    values = rows[price.column]
    low = rows[[price.column, f"{price.column}_low"]].min(axis=1).clip(lower=(1 - FURTHEST) * values).min()
    high = rows[[price.column, f"{price.column}_high"]].max(axis=1).max()
    # One training that took much longer must not press the others together: what is beyond is cut.
    low, high = max(low, values.min() / 3), min(high, values.max() * 3)
    margin = max(high / low, 1.5) ** 0.1
    return low / margin, high * margin


def _costing(rows: pd.DataFrame, price: Price) -> pd.DataFrame:
    """Those that a log axis can show."""
    return rows[rows[price.column] > 0]


def _scale(ax: Axes, rows: pd.DataFrame, price: Price) -> None:
    ax.set_xscale("log", base=price.base)
    ax.set_xlim(*_cost_range(rows, price))
    ticks = log_ticks(*ax.get_xlim(), base=price.base)
    ax.xaxis.set_major_locator(FixedLocator(few(ticks)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(formatter(price.form))
    assert np.isfinite(ax.get_xlim()).all()


SPEC = FigureSpec(
    name="quality",
    tasks=("recommend",),
    draw=draw,
    caption="Test NDCG@10 against its cost in time, memory and energy, with the Pareto front.",
    alt="Points, one a mechanism, of test NDCG@10 against training time, peak memory and energy.",
    place=10,
)
