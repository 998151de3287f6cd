"""Figures of equal panels, sized in inches, and labels beside their lines that never overlap."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from linrec_bench.figures.style import PAPER, Look, Style
from linrec_bench.figures.tooltips import TooltipFigure
from linrec_bench.presentation.label_placement import spread

LABEL_GAP = 0.165
CHARACTER, SMALL_CHARACTER = 0.073, 0.063
"""Inches between labels beside a panel, and the usual width of a character of a label and of small print."""


@dataclass(frozen=True, kw_only=True)
class Panels:
    """A figure of equal panels, sizes in inches; room to the right for `labels`, above for the title.

    Sizes that hold words are those on paper: they grow with the style. With `apart`, every panel has its own
    labels, and room for them. `titles` are those that panels will have: there is room for their longest, as
    `wrapped`. So there is for `sides`, what stands beside the axis of the first of a line.
    """

    rows: int
    columns: int
    labels: Collection[str]
    titles: Collection[str] = ()
    sides: Collection[str] = ()
    style: Style = PAPER
    width: float = 2.5
    height: float = 2.15
    left: float = 1.15
    bottom: float = 0.55
    top: float = 0.62
    gap_x: float = 0.2
    gap_y: float = 0.32
    apart: bool = False

    def wrapped(self, title: str) -> str:
        """The title of a panel in as many lines as its width asks for, broken after commas."""
        parts = ", ".join(part.replace(" ", "\u00a0") for part in title.split(", "))
        return textwrap.fill(parts, int((self.width + 0.1) / (CHARACTER * self.style.scale)))

    def make(
        self, *, title: str, subtitle: str, share: str = "all"
    ) -> tuple[TooltipFigure, list[list[Axes]]]:
        """The figure and its axes [rows][columns], with a title and small print wrapped to its width.

        `share` is `all` for one range of both axes, `y` for one range a row and one a column, or `none`.
        """
        scale = self.style.scale
        # A number is not parted from its unit.
        subtitle = subtitle.replace(" %", "\u00a0%")
        right = (0.48 + CHARACTER * max(map(len, self.labels))) * scale if self.labels else 0.25 * scale
        gap_x = right + 0.1 if self.apart else self.gap_x * scale
        headings = max((self.wrapped(title).count("\n") for title in self.titles), default=0)
        more = 0.15 * headings
        # The axis and one line beside it always have room.
        lines = max((side.count("\n") for side in self.sides), default=0)
        left = (self.left + 0.15 * max(lines - 1, 0)) * scale
        bottom, gap_y = self.bottom * scale, (self.gap_y + more) * scale
        panel_height = max(self.height, 0 if self.apart else LABEL_GAP * scale * len(self.labels))
        width = left + self.columns * self.width + (self.columns - 1) * gap_x + right
        small_print = textwrap.wrap(subtitle, int((width - 0.2) / (SMALL_CHARACTER * scale)))
        top = (self.top + more + 0.15 * len(small_print)) * scale
        height = bottom + self.rows * panel_height + (self.rows - 1) * gap_y + top
        figure = TooltipFigure(figsize=(width, height), title=title, small_print=subtitle)
        FigureCanvasAgg(figure)
        shared_x, shared_y = {"all": ("all", "all"), "y": ("col", "row"), "none": ("none", "none")}[share]
        axes = figure.subplots(
            self.rows,
            self.columns,
            squeeze=False,
            sharex=shared_x,  # type: ignore[call-overload]
            sharey=shared_y,
            gridspec_kw={
                "left": left / width,
                "right": 1 - right / width,
                "bottom": bottom / height,
                "top": 1 - top / height,
                "wspace": gap_x / self.width,
                "hspace": gap_y / panel_height,
            },
        )
        at = 0.12 / width
        size = self.style.points
        figure.text(
            at, 1 - 0.1 * scale / height, title, va="top", fontsize=size(11), fontweight="bold", gid="title"
        )
        figure.text(
            at,
            1 - 0.33 * scale / height,
            "\n".join(small_print),
            va="top",
            fontsize=size(8),
            color=self.style.faint,
            linespacing=1.3,
            gid="small print",
        )
        return figure, [list(row) for row in axes]


def is_first_column(ax: Axes) -> bool:
    """Whether a panel stands at the left of its figure."""
    place = ax.get_subplotspec()
    return place is not None and place.is_first_col()


def name_columns(grid: Sequence[Sequence[Axes]], label: str) -> None:
    """Name the horizontal axis under the lowest panel of each column; those below it are blank."""
    for column in zip(*grid, strict=True):
        drawn = [ax for ax in column if ax.axison]
        if drawn:
            drawn[-1].tick_params(axis="x", labelbottom=True)
            drawn[-1].set_xlabel(label)


def label_beside(
    axes: Axes, ends: Mapping[str, tuple[float, bool]], looks: Mapping[str, Look], *, style: Style = PAPER
) -> None:
    """Name mechanisms to the right of the panel, each at the height where its line ends, without overlaps.

    `ends` maps a label to its height (a fraction of the panel) and whether its line reaches the right edge,
    so that a leader joins both.
    """
    tall, wide = axes.bbox.height / axes.figure.dpi, axes.bbox.width / axes.figure.dpi
    gap = LABEL_GAP * style.scale / tall
    places = spread([height for height, _ in ends.values()], gap=gap, low=0.02, high=0.98)
    # Across, the distance to the panel is in inches, so that panels of any width are labelled alike.
    leader, key, end, text = (1 + inches * style.scale / wide for inches in (0.1, 0.12, 0.3, 0.36))
    for (label, (height, reaches)), place in zip(ends.items(), places, strict=True):
        found = looks[label]
        if reaches:
            axes.plot(
                [1, leader],
                [height, place],
                color=found.colour,
                linewidth=style.points(0.6),
                clip_on=False,
                transform=axes.transAxes,
                gid="leader",
                label=label,
            )
        axes.plot(
            [key, (key + end) / 2, end],
            [place] * 3,
            color=found.colour,
            linestyle=found.dashes,
            marker=found.marker,
            markevery=[1],
            clip_on=False,
            transform=axes.transAxes,
            gid="key",
            label=label,
        )
        axes.text(
            text,
            place,
            label,
            va="center_baseline",
            fontsize=style.points(8.5),
            transform=axes.transAxes,
            gid="label",
            label=label,
        )
