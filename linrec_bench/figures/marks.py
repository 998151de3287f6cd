"""What is drawn over the lines of a cost panel: fits, crossings with the reference, and slopes to compare."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from linrec_bench.figures.style import Look, Style
from linrec_bench.presentation import numbers


def draw_fits(ax: Axes, fits: pd.DataFrame, looks: Mapping[str, Look], *, style: Style) -> None:
    """The fitted a + b N^p as dotted lines, between the measured lengths and where p is determined."""
    for fit in fits[fits["exponent"].notna()].to_dict("records"):
        label = str(fit["attention"])
        if label not in looks:
            continue
        lengths = np.geomspace(fit["shortest"], fit["longest"], 50)
        ax.plot(
            lengths,
            fit["floor_s"] + fit["coefficient"] * lengths ** fit["exponent"],
            color=style.ink,
            linestyle=":",
            linewidth=style.points(0.8),
            zorder=2.8,
            gid=f"fit {label}",
        )


def crossed(crossings: pd.DataFrame | None, shown: Collection[str]) -> list[dict[Hashable, Any]]:
    """The crossings of the mechanisms shown that do cross, by length."""
    if crossings is None:
        return []
    found = crossings[(crossings["outcome"] == "crosses") & crossings["challenger"].isin(list(shown))]
    return found.sort_values(["seq_len", "challenger"]).to_dict("records")


def draw_crossings(
    ax: Axes, found: Sequence[Mapping[Hashable, Any]], looks: Mapping[str, Look], *, band: float, style: Style
) -> None:
    """From which length on each mechanism costs less, with the interval of N*: rows, each `band` high, at the
    foot of the panel. An end of an interval that no measured length bounds reaches to the edge."""
    to_panel = ax.transData + ax.transAxes.inverted()
    for row, crossing in enumerate(reversed(found)):
        label, at = str(crossing["challenger"]), float(crossing["seq_len"])
        left, right = ax.get_xlim()
        ends = [
            edge if math.isnan(end) else end
            for end, edge in ((crossing["seq_len_low"], left), (crossing["seq_len_high"], right))
        ]
        height = band * (row + 0.5)
        across = ax.get_xaxis_transform()
        look = looks[label]
        thickness = style.points(1.1)
        ax.plot(ends, [height] * 2, transform=across, color=look.colour, linewidth=thickness, gid="interval")
        ax.plot(
            [at],
            [height],
            transform=across,
            color=look.colour,
            marker=look.marker,
            linestyle="none",
            gid=f"crossing {label}",
        )
        # The words stand behind the interval, or before it where that leaves no room, or else on it.
        starts, stops = (float(to_panel.transform((end, 1))[0]) for end in ends)
        fits = stops < 0.72
        on_line = not fits and starts < 0.12
        ax.annotate(
            numbers.length(at),
            (at if on_line else ends[1] if fits else ends[0], height),
            xycoords=across,
            xytext=(style.points(5 if fits or on_line else -5), 0),
            textcoords="offset points",
            ha="left" if fits or on_line else "right",
            bbox={"facecolor": style.shade, "edgecolor": "none", "pad": 0.6} if on_line else None,
            va="center_baseline",
            fontsize=style.points(7.5),
            color=style.faint,
            gid="crossing length",
        )


def draw_slopes(ax: Axes, *, style: Style, top: float = 1.0) -> None:
    """Short lines of slope 1 and 2 in the upper left corner, which growing lines leave empty.

    They and their names stay below `top`, a fraction of the panel.
    """
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    x0, y0 = left * (right / left) ** 0.06, low * (high / low) ** min(0.55, top - 0.37)
    reach = min((right / left) ** 0.2, (high / low) ** (0.3 / 2))
    for power, name in ((1, "N"), (2, "N²")):
        end = (x0 * reach, y0 * reach**power)
        ax.plot(
            [x0, end[0]],
            [y0, end[1]],
            color=style.faint,
            linewidth=style.points(0.8),
            linestyle=(0, (3, 2)),
            gid="slope",
        )
        ax.annotate(
            name,
            end,
            xytext=(2, 1),
            textcoords="offset points",
            fontsize=style.points(7.5),
            color=style.faint,
            gid="slope name",
        )


def height(ax: Axes, value: float) -> float:
    """A value of the vertical axis as a fraction of the panel."""
    to_panel = ax.transData + ax.transAxes.inverted()
    return float(to_panel.transform((ax.get_xlim()[0], value))[1])
