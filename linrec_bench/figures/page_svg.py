"""A figure as SVG inside a page: small, with identifiers of its own, in colours of a light and a dark theme.

The figure is drawn in the light theme, and its colours are replaced by those that stand for the same in the
dark one; a figure with other colours (of a scale) is drawn in both. The drawings differ in colours alone, so
that one is written, whose elements have classes; a `StyleSheet` holds what each declares in both themes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from html import escape
from xml.etree import ElementTree as ET

import matplotlib
from matplotlib.artist import Artist

from linrec_bench.figures.style import Style, counterparts
from linrec_bench.figures.tooltips import TooltipFigure

SCALE = 1.2
"""Pixels of a page for a point of a figure, at its natural size."""

_SERIES = "series-"
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_KEPT = ("x", "y", "width", "height", "transform", "d", "clip-path", "href")
"""Attributes that a page needs; style becomes a class."""


@dataclass
class StyleSheet:
    """Short class names for the declarations that elements of a page share, light and dark."""

    _names: dict[tuple[str, str], str] = field(default_factory=dict)

    def name(self, light: str, dark: str) -> str:
        """The class of elements with these declarations."""
        return self._names.setdefault((light, dark), f"f{len(self._names)}")

    def css(self, *, dark: bool) -> str:
        """The rules; for `dark` those that differ there alone."""
        return "".join(
            f".{name}{{{pair[dark]}}}\n"
            for pair, name in self._names.items()
            if not dark or pair[0] != pair[1]
        )


@dataclass(frozen=True)
class PagePoint:
    """A point that answers, in the units of the drawing: `text`, and the class of its series (or its name,
    where no page is known)."""

    series: str
    x: float
    y: float
    text: str


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    """What a page shows of a figure: `svg` is what stands inside its svg element."""

    title: str
    small_print: str
    view_box: str
    width: int
    svg: str
    points: tuple[PagePoint, ...]


@dataclass(frozen=True, kw_only=True)
class ThemedFigure:
    """A figure drawn in a light and a dark theme, before it knows its page; it can be pickled.

    `names` are those of its series, which `points` name, too.
    """

    title: str
    small_print: str
    view_box: str
    width: int
    light: ET.Element
    dark: ET.Element
    names: tuple[str, ...]
    points: tuple[PagePoint, ...]

    def on_page(self, *, prefix: str, sheet: StyleSheet, series_class: Callable[[str], str]) -> PageFigure:
        """As a page shows it: identifiers start with `prefix`, `series_class` gives the class of a series by
        its name."""
        classes = {f"{_SERIES}{at}": series_class(name) for at, name in enumerate(self.names)}
        writer = _Writer(prefix, sheet, classes)
        return PageFigure(
            title=self.title,
            small_print=self.small_print,
            view_box=self.view_box,
            width=self.width,
            svg="".join(writer.written(*pair) for pair in zip(self.light, self.dark, strict=True)),
            points=tuple(replace(point, series=series_class(point.series)) for point in self.points),
        )


def themed(draw: Callable[[Style], TooltipFigure], themes: tuple[Style, Style]) -> ThemedFigure:
    """The figure that `draw` makes in a style, in both `themes` (light, dark)."""
    figure = draw(themes[0])
    tree = _tree(figure, themes[0])
    width, height = (72 * float(size) for size in figure.get_size_inches())
    cut = _heading_height(figure)
    per_pixel = 72 / figure.dpi
    dark = _recoloured(tree, counterparts(*themes))
    return ThemedFigure(
        title=figure.title,
        small_print=figure.small_print,
        view_box=f"0 {cut:.0f} {width:.0f} {height - cut:.0f}",
        width=round(SCALE * width),
        light=tree,
        dark=_tree(draw(themes[1]), themes[1]) if dark is None else dark,
        names=_names(figure),
        points=tuple(
            PagePoint(each.series, x * per_pixel, height - y * per_pixel, each.text)
            for each in figure.tooltips
            for x, y in [each.position()]
        ),
    )


def _labelled(figure: TooltipFigure) -> dict[str, list[Artist]]:
    """The artists of each series. Labels that start with an underscore are matplotlib's own."""
    found: dict[str, list[Artist]] = {}
    for artist in figure.findobj():
        label = artist.get_label()
        if isinstance(label, str) and label and not label.startswith("_"):
            found.setdefault(label, []).append(artist)
    return found


def _names(figure: TooltipFigure) -> tuple[str, ...]:
    """Those of its series."""
    return tuple(sorted({point.series for point in figure.tooltips} | set(_labelled(figure))))


