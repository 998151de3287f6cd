"""What could not be measured: hollow marks in rows along the top of a cost panel, with the reason."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes

from linrec_bench.figures.style import FAINT, look

WORDS = {
    "oom": "out of memory",
    "timeout": "out of time",
    "killed": "killed",
    "error": "failed",
    "unsupported": "unsupported",
    "skipped": "skipped",
}

MOST = 0.4
"""The part of a panel that rows of marks may take."""

_ROW_INCHES = 0.13


def band(rows: int) -> float:
    """The height of one of `rows` rows of hollow marks, as a fraction of the panel."""
    return min(0.075, MOST / max(rows, 1))


def panel_inches(rows: int) -> float:
    """The height that a panel needs for the words of `rows` rows to stand clear of each other."""
    return _ROW_INCHES / band(rows)


def labels(part: pd.DataFrame) -> list[str]:
    """The mechanisms with a case that did not end ok, in order: each has its own row of marks."""
    return [str(label) for label in part.loc[part["status"] != "ok", "attention"].unique()]


def draw(ax: Axes, part: pd.DataFrame, *, band: float) -> dict[str, float]:
    """The rows of marks of one panel, each `band` high: mechanism -> height of its row."""
    heights = {label: 1 - band * (row + 0.5) for row, label in enumerate(labels(part))}
    for label, height in heights.items():
        _draw_row(ax, part[(part["attention"] == label) & (part["status"] != "ok")], height)
    return heights


def _draw_row(ax: Axes, rows: pd.DataFrame, at: float) -> None:
    """Hollow marks at the lengths that were not measured, and beside them why."""
    ordered = rows.sort_values("seq_len")
    found = look(str(ordered["attention"].iloc[0]))
    ax.plot(
        ordered["seq_len"],
        [at] * len(ordered),
        transform=ax.get_xaxis_transform(),
        color=found.colour,
        marker=found.marker,
        fillstyle="none",
        linestyle="none",
        gid=f"failed {ordered['attention'].iloc[0]}",
    )
    why = ", ".join(WORDS[status] for status in ordered["status"].unique())
    first, last = ordered["seq_len"].iloc[0], ordered["seq_len"].iloc[-1]
    # The words stand on the side with more room.
    left, right = ax.get_xlim()
    before = math.log(first / left) >= math.log(right / last)
    ax.annotate(
        why,
        (first if before else last, at),
        xycoords=ax.get_xaxis_transform(),
        xytext=(-6 if before else 6, 0),
        textcoords="offset points",
        ha="right" if before else "left",
        va="center_baseline",
        fontsize=7.5,
        color=FAINT,
        gid="why",
    )
