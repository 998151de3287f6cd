"""Learning curves: validation NDCG against the seconds that training took to get there."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from linrec_bench.analysis.systems import compared
from linrec_bench.analysis.time_to_quality import METRIC, learning_curves
from linrec_bench.figures import facets, layout
from linrec_bench.figures.panels import LABEL_GAP, Panels, is_first_column, label_beside, name_columns
from linrec_bench.figures.quality import ROWS
from linrec_bench.figures.spec import FigureSpec
from linrec_bench.figures.style import PAPER, Look, NothingToDraw, Style
from linrec_bench.figures.ticks import few, formatter, log_ticks
from linrec_bench.figures.tooltips import TooltipFigure, add_tooltip, name_panel
from linrec_bench.presentation import case_names, numbers

LINEAR = 8.0
"""Up to this ratio of the longest training to the shortest, the axis of time is linear."""


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Validation NDCG@10 of every seed against the sum of its epoch times; a mark at the best epoch.

    Raises `NothingToDraw` where no trial that ended ok has both.
    """
    curves = learning_curves(samples)
    if curves.empty:
        raise NothingToDraw(f"no trial that ended ok has validation {METRIC} and epoch times")
    curves, summary = compared(curves, summary), compared(summary)
    curves = curves.assign(reference=layout.reference_of(summary) or "", _best=_best(curves))
    with matplotlib.rc_context(style.rc):
        found = layout.lay_out(curves, down=ROWS, across=(), value="_best", higher=True)
        names = max(len(cell.named) for cell in found.cells)
        behind = " Mechanisms in groups, best first; grey: all the others." if found.crowded else ""
        same = facets.subject(curves, ROWS)
        figure, grid = Panels(
            rows=len(found.lines),
            columns=found.columns,
            labels=sorted({name for cell in found.cells for name in cell.named}),
            sides=[facets.beside(cell.side, "validation NDCG@10") for cell in found.cells],
            style=style,
            width=2.7 if found.crowded else 5.0,
            height=max(2.0 if found.crowded else 2.8, LABEL_GAP * 1.05 * style.scale * names),
            left=0.95,
            top=0.48,
            apart=found.crowded,
        ).make(
            title="Learning curves",
            subtitle=f"{same}; a line a seed, marked at its best epoch.{behind}",
        )
        cells = list(found.pairs(grid))
        for ax, cell in cells:
            looks = cell.looks(style)
            name_panel(ax, case_names.settings(cell.setting))
            for label, part in cell.behind():
                _draw_runs(ax, part, Look(style.quiet, ""), gid=f"behind {label}", style=style)
            for label in cell.shown:
                part = cell.rows[cell.rows["system"] == label]
                _draw_runs(ax, part, looks[label], gid=f"line {label}", style=style)
            if is_first_column(ax):
                ax.set_ylabel(facets.beside(cell.side, "validation NDCG@10"))
        _time_axis(grid[0][0], curves)
        # A curve starts low and says little there: the axis is that of what was learnt.
        low, high = float(np.quantile(curves["quality"], 0.05)), float(curves["quality"].max())
        grid[0][0].set_ylim(max(0.0, low - 0.1 * (high - low)), high + 0.06 * (high - low))
        for ax, cell in cells:
            if cell.named:
                label_beside(ax, _heights(ax, cell), cell.looks(style), style=style)
        name_columns(grid, "training time")
    return figure


def _time_axis(ax: Axes, curves: pd.DataFrame) -> None:
    """Linear from 0; logarithmic where the slowest training took many times as long as the quickest."""
    ends = curves.groupby(["run_id", "case_id", "round"])["seconds"].max()
    if ends.max() > LINEAR * ends.min():
        low, high = float(curves["seconds"].min()), float(ends.max())
        ax.set_xscale("log")
        ax.set_xlim(low / 1.3, high * 1.3)
        ax.xaxis.set_major_locator(FixedLocator(few(log_ticks(low / 1.3, high * 1.3, base=10))))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.set_xlim(0, 1.05 * float(ends.max()))
        ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(formatter(numbers.duration_tick))


def _best(curves: pd.DataFrame) -> pd.Series:
    return curves.groupby(["run_id", "case_id", "round"])["quality"].transform("max")


def _draw_runs(ax: Axes, part: pd.DataFrame, look: Look, *, gid: str, style: Style) -> None:
    name = str(part["system"].iloc[0])
    for _, curve in part.groupby(["case_id", "round"], sort=False):
        ordered = curve.sort_values("seconds")
        ax.plot(
            ordered["seconds"],
            ordered["quality"],
            color=look.colour,
            linestyle=look.dashes,
            marker=look.marker,
            markevery=[int(ordered["quality"].to_numpy().argmax())],
            linewidth=style.points(1.1 if look.marker else 0.8),
            zorder=2.5 if look.marker else 1.5,
            gid=gid,
            label=name,
        )
        if look.marker:
            best = ordered.iloc[int(ordered["quality"].to_numpy().argmax())]
            words = (
                f"{name}, seed {best['seed']}: best validation NDCG@10 {numbers.metric(best['quality'])}"
                f" after {numbers.duration(best['seconds'])} of training"
            )
            add_tooltip(ax, best["seconds"], best["quality"], words, series=name)


def _heights(ax: Axes, cell: layout.Cell) -> dict[str, tuple[float, bool]]:
    """The height of each mechanism's label: that of the best epoch, the mean over seeds."""
    low, high = ax.get_ylim()
    best = cell.rows.groupby(["system", "case_id", "round"], sort=False)["quality"].max()
    means = best.groupby("system", sort=False).mean()
    heights = {str(label): float((mean - low) / (high - low)) for label, mean in means.items()}
    return {label: (heights.get(label, 0.0), False) for label in cell.named}


SPEC = FigureSpec(
    name="learning_curves",
    tasks=("recommend",),
    draw=draw,
    caption="Validation NDCG@10 against the seconds that training took to get there.",
    alt="Line chart of validation NDCG@10 against training time, a line a seed.",
    place=11,
)
