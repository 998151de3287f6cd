"""A chart as plain data, in the units of its own drawing (y downward); the template draws it as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from linrec_bench.figures.style import look
from linrec_bench.presentation.label_placement import spread

LABEL_GAP = 13.0
"""Least distance between two labels beside a plot."""

CHARACTER = 6.9
"""Usual width of a character of a label."""

LONGEST_LABEL = 24

_DASHES = {"-": "", "--": "6 4", "-.": "7 3 2 3", ":": "2 3"}


@dataclass(frozen=True)
class Box:
    """The plot's own rectangle inside the drawing."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Log:
    """A logarithmic axis: `low` at `start`, `high` at `end`, both positive."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True)
class Linear:
    """A linear axis: `low` at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A path in the colour of mechanism `key`."""

    key: str
    path: str
    dashes: str = ""


@dataclass(frozen=True)
class Mark:
    """What answers: the mark of mechanism `key`, with the words that it answers with."""

    key: str
    x: float
    y: float
    text: str
    hollow: bool = False


@dataclass(frozen=True)
class Words:
    """Text in the drawing; `anchor` is start, middle or end."""

    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True)
class Label:
    """The name of a mechanism beside the plot, after its mark."""

    key: str
    x: float
    y: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One panel, ready to draw."""

    title: str
    width: float
    height: float
    box: Box
    x_name: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]
    lines: tuple[Line, ...] = ()
    areas: tuple[Line, ...] = ()
    guides: tuple[Line, ...] = ()
    whiskers: tuple[Line, ...] = ()
    shades: tuple[Box, ...] = ()
    words: tuple[Words, ...] = ()
    note: str = ""


def dashes(label: str) -> str:
    """The SVG dash array of a mechanism's line; empty for a solid one."""
    return _DASHES[look(label).dashes]


def polyline(points: Sequence[tuple[float, float]]) -> str:
    """SVG path data of a line through points; empty for fewer than two."""
    if len(points) < 2:
        return ""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def area(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]]) -> str:
    """SVG path data of the region between two lines over the same x; empty for fewer than two points."""
    if len(upper) < 2:
        return ""
    return polyline([*upper, *reversed(lower)]) + "Z"


def runs(known: Sequence[bool]) -> list[range]:
    """The stretches of consecutive True: a line breaks where nothing was measured."""
    found: list[range] = []
    start = None
    for at, value in enumerate([*known, False]):
        if value and start is None:
            start = at
        elif not value and start is not None:
            found.append(range(start, at))
            start = None
    return found


def beside(ends: dict[str, float], box: Box) -> tuple[Label, ...]:
    """Labels right of the plot at the heights `ends`, moved apart where they would overlap."""
    names = list(ends)
    heights = spread([ends[name] for name in names], gap=LABEL_GAP, low=box.top + 4, high=box.bottom - 4)
    return tuple(
        Label(name, box.right + 9, height, shortened(name))
        for name, height in zip(names, heights, strict=True)
    )


def label_room(names: Sequence[str]) -> float:
    """The width that labels need right of the plot."""
    return 28 + CHARACTER * max((len(shortened(name)) for name in names), default=0)


def shortened(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"
