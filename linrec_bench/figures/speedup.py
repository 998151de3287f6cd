"""How many times faster than the reference: a map over sequence length and shape."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from linrec_bench.analysis.naming import FLOORS
from linrec_bench.figures import facets, layout
from linrec_bench.figures.contrast import contrast, mixed
from linrec_bench.figures.panels import Panels, name_columns
from linrec_bench.figures.spec import COSTS, FigureSpec
from linrec_bench.figures.style import PAPER, NothingToDraw, Style
from linrec_bench.figures.tooltips import TooltipFigure, add_tooltip, name_panel
from linrec_bench.presentation import case_names, numbers, words

SHAPE = ("batch_size", "hidden_size", "heads", "layers", "catalogue_size")
"""What rows of a map differ in."""

PANELS = ("phase", "causal", "model", "dataset", "dtype", "device", "seed")

SLOWER, FASTER = "#D55E00", "#0072B2"
"""Ends of the scale, which people with the common colour deficiencies tell apart."""

CELL = (0.5, 0.27)
"""Inches of a cell."""

LEAST_SPAN = 4.0
"""The scale reaches at least from so many times slower to so many times faster."""


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Speed-up in time (1 / `time_ratio`) for each mechanism but floors and the reference.

    A cell is empty where nothing was planned, crossed where the mechanism did not end ok, and hatched where
    it ran and the reference did not. Faint numbers: the interval holds 1. Raises `NothingToDraw` where there
    is no ratio, or nothing but N varies and there is no map.
    """
    del samples
    reference = layout.reference_of(summary)
    if reference is None:
        raise NothingToDraw("the run has no one reference mechanism")
    kept = ~summary["attention_name"].isin(FLOORS) & (summary["attention"] != reference)
    rows = summary[kept]
    if rows["time_ratio"].isna().all():
        raise NothingToDraw(f"no case has a time beside {reference}")
    shapes = facets.settings(rows, SHAPE)
    if len(shapes) < 2 or rows["seq_len"].nunique() < 2:
        raise NothingToDraw("neither batch nor width varies along with the sequence length")
    with matplotlib.rc_context(style.rc):
        return _draw(rows, shapes, reference, style)


def _draw(rows: pd.DataFrame, shapes: list[facets.Setting], reference: str, style: Style) -> TooltipFigure:
    lengths = sorted(int(length) for length in rows["seq_len"].unique())
    names = sorted(map(str, rows["attention"].unique()))
    shape_names = [case_names.settings(shape) for shape in shapes]
    settings = facets.settings(rows, PANELS)
    lines = [(setting, line) for setting in settings for line in layout.wrapped(names)]
    speed = np.log(rows["time_ratio"].dropna().to_numpy(dtype=np.float64))
    span = max(math.log(LEAST_SPAN), float(np.abs(speed).max()))
    colours = LinearSegmentedColormap.from_list("speed-up", [SLOWER, style.ground, FASTER])
    same = facets.subject(rows, (*PANELS, *SHAPE))
    panels = Panels(
        titles=[_title(name, setting) for setting, line in lines for name in line],
        rows=len(lines),
        columns=max(len(line) for _, line in lines),
        labels=[],
        style=style,
        width=CELL[0] * style.scale * len(lengths),
        height=CELL[1] * style.scale * len(shapes),
        left=0.45 + 0.078 * max(map(len, shape_names)),
        gap_y=0.42 if len(settings) == 1 else 0.48,
    )
    figure, grid = panels.make(
        title=f"How many times faster than {reference}",
        subtitle=f"{same}. Faint number: the 95 % interval holds 1. Hatched: {reference}"
        " did not run, the mechanism did. Cross: it did not end ok. Empty: not planned.",
    )
    for axes, (setting, line) in zip(grid, lines, strict=True):
        for ax, name in zip(axes, line, strict=False):
            part = facets.select(rows, setting | {"attention": name})
            name_panel(ax, case_names.settings(setting))
            ax.set_xlim(0, len(lengths))
            ax.set_ylim(len(shapes), 0)
            ax.set_xticks(np.arange(len(lengths)) + 0.5, list(map(numbers.whole, lengths)))
            ax.set_yticks(np.arange(len(shapes)) + 0.5, shape_names)
            ax.tick_params(length=0)
            ax.tick_params(axis="x", labelsize=style.points(7))
            ax.grid(visible=False)
            for spine in ax.spines.values():
                spine.set_visible(False)
            ax.set_title(panels.wrapped(_title(name, setting)), loc="left")
            for row in part.to_dict("records"):
                at = lengths.index(int(row["seq_len"]))
                shape = {column: row[column] for column in shapes[0]}
                down = next(i for i, other in enumerate(shapes) if _equal(shape, other))
                _draw_cell(ax, row, at, down, span=span, colours=colours, style=style)
                add_tooltip(
                    ax, at + 0.5, down + 0.5, _tooltip(row, shape_names[down], reference), series=name
                )
        for ax in axes[len(line) :]:
            ax.set_axis_off()
    name_columns(grid, "sequence length N")
    return figure


