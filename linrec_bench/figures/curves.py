"""Lines, one a mechanism, against a length: what was measured, its interval, fits, crossings and failures."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from linrec_bench.analysis.cost_findings import comparison_risk
from linrec_bench.analysis.crossover import crossovers
from linrec_bench.analysis.samples_table import compact
from linrec_bench.analysis.systems import mechanisms
from linrec_bench.figures import facets, failures, layout, marks
from linrec_bench.figures.panels import LABEL_GAP, Panels, is_first_column, label_beside, name_columns
from linrec_bench.figures.style import Look, NothingToDraw, Style
from linrec_bench.figures.ticks import formatter, log_ticks
from linrec_bench.figures.tooltips import TooltipFigure, add_tooltip, name_panel
from linrec_bench.presentation import case_names, numbers

DOWN = ("phase", "causal")
ACROSS = (
    "model",
    "dataset",
    "batch_size",
    "hidden_size",
    "catalogue_size",
    "heads",
    "layers",
    "dtype",
    "device",
    "seed",
)
"""What panels are split by, where it varies."""

ROW = 0.145
"""Inches of a row of marks above or below what is measured."""


def _no_ends(value: float, low: float, high: float) -> str:
    del value, low, high
    return ""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A column as the vertical axis, on a log axis of `base`, or linear (`base` 0) within `limits`.

    `form` gives the words of a tick, `value` those of a number, `ends` those of its interval (of the number
    and both ends). `interval`: whether the column has `_low` and `_high`; `ratio`: the column of its ratio to
    the reference; `warned`: the column that is 1 where a value is not what the axis says, with words for it.
    `x` is the horizontal axis: `seq_len` on a log
    axis, or `rank`, evenly spaced, with the words of column `group`. `higher`: more is better.
    """

    column: str
    title: str
    axis: str
    form: Callable[[float], str]
    value: Callable[[float], str]
    ends: Callable[[float, float, float], str] = _no_ends
    base: int
    interval: bool = False
    ratio: str = ""
    warned: tuple[str, str] | None = None
    limits: tuple[float, float] | None = None
    x: str = "seq_len"
    x_axis: str = "sequence length N"
    higher: bool = False
    down: tuple[str, ...] = DOWN
    across: tuple[str, ...] = ACROSS


def draw(
    rows: pd.DataFrame,
    curve: Curve,
    *,
    style: Style,
    said: str = "",
    fits: pd.DataFrame | None = None,
    crossings: pd.DataFrame | None = None,
) -> TooltipFigure:
    """One line a mechanism and panel; what did not end ok is hollow marks on top.

    `said` ends the small print. `fits` (as of `analysis.growth`) and `crossings` (of `analysis.crossover`)
    are drawn where they are given. Raises `NothingToDraw` with fewer than two lengths.
    """
    done = rows["status"] == "ok"
    ends = {"_value": curve.column}
    if curve.interval:
        ends |= {"_low": f"{curve.column}_low", "_high": f"{curve.column}_high"}
    values = {name: rows[column].astype("float64").where(done) for name, column in ends.items()}
    table = compact(mechanisms(rows.assign(**values)))
    if curve.base:
        # No logarithm: a mechanism may need no memory, and a clock may not have moved.
        nothing = table["_value"] <= 0
        table[list(ends)] = table[list(ends)].mask(nothing)
        if nothing.any():
            names = ", ".join(sorted(rows.loc[nothing, "attention"].unique()))
            said = f"{said} 0, which a log axis cannot show: {names}.".lstrip()
    if table["_value"].isna().all():
        raise NothingToDraw(f"no case that ended ok has {curve.column}")
    if table.loc[table["_value"].notna(), curve.x].nunique() < 2:
        what = "sequence length" if curve.x == "seq_len" else curve.x_axis
        raise NothingToDraw(f"{curve.column} was measured at one {what} only")
    with matplotlib.rc_context(style.rc):
        return _draw(table, curve, style, said=said, fits=fits, crossings=crossings)


def crossings(summary: pd.DataFrame, curve: Curve) -> pd.DataFrame | None:
    """From which length each mechanism costs less than the reference; None where the rows name no one
    reference."""
    reference = layout.reference_of(summary)
    if reference is None:
        return None
    # The level of the sentences, so that both say the same.
    risk = comparison_risk(summary, reference)
    return crossovers(summary, reference=reference, costs=[curve.column], risk=risk)


