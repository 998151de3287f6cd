"""The colour and mark of each mechanism, as in the figures, legible on a light and a dark page. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from linrec_bench.figures.contrast import legible
from linrec_bench.figures.style import PAPER, Look, look

LIGHT, DARK = "#FCFBF8", "#17191C"
"""The grounds of the page."""

_R = 4.0


@dataclass(frozen=True)
class Key:
    """How one mechanism is drawn: `line` is its colour, `edge` that of its marks' outline, on either ground.

    On the light ground lines keep the colour of the figures; an outline darkens what is too pale there.
    """

    name: str
    id: str
    shape: str
    stroked: bool
    line: str
    edge: str
    dark_line: str
    dark_edge: str


def keys(names: Sequence[str], *, together: Sequence[str] = ()) -> dict[str, Key]:
    """A key for each mechanism or system, with an identifier that is safe in a page.

    Those that stand `together` in one chart, and whose look no other chart fixes, have colours of their own.
    """
    found = {name: look(name) for name in names}
    # First those that have a look already, so that the others take none of theirs.
    apart = PAPER.looks(sorted(together, key=lambda name: name not in found))
    found |= {name: own for name, own in apart.items() if name not in found}
    return {name: _key(name, f"k{number}", own) for number, (name, own) in enumerate(found.items())}


def _key(name: str, identifier: str, found: Look) -> Key:
    dark = legible(found.colour, DARK, toward="#FFFFFF")
    return Key(
        name=name,
        id=identifier,
        shape=shape(found.marker),
        stroked=found.marker == "x",
        line=found.colour,
        edge=legible(found.colour, LIGHT, toward="#000000"),
        dark_line=dark,
        dark_edge=dark,
    )


def shape(marker: str) -> str:
    """SVG path data of a marker (a letter of matplotlib) around the origin; a disc for an unknown one."""
    half = 0.9 * _R
    if marker == "x":
        return f"M{-half} {-half}L{half} {half}M{-half} {half}L{half} {-half}"
    if marker == "P":
        a, b = 0.4 * _R, 1.1 * _R
        corners = [
            (-a, -b),
            (a, -b),
            (a, -a),
            (b, -a),
            (b, a),
            (a, a),
            (a, b),
            (-a, b),
            (-a, a),
            (-b, a),
            (-b, -a),
        ]
        return _closed([*corners, (-a, -a)])
    if marker == "*":
        radii = [1.35 * _R, 0.55 * _R] * 5
        return _closed([_at(radius, 36 * n) for n, radius in enumerate(radii)])
    if marker == "d":
        return _closed([(0, -1.3 * _R), (0.75 * _R, 0), (0, 1.3 * _R), (-0.75 * _R, 0)])
    corners_of = {
        "^": (3, 0),
        "v": (3, 180),
        "<": (3, 270),
        ">": (3, 90),
        "s": (4, 45),
        "D": (4, 0),
        "p": (5, 0),
        "h": (6, 0),
    }
    if marker in corners_of:
        count, turn = corners_of[marker]
        return _closed([_at(1.2 * _R, turn + 360 * n / count) for n in range(count)])
    return f"M{-_R} 0A{_R} {_R} 0 1 1 {_R} 0A{_R} {_R} 0 1 1 {-_R} 0Z"


def _at(radius: float, degrees: float) -> tuple[float, float]:
    """A point clockwise from the top."""
    return radius * math.sin(math.radians(degrees)), -radius * math.cos(math.radians(degrees))


def _closed(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points) + "Z"