def _tree(figure: TooltipFigure, style: Style) -> ET.Element:
    """The parsed SVG without title and small print, which the page sets as text of its own."""
    names = _names(figure)
    for name, artists in _labelled(figure).items():
        for artist in artists:
            artist.set_gid(f"{_SERIES}{names.index(name)}")
    buffer = io.BytesIO()
    with matplotlib.rc_context(style.rc):
        hidden = _heading(figure)
        for text in hidden:
            text.set_visible(False)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        for text in hidden:
            text.set_visible(True)
    return ET.fromstring(buffer.getvalue())


def _recoloured(tree: ET.Element, colours: Mapping[str, str]) -> ET.Element | None:
    """The same drawing in other colours; None where it has one for which there is no other."""
    found = deepcopy(tree)
    for element in found.iter():
        style = element.get("style", "")
        if any(colour not in colours for colour in _COLOUR.findall(style)):
            return None
        element.set("style", _COLOUR.sub(lambda match: colours[match[0]], style))
    return found


def _heading(figure: TooltipFigure) -> list[Artist]:
    return [text for text in figure.texts if text.get_gid() in ("title", "small print")]


def _heading_height(figure: TooltipFigure) -> float:
    """Points from the top of the figure that its heading takes."""
    low = min(text.get_window_extent().y0 for text in _heading(figure))
    return float(figure.bbox.height - low) * 72 / figure.dpi


@dataclass
class _Writer:
    """Writes a pair of equal trees as one text."""

    prefix: str
    sheet: StyleSheet
    series: dict[str, str]
    ids: dict[str, str] = field(default_factory=dict)

    def written(self, light: ET.Element, dark: ET.Element) -> str:
        tag = _local(light.tag)
        if tag in ("metadata", "style"):
            return ""
        assert tag == _local(dark.tag)
        children = "".join(self.written(*pair) for pair in zip(light, dark, strict=True))
        if tag == "path" and light.get("style") == "fill: none":
            return ""
        attributes = self._attributes(light, dark, tag)
        if tag in ("g", "defs") and not children:
            return ""
        if tag == "g" and not attributes:
            return children
        inside = children + escape(light.text or "", quote=False) if tag == "text" else children
        said = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
        return f"<{tag}{said}>{inside}</{tag}>" if inside else f"<{tag}{said}/>"

    def _attributes(self, light: ET.Element, dark: ET.Element, tag: str) -> dict[str, str]:
        found: dict[str, str] = {}
        identifier = light.get("id", "")
        classes = []
        if identifier in self.series:
            classes = ["s", self.series[identifier]]
        elif tag in ("path", "clipPath", "pattern") and identifier:
            found["id"] = self._id(identifier)
        styles = [_declarations(element.get("style", "")) for element in (light, dark)]
        if any(styles):
            classes.append(self.sheet.name(*styles))
        if classes:
            found["class"] = " ".join(classes)
        for name, value in light.attrib.items():
            kept = self._value(_local(name), value, tag)
            if kept:
                found[_local(name)] = kept
        return found

    def _value(self, name: str, value: str, tag: str) -> str:
        """An attribute as the page holds it; empty for one that it does not need."""
        if name == "href":
            return f"#{self._id(value[1:])}"
        if name == "clip-path":
            return f"url(#{self._id(value[5:-1])})"
        if name == "transform":
            return "" if tag == "text" and value.startswith("rotate(-0 ") else _rounded(value)
        if name in _KEPT or tag == "pattern":
            return "" if name == "id" else _path(_rounded(value)) if name == "d" else _rounded(value)
        return ""

    def _id(self, identifier: str) -> str:
        return self.ids.setdefault(identifier, f"{self.prefix}-{len(self.ids)}")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _declarations(style: str) -> str:
    """Declarations of CSS without spaces; of a font its size and weight: the page chooses the family."""
    return ";".join(_short(part.strip()) for part in style.split(";") if part.strip())


def _short(declaration: str) -> str:
    name, _, value = (part.strip() for part in declaration.partition(":"))
    if name == "font":
        bold = re.match(r"(?:bold|[6-9]00) ", value)
        size = re.search(r"[\d.]+px", value)
        assert size is not None
        return f"font-size:{size[0]}" + (";font-weight:600" if bold else "")
    # Colours only may vary between elements of a kind; lengths are short.
    return f"{name}:{_rounded(value)}" if "#" not in value and "url(" not in value else f"{name}:{value}"


def _rounded(text: str) -> str:
    """The numbers of a text to a tenth, those below ten to a hundredth: markers are small."""

    def shorter(found: re.Match[str]) -> str:
        value = float(found[0])
        return f"{value:.{1 if abs(value) >= 10 else 2}f}".rstrip("0").rstrip(".")

    return re.sub(r"-?\d+\.\d+", shorter, text)


def _path(data: str) -> str:
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", data).strip()