def _draw(
    rows: pd.DataFrame,
    curve: Curve,
    style: Style,
    *,
    said: str,
    fits: pd.DataFrame | None,
    crossings: pd.DataFrame | None,
) -> TooltipFigure:
    found = layout.lay_out(rows, down=curve.down, across=curve.across, value="_value", higher=curve.higher)
    crossed = [
        marks.crossed(None if crossings is None else facets.select(crossings, cell.setting), cell.shown)
        for cell in found.cells
    ]
    above = max(len(failures.labels(cell.rows, cell.shown)) for cell in found.cells)
    below = max(map(len, crossed))
    height = _plot_inches(found, style) + (above + below) * ROW * style.scale
    band = ROW * style.scale / height
    panels = Panels(
        rows=len(found.lines),
        titles=[cell.title for cell in found.cells],
        sides=[facets.beside(cell.side, curve.axis) for cell in found.cells],
        columns=found.columns,
        labels=sorted({name for cell in found.cells for name in cell.named}),
        style=style,
        width=3.8 if found.columns == 1 else 2.7 if found.crowded else 2.5,
        height=height,
        top=0.62 if any(cell.title for cell in found.cells) else 0.48,
        apart=found.crowded,
    )
    figure, grid = panels.make(
        title=curve.title, subtitle=_small_print(rows, found, curve, said, fits, crossings if below else None)
    )
    span = _span(rows, curve)
    _scale(grid[0][0], rows, curve, above=band * above, below=band * below)
    for (ax, cell), crossings_here in zip(found.pairs(grid), crossed, strict=True):
        looks = cell.looks(style)
        name_panel(ax, case_names.settings(cell.setting))
        shown = {label: looks[label] for label in cell.shown}
        _shade(ax, 1 - band * above, 1, style=style)
        _shade(ax, 0, band * below, style=style)
        _draw_lines(ax, cell, shown, curve, span=span, style=style)
        if fits is not None:
            marks.draw_fits(ax, facets.select(fits, cell.setting), shown, style=style)
        marks.draw_crossings(ax, crossings_here, looks, band=band, style=style)
        heights = failures.draw(ax, cell.rows, shown, x=curve.x, band=band, style=style)
        if cell.title:
            ax.set_title(panels.wrapped(cell.title), loc="left")
        if is_first_column(ax):
            ax.set_ylabel(facets.beside(cell.side, curve.axis))
        if cell.named:
            label_beside(ax, _ends(ax, cell, curve.x, heights), looks, style=style)
    name_columns(grid, curve.x_axis)
    if curve.base and curve.x == "seq_len":
        marks.draw_slopes(grid[0][0], style=style, top=1 - band * above, bottom=band * below)
    return figure


def _plot_inches(found: layout.Layout, style: Style) -> float:
    """The height of what is measured, without the rows of marks above and below it."""
    names = max(len(cell.named) for cell in found.cells)
    return max(2.6 if found.columns == 1 else 2.0, LABEL_GAP * 1.05 * style.scale * names)


def _small_print(
    rows: pd.DataFrame,
    found: layout.Layout,
    curve: Curve,
    said: str,
    fits: pd.DataFrame | None,
    crossings: pd.DataFrame | None,
) -> str:
    words = [f"{facets.subject(rows, (*curve.down, *curve.across))}."]
    if "interval_over" in rows and curve.interval and rows["_low"].notna().any():
        words.append(f"Median, band: 95 % interval {_resampled(rows)}.")
        low, high = _span(rows, curve)
        if ((rows["_low"] < low) | (rows["_high"] > high)).any():
            words.append(marks.CUT_OFF)
    if fits is not None and fits["exponent"].notna().any():
        words.append("Dotted: fit a + b N^p.")
    if (rows["status"] != "ok").any():
        words.append("Hollow marks on top: not measured, and why.")
    if curve.warned and _warned(rows, curve).any():
        words.append(f"Hollow on a line: {curve.warned[1]}.")
    if crossings is not None:
        against = " or ".join(map(str, crossings["incumbent"].unique()))
        bar = "interval, 95 % over all of the run" if curve.interval else "measured lengths on either side"
        words.append(f"Marks at the foot: the length from which it costs less than {against}; bar: {bar}.")
    if found.crowded:
        order = "best" if curve.higher else "least"
        words.append(f"Mechanisms in groups, {order} first; grey: all the others.")
    return " ".join(filter(None, [*words, said]))


