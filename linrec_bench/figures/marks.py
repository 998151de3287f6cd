"""What is drawn over the lines of a cost panel: fits, crossings with the reference, and slopes to compare."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from linrec_bench.figures.style import Look, Style
from linrec_bench.figures.tooltips import add_tooltip
from linrec_bench.presentation import numbers, words

Pixels = npt.NDArray[np.float64]
"""Points of a panel, a row each."""

CLEAR = 8.0
"""Points between a slope and a line that are enough: half a name and a mark."""

_STARTS = tuple(product((0.55, 0.4, 0.25, 0.1, 0.03), (0.06, 0.25, 0.45, 0.65, 0.75)))
"""Where slopes may start, shares of the height and width: first the upper left corner, which growing lines
leave empty."""


Point = tuple[float, float]
Arrow = Literal[4, 5, 6, 7]
LEFT: Arrow = 4
RIGHT: Arrow = 5
UP: Arrow = 6
DOWN: Arrow = 7
"""Arrowheads as matplotlib numbers them; their tips are at the place."""

CUT_OFF = "Arrowhead: the interval goes on beyond the axis."


def draw_band(
    ax: Axes, rows: pd.DataFrame, x: str, look: Look, *, span: tuple[float, float], style: Style
) -> None:
    """The interval (`_low`, `_high`) of a line as a band. What lies beyond `span` is cut off there, and an
    arrowhead at the edge says so."""
    label = str(rows["system"].iloc[0])
    low, high = span
    ax.fill_between(
        rows[x],
        rows["_low"].clip(low, high),
        rows["_high"].clip(low, high),
        color=look.colour,
        alpha=0.2,
        linewidth=0,
        label=label,
    )
    for beyond, edge, arrow in ((rows["_low"] < low, low, DOWN), (rows["_high"] > high, high, UP)):
        if beyond.any():
            places = [(float(at), edge) for at in rows.loc[beyond, x]]
            mark_cut(ax, places, arrow, colour=look.colour, label=label, style=style)


def mark_cut(
    ax: Axes, places: Sequence[Point], arrow: Arrow, *, colour: str, label: str, style: Style
) -> None:
    """Arrowheads at the edge of a panel, beyond which intervals go on."""
    ax.plot(
        *zip(*places, strict=True),
        color=colour,
        marker=arrow,
        markersize=style.points(5),
        linestyle="none",
        gid=f"cut off {label}",
        label=label,
    )


def draw_fits(ax: Axes, fits: pd.DataFrame, looks: Mapping[str, Look], *, style: Style) -> None:
    """The fitted a + b N^p as dotted lines, between the measured lengths and where p is determined."""
    for fit in fits[fits["exponent"].notna()].to_dict("records"):
        label = str(fit["system"])
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
            label=label,
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
        ax.plot(
            ends,
            [height] * 2,
            transform=across,
            color=look.colour,
            linewidth=thickness,
            gid="interval",
            label=label,
        )
        ax.plot(
            [at],
            [height],
            transform=across,
            color=look.colour,
            marker=look.marker,
            linestyle="none",
            gid=f"crossing {label}",
            label=label,
        )
        add_tooltip(ax, at, height, _tooltip(crossing), series=label, transform=across)
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
            label=label,
        )


def _tooltip(crossing: Mapping[Hashable, Any]) -> str:
    """`linrec is faster than softmax from N = 400 [390, 410]`."""
    low, high = (float(crossing[f"seq_len_{end}"]) for end in ("low", "high"))
    length = f"N = {numbers.length(float(crossing['seq_len']))} {numbers.interval(low, high, numbers.length)}"
    cheaper = words.CHEAPER[str(crossing["cost"])]
    return f"{crossing['challenger']} is {cheaper} than {crossing['incumbent']} from {length.rstrip()}"


def draw_slopes(ax: Axes, *, style: Style, top: float = 1.0, bottom: float = 0.0) -> None:
    """Short named lines of slope 1 and 2, at the first place that is clear of what the panel shows, or at the
    clearest; between `bottom` and `top`, fractions of the panel. Call it when the axes have their limits."""
    taken = np.concatenate([_dense(ax, line.get_xdata(), line.get_ydata()) for line in _measured(ax)])
    starts = [(across, bottom + up * (top - bottom)) for up, across in _STARTS]
    places = [_slopes(ax, start, top - bottom) for start in starts]
    clear = [_clearance(ax, place, taken) for place in places]
    enough = style.points(CLEAR) * ax.figure.dpi / 72
    best = next((at for at, distance in enumerate(clear) if distance >= enough), int(np.argmax(clear)))
    for name, (xs, ys) in places[best].items():
        ax.plot(xs, ys, color=style.faint, linewidth=style.points(0.8), linestyle=(0, (3, 2)), gid="slope")
        ax.annotate(
            name,
            (xs[1], ys[1]),
            xytext=(2, 1),
            textcoords="offset points",
            fontsize=style.points(7.5),
            color=style.faint,
            gid="slope name",
        )


def _measured(ax: Axes) -> list[Line2D]:
    """The lines of what was measured, in front and behind."""
    return [line for line in ax.lines if str(line.get_gid()).startswith(("line ", "behind "))]


def _slopes(ax: Axes, start: tuple[float, float], room: float) -> dict[str, tuple[list[float], list[float]]]:
    """Both lines from a start (fractions of the panel), by name: their ends in data."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    x0, y0 = left * (right / left) ** start[0], low * (high / low) ** start[1]
    reach = min((right / left) ** 0.2, (high / low) ** (0.3 * room / 2))
    return {name: ([x0, x0 * reach], [y0, y0 * reach**power]) for power, name in ((1, "N"), (2, "N²"))}


def _dense(ax: Axes, xs: ArrayLike, ys: ArrayLike) -> Pixels:
    """Points along a line in pixels, twenty between two values."""
    points = np.column_stack([np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)])
    corners = ax.transData.transform(points[np.isfinite(points).all(axis=1)])
    at = np.arange(len(corners))
    between = np.linspace(0, max(len(corners) - 1, 0), 20 * len(corners))
    return (
        np.column_stack([np.interp(between, at, corners[:, axis]) for axis in (0, 1)]) if len(at) else corners
    )


def _clearance(ax: Axes, place: Mapping[str, tuple[list[float], list[float]]], taken: Pixels) -> float:
    """Pixels from the nearest of `taken` to the lines and to their names."""
    if not len(taken):
        return math.inf
    ink = [_dense(ax, *line) for line in place.values()]
    names = [line[-1] + np.array([(reach, 4.0) for reach in (4.0, 10.0, 16.0)]) for line in ink]
    points = np.concatenate([*ink, *names])
    return float(np.sqrt(((points[:, None] - taken[None]) ** 2).sum(axis=2)).min())


def height(ax: Axes, value: float) -> float:
    """A value of the vertical axis as a fraction of the panel."""
    to_panel = ax.transData + ax.transAxes.inverted()
    return float(to_panel.transform((ax.get_xlim()[0], value))[1])
