"""How every figure looks: for paper or slides, on light or dark, one colour and marker a mechanism."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import matplotlib

from linrec_bench.figures.contrast import legible

if TYPE_CHECKING:
    from linrec_bench.analysis.systems import Identity

Theme = Literal["light", "dark"]
Medium = Literal["paper", "slides"]


class NothingToDraw(ValueError):
    """The rows hold nothing for a figure; the message says what is missing."""


@dataclass(frozen=True)
class Look:
    """Colour, marker and dashes of one mechanism, the same in every figure."""

    colour: str
    marker: str
    dashes: str = "-"


# Okabe and Ito's palette, which people with the common colour deficiencies tell apart.
LOOKS: Mapping[str, Look] = {
    "copy": Look("#4D4D4D", "x"),
    "softmax": Look("#D55E00", "s"),
    "sdpa": Look("#E69F00", "D"),
    "linrec": Look("#0072B2", "o"),
    "linrec-column": Look("#56B4E9", "^"),
    "linear-transformer": Look("#009E73", "v"),
}

# Tol's muted palette, for mechanisms that have no fixed look.
_OTHER_COLOURS = ("#CC79A7", "#882255", "#332288", "#999933", "#AA4499", "#117733")
_OTHER_MARKERS = ("P", "p", "h", "<", ">", "*", "d")
_OTHER_DASHES = ("--", "-.", ":")

# In the order in which they are taken where a colour is: far apart for every eye.
_FREE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#999933", "#882255")


def look(name: str, params: str = "") -> Look:
    """The look of a mechanism: fixed by its name, so that it is the same wherever it appears.

    Parameters change the dashes only.
    """
    code = zlib.crc32(name.encode())
    known = LOOKS.get(
        name,
        Look(
            _OTHER_COLOURS[code % len(_OTHER_COLOURS)],
            _OTHER_MARKERS[code // len(_OTHER_COLOURS) % len(_OTHER_MARKERS)],
        ),
    )
    dashes = _OTHER_DASHES[zlib.crc32(params.encode()) % len(_OTHER_DASHES)] if params else known.dashes
    return Look(known.colour, known.marker, dashes)


@dataclass(frozen=True, kw_only=True)
class Style:
    """Colours `#RRGGBB`, and how much larger than on paper words and lines are (`scale`).

    `quiet` is for what stands behind: the lines of mechanisms that another panel shows.
    """

    medium: Medium
    theme: Theme
    scale: float
    ground: str
    ink: str
    faint: str
    quiet: str
    rule: str
    shade: str

    @property
    def suffix(self) -> str:
        """What is appended to the names of files: nothing for paper, light."""
        medium = "" if self.medium == "paper" else f"_{self.medium}"
        return medium + ("" if self.theme == "light" else f"_{self.theme}")

    def points(self, size: float) -> float:
        """A size of words or lines on paper, in points, as it is in this style."""
        return size * self.scale

    def look(self, name: str, params: str = "") -> Look:
        """`style.look` of a mechanism, as bright as a dark ground needs."""
        found = look(name, params)
        return replace(found, colour=self._bright(found.colour))

    def looks(self, shown: Mapping[str, Identity]) -> dict[str, Look]:
        """The look of each mechanism of one panel; where two share a colour, the later takes a free one."""
        found: dict[str, Look] = {}
        taken: set[str] = set()
        fixed = [(name, "") for name in LOOKS]
        # Those whose look is fixed keep it, wherever they stand.
        for label in sorted(shown, key=lambda label: shown[label] not in fixed):
            own = look(*shown[label])
            colour = own.colour
            if colour in taken:
                colour = next((free for free in _FREE if free not in taken), own.colour)
            taken.add(colour)
            found[label] = replace(own, colour=self._bright(colour))
        return found

    def _bright(self, colour: str) -> str:
        return legible(colour, self.ground, toward="#FFFFFF", least=4.0) if self.theme == "dark" else colour

    # The keys are names of matplotlib's own long Literal type.
    @cached_property
    def rc(self) -> dict[Any, Any]:
        """All settings of matplotlib under which figures of this style are drawn and saved: those of the
        user's own files must not reach a figure."""
        return {
            **{name: value for name, value in matplotlib.rcParamsDefault.items() if "backend" not in name},
            "font.family": "sans-serif",
            # A file that keeps its words as words names them all; the first comes with matplotlib.
            "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
            "font.size": self.points(9),
            "axes.titlesize": self.points(9),
            "axes.labelsize": self.points(9),
            "xtick.labelsize": self.points(8),
            "ytick.labelsize": self.points(8),
            "axes.linewidth": self.points(0.8),
            "grid.linewidth": self.points(0.6),
            "lines.linewidth": self.points(1.5),
            "lines.markersize": self.points(4.5),
            "lines.markeredgewidth": self.points(1.0),
            "figure.facecolor": self.ground,
            "savefig.facecolor": self.ground,
            "axes.facecolor": self.ground,
            "axes.edgecolor": self.faint,
            "axes.labelcolor": self.ink,
            "axes.titlecolor": self.ink,
            "grid.color": self.rule,
            "text.color": self.ink,
            "xtick.color": self.faint,
            "ytick.color": self.faint,
            "xtick.labelcolor": self.ink,
            "ytick.labelcolor": self.ink,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "hatch.color": self.faint,
            "hatch.linewidth": self.points(0.5),
            # Words stay words: smaller files, and they can be searched and read aloud.
            "svg.fonttype": "none",
            "svg.hashsalt": "linrec-bench",
            "pdf.fonttype": 42,
        }


_LIGHT = {
    "ground": "#FFFFFF",
    "ink": "#222222",
    "faint": "#666666",
    "quiet": "#CFCFCF",
    "rule": "#E4E4E4",
    "shade": "#F5F5F5",
}
_DARK = {
    "ground": "#17191C",
    "ink": "#ECECEC",
    "faint": "#A8A8A8",
    "quiet": "#4C5055",
    "rule": "#2C3035",
    "shade": "#202327",
}
_SCALES: Mapping[Medium, float] = {"paper": 1.0, "slides": 1.4}


def style_of(medium: Medium = "paper", theme: Theme = "light") -> Style:
    """The style for a medium and a theme."""
    return Style(medium=medium, theme=theme, scale=_SCALES[medium], **(_DARK if theme == "dark" else _LIGHT))


def counterparts(one: Style, other: Style) -> dict[str, str]:
    """The colours of a style -> those that stand for the same in another; `#rrggbb`, in small letters."""
    series = {*(known.colour for known in LOOKS.values()), *_OTHER_COLOURS, *_FREE}
    pairs = [(getattr(one, role), getattr(other, role)) for role in _LIGHT]
    pairs += [(one._bright(colour), other._bright(colour)) for colour in series]
    return {colour.lower(): counterpart.lower() for colour, counterpart in pairs}


PAPER = style_of()