def _resampled(rows: pd.DataFrame) -> str:
    """What the intervals are over: processes, or the samples of the only process."""
    kinds = set(rows.loc[rows["_value"].notna(), "interval_over"]) - {"nothing"}
    if kinds == {"samples"}:
        return "inside one process"
    return "over processes" if "samples" not in kinds else "over processes, or inside the only one"


def _scale(ax: Axes, rows: pd.DataFrame, curve: Curve, *, above: float, below: float) -> None:
    """Axes (shared by all panels) with room `above` and `below`, fractions of the panel, for marks."""
    if curve.x == "seq_len":
        _length_axis(ax, rows)
    else:
        groups = rows.drop_duplicates(curve.x).sort_values(curve.x)
        ax.set_xlim(-0.3, len(groups) - 0.7)
        ax.set_xticks(list(groups[curve.x]), list(groups["group"]))
    if curve.base:
        ax.set_yscale("log", base=curve.base)
    low, high = _range(rows, curve)
    whole = (high - low) / (1 - above - below)
    bottom, top = low - below * whole, high + above * whole
    if curve.base:
        ticks = log_ticks(math.exp(low), math.exp(high), base=curve.base)
        ax.set_ylim(math.exp(bottom), math.exp(top))
    else:
        steps = MaxNLocator(5).tick_values(low, high)
        ticks = [float(tick) for tick in steps if low <= tick <= high * (1 + 1e-9)]
        ax.set_ylim(bottom, top)
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(formatter(curve.form))
    ax.yaxis.set_minor_locator(NullLocator())


