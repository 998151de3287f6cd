"""Names beside points of a scatter, near their point and clear of each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from linrec_bench.figures.style import Style

DIRECTIONS = (0, 180, 45, 135, 315, 225, 90, 270)
DISTANCES = (7, 14, 22, 32, 44, 58)
"""Degrees and points at which a name is tried, the nearest first."""


@dataclass(frozen=True)
class Name:
    """What stands beside the point x, y (in data)."""

    text: str
    x: float
    y: float
    colour: str


Segment = tuple[tuple[float, float], tuple[float, float]]
"""The ends of a line along an axis, in data."""


def name_points(ax: Axes, names: Sequence[Name], *, lines: Sequence[Segment] = (), style: Style) -> None:
    """Write the names, the first with the first choice; a name further off has a leader to its point.

    They avoid points and names, and `lines` where that is possible. Call it when the axes have their limits.
    A name that finds no free place is left at its point.
    """
    dots = [ax.transData.transform((name.x, name.y)) for name in names]
    radius = style.points(4) * ax.figure.dpi / 72
    taken = [Bbox.from_extents(x - radius, y - radius, x + radius, y + radius) for x, y in dots]
    crossed = [Bbox(ax.transData.transform(segment)) for segment in lines]
    strokes = [Bbox.from_extents(b.xmin - 1, b.ymin - 1, b.xmax + 1, b.ymax + 1) for b in crossed]
    for name in names:
        _write(ax, name, taken, strokes, style)


def _write(ax: Axes, name: Name, taken: list[Bbox], strokes: list[Bbox], style: Style) -> None:
    text = ax.annotate(
        name.text,
        (name.x, name.y),
        xytext=(0, 0),
        textcoords="offset points",
        va="center_baseline",
        fontsize=style.points(8),
        color=name.colour,
        gid="label",
        label=name.text,
    )
    renderer = ax.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    room = ax.bbox
    # Near, clear of lines too; then near, over lines; only then far away.
    near, far = DISTANCES[:3], DISTANCES[3:]
    tries = [(near, [*taken, *strokes]), (near, taken), (far, taken)]
    for distances, obstacles in tries:
        for distance, degrees in product(distances, DIRECTIONS):
            dx, dy = (style.points(distance) * f(math.radians(degrees)) for f in (math.cos, math.sin))
            text.set_position((dx, dy))
            text.set_horizontalalignment("left" if dx > 1 else "right" if dx < -1 else "center")
            box = text.get_window_extent(renderer)
            inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
            if inside and not any(box.overlaps(other) for other in obstacles):
                taken.append(box)
                if distance > DISTANCES[1]:
                    ax.annotate(
                        "",
                        (name.x, name.y),
                        xytext=(dx, dy),
                        textcoords="offset points",
                        arrowprops={"arrowstyle": "-", "color": style.faint, "linewidth": style.points(0.5)},
                        gid="leader",
                        label=name.text,
                    )
                return
    text.set_position((style.points(DISTANCES[0]), 0))
    text.set_horizontalalignment("left")
