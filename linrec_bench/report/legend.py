"""The mark and class of each mechanism on the page, as in the figures, legible on either ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from matplotlib.markers import MarkerStyle
from matplotlib.transforms import Affine2D

from linrec_bench.analysis.systems import Identity
from linrec_bench.figures import style_of
from linrec_bench.figures.contrast import legible
from linrec_bench.figures.style import Look, look

LIGHT = replace(style_of(), ground="#FCFBF8", shade="#F2EFE8", rule="#E6E2DA")
DARK = style_of(theme="dark")
"""The styles of figures on the page, whose grounds are those of the page."""

_SIZE = 8.0
_LETTERS = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
"""Commands of SVG for matplotlib's codes of paths."""


@dataclass(frozen=True)
class Key:
    """How a mechanism or system is marked: `id` is its class, `edge` darkens what is too pale to see."""

    id: str
    shape: str
    stroked: bool
    line: str
    edge: str
    dark_line: str
    dark_edge: str


class Legend(dict[str, Key]):
    """A key for each name; one that is met for the first time gets its own."""

    def __init__(
        self, names: Mapping[str, Identity], *, together: Mapping[str, Identity] | None = None
    ) -> None:
        """Those of `together` stand in one figure of systems and have colours that are apart there."""
        super().__init__()
        for name, identity in names.items():
            self.add(name, look(*identity))
        others = together or {}
        apart = LIGHT.looks(
            {name: others[name] for name in sorted(others, key=lambda name: name not in names)}
        )
        for name, own in apart.items():
            if name not in self:
                self.add(name, own)

    def add(self, name: str, own: Look | None = None) -> str:
        """The class of a name."""
        if name not in self:
            self[name] = _key(f"k{len(self)}", own or look(name))
        return self[name].id


def _key(identifier: str, own: Look) -> Key:
    dark = legible(own.colour, DARK.ground, toward="#FFFFFF")
    return Key(
        id=identifier,
        shape=shape(own.marker),
        stroked=own.marker == "x",
        line=own.colour,
        edge=legible(own.colour, LIGHT.ground, toward="#000000"),
        dark_line=dark,
        dark_edge=dark,
    )


def shape(marker: str) -> str:
    """SVG path data of a marker of matplotlib, around the origin."""
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform() + Affine2D().scale(_SIZE, -_SIZE))
    return "".join(
        _LETTERS[int(code)] + ("" if code == 79 else " ".join(f"{value:.4g}" for value in points))
        for points, code in path.iter_segments(simplify=False)
    )