def _length_axis(ax: Axes, rows: pd.DataFrame) -> None:
    lengths = np.sort(rows["seq_len"].unique())
    ax.set_xscale("log", base=2)
    ax.set_xlim(lengths[0] / 2**0.4, lengths[-1] * 2**0.4)
    ax.xaxis.set_major_locator(FixedLocator(list(lengths[:: -(-len(lengths) // 4)])))
    ax.xaxis.set_minor_locator(FixedLocator(list(lengths)))
    ax.xaxis.set_major_formatter(formatter(numbers.whole))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _span(rows: pd.DataFrame, curve: Curve) -> tuple[float, float]:
    """The ends of what the vertical axis shows of values and intervals."""
    low, high = _range(rows, curve)
    return (math.exp(low), math.exp(high)) if curve.base else (low, high)


def _range(rows: pd.DataFrame, curve: Curve) -> tuple[float, float]:
    """The same; as logarithms on a log axis."""
    return _log_range(rows) if curve.base else curve.limits or _linear_range(rows)


def _log_range(rows: pd.DataFrame) -> tuple[float, float]:
    """Logarithms of the ends: of the values and their intervals, but of these not more than a third of the
    range of the values beyond it."""
    low, high = math.log(rows["_value"].min()), math.log(rows["_value"].max())
    reach = max(high - low, math.log(4))
    least, most = low - 0.06 * reach, low + 1.08 * reach
    if "_low" in rows:
        positive = rows["_low"][rows["_low"] > 0]
        least = max(min(least, math.log(positive.min() if len(positive) else 1)), low - reach / 3)
        highest = rows["_high"].max()
        most = min(max(most, math.log(highest) if highest > 0 else most), high + reach / 3)
    return least, most


def _linear_range(rows: pd.DataFrame) -> tuple[float, float]:
    """Of the values and their intervals, but of these not more than the range of the values beyond it."""
    low, high = float(rows["_value"].min()), float(rows["_value"].max())
    reach = max(high - low, 0.02 * abs(high))
    least, most = low - 0.15 * reach, high + 0.15 * reach
    if "_low" in rows and rows["_low"].notna().any():
        least = max(min(least, float(rows["_low"].min())), low - reach)
        most = min(max(most, float(rows["_high"].max())), high + reach)
    return max(least, 0.0), most


def _shade(ax: Axes, foot: float, top: float, *, style: Style) -> None:
    """The ground of rows of marks, between two heights of the panel."""
    room = Rectangle(
        (0, foot), 1, top - foot, transform=ax.transAxes, color=style.shade, linewidth=0, zorder=0
    )
    ax.add_patch(room)


def _draw_lines(
    ax: Axes,
    cell: layout.Cell,
    shown: Mapping[str, Look],
    curve: Curve,
    *,
    span: tuple[float, float],
    style: Style,
) -> None:
    """The mechanisms of a panel, before those of other panels in grey."""
    for label, part in cell.behind():
        _draw_line(ax, part, curve, Look(style.quiet, ""), gid=f"behind {label}", style=style)
    for label, look in shown.items():
        part = cell.rows[cell.rows["system"] == label]
        within = None if label == cell.reference else span
        _draw_line(ax, part, curve, look, gid=f"line {label}", style=style, span=within)


def _draw_line(
    ax: Axes,
    rows: pd.DataFrame,
    curve: Curve,
    look: Look,
    *,
    gid: str,
    style: Style,
    span: tuple[float, float] | None = None,
) -> None:
    """The line of a mechanism; with its interval as a band within `span` where that is given, else thin."""
    ordered = rows.sort_values(curve.x)
    name = str(ordered["system"].iloc[0])
    # A length without a value breaks the line: nothing is drawn where nothing was measured.
    ax.plot(
        ordered[curve.x],
        ordered["_value"],
        color=look.colour,
        marker=look.marker,
        linestyle=look.dashes,
        linewidth=style.points(0.9 if span is None else 1.5),
        zorder=1.5 if span is None else 2.5,
        gid=gid,
        label=name,
    )
    warned = ordered[_warned(ordered, curve)]
    if look.marker and len(warned):
        ax.plot(
            warned[curve.x],
            warned["_value"],
            color=look.colour,
            marker=look.marker,
            markerfacecolor=style.ground,
            linestyle="none",
            zorder=2.6,
            gid=f"warned {name}",
            label=name,
        )
    if "_low" in ordered and span is not None:
        marks.draw_band(ax, ordered, curve.x, look, span=span, style=style)
    if look.marker:
        told = {"system", "seq_len", "reference", "group", curve.x, "_value", "_low", "_high", curve.ratio}
        columns = [column for column in ordered if column in told | {(curve.warned or ("",))[0]}]
        for row in ordered.loc[ordered["_value"].notna(), columns].to_dict("records"):
            add_tooltip(ax, row[curve.x], row["_value"], _tooltip(row, curve), series=name)


def _warned(rows: pd.DataFrame, curve: Curve) -> pd.Series[bool]:
    """Which of the rows are not what the axis says."""
    if curve.warned is None or curve.warned[0] not in rows:
        return pd.Series(False, index=rows.index)
    return rows[curve.warned[0]].ge(0.5) & rows["_value"].notna()


def _tooltip(row: Mapping[Hashable, Any], curve: Curve) -> str:
    """`linrec at N = 4,096: 12.3 ms [11.9, 13.0], 0.312x softmax`."""
    at = f" at N = {numbers.whole(row['seq_len'])}"
    if curve.x != "seq_len":
        at = f", {curve.x_axis} {row['group']}"
    value = float(row["_value"])
    words = f"{row['system']}{at}: {curve.value(value)}"
    if "_low" in row:
        words = f"{words} {curve.ends(value, float(row['_low']), float(row['_high']))}".rstrip()
    if curve.warned and row.get(curve.warned[0], 0) >= 0.5:
        words = f"{words}, {curve.warned[1]}"
    ratio = row.get(curve.ratio, math.nan)
    if pd.isna(ratio) or row["reference"] in ("", row["system"]):
        return words
    return f"{words}, {numbers.ratio(float(ratio))} {row['reference']}"


def _ends(ax: Axes, cell: layout.Cell, x: str, heights: Mapping[str, float]) -> dict[str, tuple[float, bool]]:
    """Where the lines end: the height as a fraction of the panel, and whether that is the right edge.

    `heights` are those of hollow marks, for a mechanism that has nothing else here. Mechanisms that only
    other panels of the line show are named at the bottom.
    """
    longest = cell.rows[x].max()
    ends = dict.fromkeys(cell.named, (0.0, False))
    for label in ends:
        measured = cell.rows[(cell.rows["system"] == label) & cell.rows["_value"].notna()].sort_values(x)
        if len(measured):
            last = measured.iloc[-1]
            ends[label] = (marks.height(ax, float(last["_value"])), bool(last[x] == longest))
        elif label in heights:
            ends[label] = (heights[label], False)
    return ends
