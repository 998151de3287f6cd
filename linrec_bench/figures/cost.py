"""Time or peak memory against sequence length: one line a mechanism, what failed as hollow marks on top."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from linrec_bench.figures import facets, failures
from linrec_bench.figures.panels import Panels, label_beside
from linrec_bench.figures.style import FAINT, RC, SHADE, NothingToDraw, look
from linrec_bench.figures.ticks import amount, formatter, log_ticks, seconds

ROWS = ("phase", "causal")
COLUMNS = ("model", "dataset", "batch_size", "hidden_size", "heads", "layers", "dtype", "device", "seed")
"""What panels are split by, where it varies."""

WIDEST = 5
"""Panels beside each other; more go below."""


@dataclass(frozen=True)
class Cost:
    """A column of the summary as the vertical axis; `interval` says whether it has `_low` and `_high`."""

    column: str
    title: str
    axis: str
    interval: bool
    form: Callable[[float], str]
    base: int


TIME = Cost("time_s", "Time against sequence length", "time of one call", True, seconds, 10)
MEMORY = Cost("memory_bytes", "Peak memory against sequence length", "peak memory", False, amount, 2)


def draw_time(summary: pd.DataFrame, samples: pd.DataFrame) -> Figure:
    """Median time against N on log axes with its 95 % interval; raises `NothingToDraw` without times."""
    del samples
    return _draw(summary, TIME)


def draw_memory(summary: pd.DataFrame, samples: pd.DataFrame) -> Figure:
    """Peak memory against N on log axes; raises `NothingToDraw` where none was measured."""
    del samples
    return _draw(summary, MEMORY)


def _draw(summary: pd.DataFrame, cost: Cost) -> Figure:
    done = summary["status"] == "ok"
    columns = {"_value": cost.column}
    if cost.interval:
        columns |= {"_low": f"{cost.column}_low", "_high": f"{cost.column}_high"}
    rows = summary.assign(
        **{name: summary[column].astype("float64").where(done) for name, column in columns.items()}
    )
    if rows["_value"].isna().all():
        raise NothingToDraw(f"no case that ended ok has {cost.column}")
    if rows.loc[rows["_value"].notna(), "seq_len"].nunique() < 2:
        raise NothingToDraw(f"{cost.column} was measured at one sequence length only")
    with matplotlib.rc_context(RC):
        return _draw_panels(rows, cost)


def _draw_panels(rows: pd.DataFrame, cost: Cost) -> Figure:
    panels = facets.settings(rows, COLUMNS)
    layout = [
        (setting, panels[at : at + WIDEST])
        for setting in facets.settings(rows, ROWS)
        for at in range(0, len(panels), WIDEST)
    ]
    parts = [[facets.select(rows, setting | panel) for panel in line] for setting, line in layout]
    small_print = f"{_subject(rows)}."
    if cost.interval:
        small_print += f" Median, band: 95 % interval {_resampled(rows)}."
    if (rows["status"] != "ok").any():
        small_print += " Hollow marks on top: not measured, and why."
    most = max(len(failures.labels(part)) for line in parts for part in line)
    band = failures.band(most)
    columns = min(len(panels), WIDEST)
    width, height = (2.5, 2.15) if columns > 1 else (3.8, 2.6)
    figure, grid = Panels(
        rows=len(layout),
        columns=columns,
        labels=list(rows["attention"].unique()),
        width=width,
        height=max(height, failures.panel_inches(most)),
    ).make(title=cost.title, subtitle=small_print)
    _scale(grid[0][0], rows, cost, room=band * most)
    for axes, (setting, line), data in zip(grid, layout, parts, strict=True):
        for ax, panel, part in zip(axes, line, data, strict=False):
            _shade(ax, band * most)
            _draw_lines(ax, part)
            heights = failures.draw(ax, part, band=band)
            if axes is grid[0] or len(panels) > WIDEST:
                ax.set_title(facets.named(panel), loc="left")
        for ax in axes[len(line) :]:
            ax.set_axis_off()
        axes[0].set_ylabel("\n".join(filter(None, (facets.named(setting), cost.axis))))
        label_beside(axes[len(line) - 1], _ends(axes[len(line) - 1], data, heights))
    for ax in grid[-1]:
        ax.set_xlabel("sequence length N")
    _draw_slopes(grid[0][0])
    return figure


def _subject(rows: pd.DataFrame) -> str:
    same = facets.fixed(rows, [column for column in (*ROWS, *COLUMNS) if column != "seed"])
    return f"{str(rows['task'].iloc[0]).replace('_', ' ').capitalize()}: {facets.named(same)}"


def _resampled(rows: pd.DataFrame) -> str:
    """What the intervals are over: processes, or the samples of the only process."""
    kinds = set(rows.loc[rows["_value"].notna(), "interval_over"]) - {"nothing"}
    if kinds == {"samples"}:
        return "inside one process"
    return "over processes" if "samples" not in kinds else "over processes, or inside the only one"


def _scale(ax: Axes, rows: pd.DataFrame, cost: Cost, *, room: float) -> None:
    """Log axes (shared by all panels) with `room` on top, a fraction of the panel, for hollow marks."""
    lengths = np.sort(rows["seq_len"].unique())
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=cost.base)
    ax.set_xlim(lengths[0] / 2**0.4, lengths[-1] * 2**0.4)
    ax.xaxis.set_major_locator(FixedLocator(list(lengths[:: -(-len(lengths) // 4)])))
    ax.xaxis.set_minor_locator(FixedLocator(list(lengths)))
    ax.xaxis.set_major_formatter(formatter(lambda value: f"{value:,.0f}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    low, high = math.log(rows["_value"].min()), math.log(rows["_value"].max())
    span = max(high - low, math.log(4)) / (1 - 0.05 - 0.07 - room)
    ax.set_ylim(math.exp(low - 0.05 * span), math.exp(low + 0.95 * span))
    bottom, top = (math.exp(low + share * span) for share in (-0.05, 0.95 - room))
    ax.yaxis.set_major_locator(FixedLocator(log_ticks(bottom, top, base=cost.base, least=4)))
    ax.yaxis.set_major_formatter(formatter(cost.form))
    ax.yaxis.set_minor_locator(NullLocator())


def _shade(ax: Axes, room: float) -> None:
    """Set the rows of hollow marks apart: their height is no value."""
    ax.add_patch(Rectangle((0, 1 - room), 1, room, transform=ax.transAxes, color=SHADE, zorder=0))


def _mechanisms(part: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for label, rows in part.groupby("attention", sort=False):
        yield str(label), rows.sort_values("seq_len")


def _draw_lines(ax: Axes, part: pd.DataFrame) -> None:
    for label, rows in _mechanisms(part):
        found = look(label)
        # A length without a value breaks the line: nothing is drawn where nothing was measured.
        ax.plot(
            rows["seq_len"],
            rows["_value"],
            color=found.colour,
            marker=found.marker,
            linestyle=found.dashes,
            gid=f"line {label}",
        )
        if "_low" in rows:
            ax.fill_between(
                rows["seq_len"], rows["_low"], rows["_high"], color=found.colour, alpha=0.25, linewidth=0
            )


def _ends(ax: Axes, line: Sequence[pd.DataFrame], heights: dict[str, float]) -> dict[str, tuple[float, bool]]:
    """Where the lines end in the last panel: the height as a fraction, and whether that is the right edge.

    `heights` are those of hollow marks, for a mechanism that has nothing else there. Mechanisms that only
    other panels of the line show are named at the bottom.
    """
    longest = line[-1]["seq_len"].max()
    ends = {str(label): (0.0, False) for panel in line for label in panel["attention"].unique()}
    for label, rows in _mechanisms(line[-1]):
        measured = rows[rows["_value"].notna()]
        if len(measured):
            last = measured.iloc[-1]
            ends[label] = (_fraction(ax, float(last["_value"])), bool(last["seq_len"] == longest))
        elif label in heights:
            ends[label] = (heights[label], False)
    return ends


def _fraction(ax: Axes, value: float) -> float:
    low, high = ax.get_ylim()
    return math.log(value / low) / math.log(high / low)


def _draw_slopes(ax: Axes) -> None:
    """Short lines of slope 1 and 2 in the upper left corner, which growing lines leave empty."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    lines: Sequence[tuple[int, str]] = ((1, "N"), (2, "N²"))
    x0, y0 = left * (right / left) ** 0.06, low * (high / low) ** 0.55
    reach = min((right / left) ** 0.2, (high / low) ** (0.3 / 2))
    for power, name in lines:
        end = (x0 * reach, y0 * reach**power)
        ax.plot([x0, end[0]], [y0, end[1]], color=FAINT, linewidth=0.8, linestyle=(0, (3, 2)), gid="slope")
        ax.annotate(
            name, end, xytext=(2, 1), textcoords="offset points", fontsize=7.5, color=FAINT, gid="slope name"
        )
