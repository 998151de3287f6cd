"""How time grows with sequence length: the exponent of t = a + b N^p with its interval, a row a mechanism."""

from __future__ import annotations

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from linrec_bench.analysis import growth
from linrec_bench.analysis.systems import identities
from linrec_bench.figures import curves, facets, layout
from linrec_bench.figures.panels import Panels, name_columns
from linrec_bench.figures.spec import COSTS, FigureSpec
from linrec_bench.figures.style import PAPER, Look, NothingToDraw, Style
from linrec_bench.figures.tooltips import TooltipFigure, add_tooltip, name_panel
from linrec_bench.presentation import case_names, numbers, words

ROW = 0.19
"""Inches of a row."""

RANGE = (-0.1, 2.6)
"""Exponents shown at least; an interval that reaches beyond the range ends in an arrow."""


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Exponents with 95 % intervals; hollow and faint where the data do not determine them.

    Raises `NothingToDraw` where no mechanism was timed at enough lengths and in enough processes.
    """
    found = growth.growth(summary, samples)
    rows = found[found["low"].notna()]
    if rows.empty:
        reasons = (
            ", ".join(sorted({words.NO_EXPONENT[reason] for reason in found["reason"]}))
            or "no raw samples of time at two lengths"
        )
        raise NothingToDraw(f"no growth can be fitted: {reasons}")
    names, known = _ordered(rows), identities(summary)
    looks = {name: style.look(*known[name]) for name in names}
    with matplotlib.rc_context(style.rc):
        panels = facets.settings(rows, (*curves.DOWN, *curves.ACROSS))
        lines = layout.wrapped(panels)
        same = facets.subject(rows, (*curves.DOWN, *curves.ACROSS))
        table = Panels(
            titles=[case_names.settings(setting) for setting in panels],
            rows=len(lines),
            columns=len(lines[0]),
            labels=[],
            style=style,
            width=2.5 if len(lines[0]) > 1 else 3.8,
            height=ROW * style.scale * (len(names) + 1),
            left=0.35 + 0.078 * max(map(len, names)),
        )
        figure, grid = table.make(
            title="Growth of time with sequence length",
            subtitle=f"{same}. Exponent p of the fit a + b N^p, 95 % interval; hollow: no single power, "
            "or range too short.",
        )
        for axes, line in zip(grid, lines, strict=True):
            for ax, setting in zip(axes, line, strict=False):
                name_panel(ax, case_names.settings(setting))
                _draw_panel(ax, facets.select(rows, setting), looks, style)
                ax.set_title(table.wrapped(case_names.settings(setting)), loc="left")
            for ax in axes[len(line) :]:
                ax.set_axis_off()
        name_columns(grid, "exponent p")
    return figure


def _ordered(rows: pd.DataFrame) -> list[str]:
    """Those that grow fastest first; exponents that differ by less than a quarter count as one, by name."""
    middle = rows.groupby("system")[["low", "high"]].mean().mean(axis=1).clip(*RANGE)
    return sorted(map(str, middle.index), key=lambda name: (-round(4 * float(middle[name])), name))


def _draw_panel(ax: Axes, rows: pd.DataFrame, looks: Mapping[str, Look], style: Style) -> None:
    names = list(looks)
    left, right = RANGE
    ax.set_xlim(left, right)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MultipleLocator(1))
    ax.grid(visible=False, axis="y")
    for row in rows.to_dict("records"):
        label = str(row["system"])
        look, at = looks[label], names.index(label)
        known = not math.isnan(row["exponent"])
        colour = look.colour if known else style.faint
        low, high = np.clip([row["low"], row["high"]], left, right)
        ax.plot(
            [low, high],
            [at, at],
            color=colour,
            linewidth=style.points(1.5 if known else 0.8),
            gid=f"interval {label}",
            label=label,
        )
        for end, value, arrow in ((left, row["low"], "<"), (right, row["high"], ">")):
            if not left <= value <= right:
                ax.plot([end], [at], marker=arrow, color=colour, clip_on=False, gid="beyond")
        if known:
            middle, gid, fill = float(row["exponent"]), f"exponent {label}", "full"
            said = f"{label}: exponent {numbers.three_digits(middle)}"
        else:
            middle, gid, fill = float(low + high) / 2, f"unknown {label}", "none"
            said = f"{label}: exponent not determined, {words.NO_EXPONENT[str(row['reason'])]},"
        ax.plot([middle], [at], marker=look.marker, color=colour, fillstyle=fill, gid=gid, label=label)
        ends = numbers.interval(float(row["low"]), float(row["high"]))
        add_tooltip(ax, middle, at, f"{said} {ends}", series=label)


SPEC = FigureSpec(
    name="growth",
    tasks=COSTS,
    draw=draw,
    caption="Exponent p of the fit t = a + b N^p of time, with its 95 % interval.",
    alt="Intervals of the exponent of time, a row a mechanism.",
    place=3,
)