def _title(name: str, setting: facets.Setting) -> str:
    return ", ".join(filter(None, (name, case_names.settings(setting))))


def _tooltip(row: Mapping[Hashable, Any], shape: str, reference: str) -> str:
    """`linrec at N = 1,024, batch 4, hidden 64: 2.56 times as fast as softmax [2.52, 2.60]`."""
    place = ", ".join(filter(None, (f"{row['attention']} at N = {numbers.whole(row['seq_len'])}", shape)))
    if row["status"] != "ok":
        return f"{place}: not measured, {words.status(str(row['status']), str(row['detail']))}"
    ratio = float(row["time_ratio"])
    if math.isnan(ratio):
        return f"{place}: {numbers.duration(float(row['time_s']))}; {reference} did not run"
    ends = numbers.interval(1 / float(row["time_ratio_high"]), 1 / float(row["time_ratio_low"]))
    return f"{place}: {numbers.three_digits(1 / ratio)} times as fast as {reference} {ends}".rstrip()


def _equal(one: facets.Setting, other: facets.Setting) -> bool:
    return all(
        one[key] == value or (case_names.is_missing(one[key]) and case_names.is_missing(value))
        for key, value in other.items()
    )


def _draw_cell(
    ax: Axes,
    row: Mapping[Hashable, Any],
    at: int,
    down: int,
    *,
    span: float,
    colours: LinearSegmentedColormap,
    style: Style,
) -> None:
    box = partial(Rectangle, (at + 0.03, down + 0.05), 0.94, 0.9, linewidth=0)
    middle = (at + 0.5, down + 0.5)
    if row["status"] != "ok":
        ax.add_patch(box(facecolor=style.shade, gid="failed"))
        ax.plot(*middle, marker="x", color=style.faint, markersize=style.points(3.5), gid="failed")
        return
    ratio = float(row["time_ratio"])
    if math.isnan(ratio):
        ax.add_patch(box(facecolor=style.shade, edgecolor=style.faint, hatch="////", gid="alone"))
        return
    red, green, blue, _ = colours(0.5 - math.log(ratio) / (2 * span))
    colour = f"#{round(255 * red):02X}{round(255 * green):02X}{round(255 * blue):02X}"
    ax.add_patch(box(facecolor=colour, gid="cell"))
    low, high = float(row["time_ratio_low"]), float(row["time_ratio_high"])
    sure = high < 1 or low > 1
    ink = max(("#111111", "#FFFFFF"), key=lambda ink: contrast(ink, colour))
    ax.text(
        *middle,
        numbers.two_digits(1 / ratio),
        ha="center",
        va="center_baseline",
        fontsize=style.points(7.5),
        color=ink if sure else mixed(ink, colour, 0.4),
        gid="speed",
    )


SPEC = FigureSpec(
    name="speedup",
    tasks=COSTS,
    draw=draw,
    caption="How many times faster than the reference: a map over sequence length and shape.",
    alt="Maps of the speed-up over the reference, against sequence length and shape.",
    place=4,
)
