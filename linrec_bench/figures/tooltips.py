"""What the points of a figure say: the words of a tooltip for each, kept on the figure that draws them."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Transform


@dataclass(frozen=True)
class Tooltip:
    """The words at one point, a position under `transform`, of `series` (a mechanism or a system)."""

    series: str
    x: float
    y: float
    transform: Transform
    text: str

    def position(self) -> tuple[float, float]:
        """The point in pixels from the lower left corner of the figure."""
        across, up = self.transform.transform((self.x, self.y))
        return float(across), float(up)


class TooltipFigure(Figure):
    """A figure with `tooltips` in the order in which a reader meets them, and its `title` and `small_print`.

    Artists that belong to a series have its name as their label, so that a page can show one of them alone.
    """

    def __init__(self, *, figsize: tuple[float, float], title: str, small_print: str) -> None:
        super().__init__(figsize=figsize)
        self.title = title
        self.small_print = small_print
        self.tooltips: list[Tooltip] = []
        self.panels: dict[Axes, str] = {}


def name_panel(ax: Axes, setting: str) -> None:
    """End the tooltips of a panel that come after this with its setting, where it has one."""
    _figure_of(ax).panels[ax] = setting


def add_tooltip(
    ax: Axes, x: float, y: float, text: str, *, series: str, transform: Transform | None = None
) -> None:
    """Say `text` at the point x, y of the panel: in data, or under `transform`."""
    figure = _figure_of(ax)
    setting = figure.panels.get(ax, "")
    if setting:
        text = f"{text} ({setting})"
    figure.tooltips.append(Tooltip(series, float(x), float(y), transform or ax.transData, text))


def _figure_of(ax: Axes) -> TooltipFigure:
    figure = ax.figure
    assert isinstance(figure, TooltipFigure)
    return figure
