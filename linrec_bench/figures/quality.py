"""Ranking quality on test against what it costs: training time and peak memory, with seed intervals."""

from __future__ import annotations

import math

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from linrec_bench.analysis.seeds import across_seeds
from linrec_bench.figures import facets
from linrec_bench.figures.panels import Panels, label_beside
from linrec_bench.figures.style import FAINT, RC, NothingToDraw, look
from linrec_bench.figures.ticks import amount, formatter, log_ticks, seconds

ROWS = ("dataset", "model", "seq_len", "batch_size", "hidden_size", "heads", "layers", "dtype", "causal")
"""What rows of panels are split by, where it varies."""

METRIC = "ndcg@10"

FURTHEST = 0.9
"""How far below its mean an interval is drawn: with two seeds it may reach zero, which a log axis lacks."""

AXES = (("train_time_s", "training time", seconds, 10), ("memory_bytes", "peak memory", amount, 2))


def draw(summary: pd.DataFrame, samples: pd.DataFrame) -> Figure:
    """Test NDCG@10 against training time and peak memory, a point a mechanism.

    Means over seeds with 95 % t intervals (none with one seed). Raises `NothingToDraw` without test metrics.
    """
    del samples
    if METRIC not in summary:
        raise NothingToDraw(f"the run has no test {METRIC}")
    variants = across_seeds(summary)
    rows = variants[variants[METRIC].notna()]
    shown = [axis for axis in AXES if rows[axis[0]].notna().any()]
    if not shown:
        raise NothingToDraw(f"no case that ended ok has test {METRIC} and a training time or peak memory")
    with matplotlib.rc_context(RC):
        layout = facets.settings(rows, ROWS)
        figure, grid = Panels(len(layout), len(shown), list(rows["attention"]), width=3.0, height=2.6).make(
            title="Ranking quality against its cost", subtitle=_small_print(rows, variants), share="y"
        )
        for axes, setting in zip(grid, layout, strict=True):
            part = facets.select(rows, setting)
            for ax, (column, name, form, base) in zip(axes, shown, strict=True):
                _draw_panel(ax, part, column)
                _scale(ax, rows, column, base)
                ax.xaxis.set_major_formatter(formatter(form))
                ax.set_xlabel(name)
            axes[0].set_ylabel("\n".join(filter(None, (facets.named(setting), "test NDCG@10"))))
            label_beside(axes[-1], _heights(axes[-1], part))
        grid[0][0].text(
            0.03, 0.97, "↖ better", transform=grid[0][0].transAxes, va="top", color=FAINT, fontsize=8
        )
    return figure


def _small_print(rows: pd.DataFrame, variants: pd.DataFrame) -> str:
    same = facets.named(facets.fixed(rows, ROWS))
    least, most = rows["seeds"].min(), rows["seeds"].max()
    seeds = f"{least} seeds" if least == most else f"{least} to {most} seeds"
    text = "one seed, no interval" if most == 1 else f"mean and 95 % t interval over {seeds}"
    lost = variants[variants["failed"] > 0]
    unfinished = ", ".join(f"{row['attention']} {row['failed']}" for _, row in lost.iterrows())
    return f"{same}; {text}" + (f".\nSeeds that did not end ok: {unfinished}." if unfinished else ".")


def _draw_panel(ax: Axes, part: pd.DataFrame, column: str) -> None:
    for _, row in part[part[column].notna()].iterrows():
        found = look(str(row["attention"]))
        ax.errorbar(
            row[column],
            row[METRIC],
            xerr=_reach(row, column),
            yerr=_reach(row, METRIC),
            color=found.colour,
            marker=found.marker,
            markersize=6,
            elinewidth=1,
            linestyle="none",
        )


def _reach(row: pd.Series, column: str) -> list[list[float]] | None:
    """How far the interval goes below and above its mean; None without an interval."""
    low, mean, high = row[f"{column}_low"], row[column], row[f"{column}_high"]
    return None if math.isnan(low) else [[min(mean - low, FURTHEST * mean)], [high - mean]]


def _scale(ax: Axes, rows: pd.DataFrame, column: str, base: int) -> None:
    low = rows[[column, f"{column}_low"]].min(axis=1).clip(lower=(1 - FURTHEST) * rows[column]).min()
    high = rows[[column, f"{column}_high"]].max(axis=1).max()
    margin = max(high / low, 2) ** 0.08
    ax.set_xscale("log", base=base)
    ax.set_xlim(low / margin, high * margin)
    ax.xaxis.set_major_locator(FixedLocator(log_ticks(*ax.get_xlim(), base=base)))
    ax.xaxis.set_minor_locator(NullLocator())


def _heights(ax: Axes, part: pd.DataFrame) -> dict[str, tuple[float, bool]]:
    low, high = ax.get_ylim()
    return {str(row["attention"]): ((row[METRIC] - low) / (high - low), False) for _, row in part.iterrows()}
