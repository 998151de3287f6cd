"""Peak memory by kind at one length: saved for backward, other live tensors, the rest."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from linrec_bench.analysis.memory_kinds import KINDS, memory_kinds
from linrec_bench.figures import curves, facets
from linrec_bench.figures.panels import Panels
from linrec_bench.figures.spec import COSTS, FigureSpec
from linrec_bench.figures.style import PAPER, NothingToDraw, Style
from linrec_bench.figures.ticks import formatter
from linrec_bench.figures.tooltips import TooltipFigure, add_tooltip, name_panel
from linrec_bench.presentation import case_names, numbers, words

SETTINGS = (*curves.DOWN, *curves.ACROSS)

COLOURS = {
    "saved": "#0072B2",
    "live": "#56B4E9",
    "process": "#E69F00",
    "allocated": "#0072B2",
    "reserved": "#56B4E9",
    "driver": "#E69F00",
}

ROW = 0.2
"""Inches of a bar with its gap."""


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """To the left bytes with their sum, to the right each kind as a share of the mechanism's own sum.

    Every setting is shown at its longest N at which most mechanisms were measured. Raises `NothingToDraw`
    where no case has its memory split.
    """
    del samples
    kinds = memory_kinds(summary)
    if kinds.empty:
        raise NothingToDraw("no case that ended ok has its peak memory by kind (saved_bytes)")
    parts = [
        (setting, _at_one_length(facets.select(kinds, setting)))
        for setting in facets.settings(kinds, SETTINGS)
    ]
    with matplotlib.rc_context(style.rc):
        return _draw(kinds, parts, style)


def _at_one_length(rows: pd.DataFrame) -> pd.DataFrame:
    """Mechanisms by kinds (bytes), by their sum; the name of the index tells the length."""
    counts = rows.groupby("seq_len")["attention"].nunique()
    length = int(counts[counts == counts.max()].index.max())
    here = rows[rows["seq_len"] == length]
    table = here.pivot_table(index="attention", columns="kind", values="bytes", aggfunc="max")
    table = table[[kind for kind in KINDS if kind in table]]
    table = table.loc[table.sum(axis=1).sort_values().index]
    return table.rename_axis(index=f"N = {length:,}")


def _draw(
    kinds: pd.DataFrame, parts: list[tuple[facets.Setting, pd.DataFrame]], style: Style
) -> TooltipFigure:
    present = [kind for kind in KINDS if (kinds["kind"] == kind).any()]
    longest = max(len(str(name)) for name in kinds["attention"])
    most = max(len(table) for _, table in parts)
    same = facets.subject(kinds, SETTINGS)
    figure, grid = Panels(
        rows=len(parts),
        columns=2,
        labels=[],
        style=style,
        width=2.9,
        height=ROW * style.scale * most,
        left=0.35 + 0.078 * longest,
        top=1.0,
        gap_y=0.62,
        gap_x=0.3,
    ).make(
        title="Peak memory by kind",
        subtitle=f"{same}. Beyond the inputs; "
        "least first. Left: bytes, with their sum. Right: shares of each sum.",
        share="none",
    )
    for (left, right), (setting, table) in zip(grid, parts, strict=True):
        name_panel(left, ", ".join(filter(None, (case_names.settings(setting), str(table.index.name)))))
        _draw_bars(left, table, style)
        _add_tooltips(left, table)
        _draw_bars(right, table.div(table.sum(axis=1), axis=0), style)
        totals = table.sum(axis=1)
        for at, total in enumerate(totals):
            left.text(
                total,
                at,
                f" {numbers.memory(total)}",
                va="center_baseline",
                fontsize=style.points(7.5),
                color=style.ink,
                gid="sum",
            )
        left.set_xlim(0, float(totals.max()) * 1.25)
        left.xaxis.set_major_locator(FixedLocator(_ticks(float(totals.max()))))
        left.xaxis.set_major_formatter(formatter(numbers.memory_tick))
        right.set_xlim(0, 1)
        right.xaxis.set_major_formatter(formatter(numbers.percent))
        right.set_yticklabels([])
        left.set_title(
            ", ".join(filter(None, (case_names.settings(setting), str(table.index.name)))), loc="left"
        )
    _draw_key(figure, grid[0][0], present, style)
    return figure


def _draw_bars(ax: Axes, table: pd.DataFrame, style: Style) -> None:
    below = np.zeros(len(table))
    for kind in table:
        values = table[kind].fillna(0).to_numpy(dtype=np.float64)
        bars = ax.barh(
            range(len(table)),
            values,
            left=below,
            height=0.72,
            color=COLOURS[str(kind)],
            edgecolor=style.ground,
            linewidth=style.points(0.4),
            gid=f"bars {kind}",
        )
        for bar, name in zip(bars, table.index, strict=True):
            bar.set_label(str(name))
        below += values
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.set_yticks(range(len(table)), [str(name) for name in table.index])
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")


def _add_tooltips(ax: Axes, table: pd.DataFrame) -> None:
    for at, (name, row) in enumerate(table.iterrows()):
        total, below = float(row.sum()), 0.0
        # What takes nothing has no bar; nor has NaN.
        for kind, size in row[row > 0].items():
            share = numbers.percent(size / total)
            text = f"{name}: {words.MEMORY_KIND[str(kind)]} {numbers.memory(size)}, {share} of the sum"
            add_tooltip(ax, below + size / 2, at, text, series=str(name))
            below += float(size)


def _ticks(largest: float) -> list[float]:
    """A few round amounts from 0 on."""
    step = 2.0 ** np.floor(np.log2(largest / 2))
    return [float(value) for value in np.arange(0, largest * 1.01, step)]


def _draw_key(figure: TooltipFigure, ax: Axes, kinds: list[str], style: Style) -> None:
    """The names of the kinds above the first panel, each in a patch of its colour."""
    width, height = (float(size) for size in figure.get_size_inches())
    at = ax.get_position()
    x, y = at.x0, at.y1 + 0.38 * style.scale / height
    for kind in kinds:
        figure.text(x, y, "■", color=COLOURS[kind], fontsize=style.points(9), va="center_baseline", gid="key")
        figure.text(
            x + 0.14 * style.scale / width,
            y,
            words.MEMORY_KIND[kind],
            fontsize=style.points(8.5),
            va="center_baseline",
            gid="kind",
        )
        x += (0.34 + 0.066 * len(words.MEMORY_KIND[kind])) * style.scale / width


SPEC = FigureSpec(
    name="memory_kinds",
    tasks=COSTS,
    draw=draw,
    caption="Peak memory by kind at one length: saved for backward, other live tensors, the rest.",
    alt="Stacked bars of peak memory by kind, a bar a mechanism.",
    place=5,
)
