"""What could not be measured: hollow marks in rows along the top of a cost panel, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

import pandas as pd
from matplotlib.axes import Axes

from linrec_bench.figures.style import Look, Style
from linrec_bench.figures.tooltips import add_tooltip
from linrec_bench.presentation import words

ROOM = 0.2
"""Share of a panel's width that words need."""


def labels(part: pd.DataFrame, shown: Collection[str]) -> list[str]:
    """Those of the mechanisms shown with a case that did not end ok: each has its own row of marks."""
    failed = part.loc[part["status"] != "ok", "system"].unique()
    return [str(label) for label in failed if label in shown]


def draw(
    ax: Axes, part: pd.DataFrame, looks: Mapping[str, Look], *, x: str, band: float, style: Style
) -> dict[str, float]:
    """The rows of marks of the mechanisms in `looks`, each `band` high: mechanism -> height of its row."""
    heights = {label: 1 - band * (row + 0.5) for row, label in enumerate(labels(part, looks))}
    for label, height in heights.items():
        rows = part[(part["system"] == label) & (part["status"] != "ok")].sort_values(x)
        _draw_row(ax, rows, looks[label], x=x, at=height, style=style)
    return heights


def _draw_row(ax: Axes, rows: pd.DataFrame, look: Look, *, x: str, at: float, style: Style) -> None:
    """Hollow marks where nothing was measured, and beside them why."""
    name = str(rows["system"].iloc[0])
    ax.plot(
        rows[x],
        [at] * len(rows),
        transform=ax.get_xaxis_transform(),
        color=look.colour,
        marker=look.marker,
        fillstyle="none",
        linestyle="none",
        gid=f"failed {name}",
        label=name,
    )
    for row in rows.to_dict("records"):
        add_tooltip(ax, row[x], at, _tooltip(row), series=name, transform=ax.get_xaxis_transform())
    why = ", ".join(words.status(status) for status in rows["status"].unique())
    first, last = float(rows[x].iloc[0]), float(rows[x].iloc[-1])
    # The words stand on the side with more room; behind the first mark where neither has any.
    to_panel = ax.transData + ax.transAxes.inverted()
    left, right = (float(to_panel.transform((value, 1))[0]) for value in (first, last))
    before = left >= 1 - right and left >= ROOM
    inside = max(left, 1 - right) < ROOM
    ax.annotate(
        why,
        (first if before or inside else last, at),
        xycoords=ax.get_xaxis_transform(),
        xytext=(style.points(-6 if before else 6), 0),
        textcoords="offset points",
        ha="right" if before else "left",
        va="center_baseline",
        fontsize=style.points(7.5),
        color=style.faint,
        gid="why",
        label=name,
    )


def _tooltip(row: Mapping[Hashable, object]) -> str:
    """`linrec at N = 4,096: not measured, out of time: stopped after its limit of 8 s`."""
    detail = row.get("detail")
    reason = words.status(str(row["status"]), detail if isinstance(detail, str) else "")
    return f"{row['system']} at N = {row['seq_len']:,}: not measured, {reason}"
