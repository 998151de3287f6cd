"""What a file of this room declares: its `SPEC`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from linrec_bench.figures.style import Style
from linrec_bench.figures.tooltips import TooltipFigure

COSTS = ("core", "layer", "train_step")
"""The tasks whose cost is measured at many lengths."""


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """One figure, which `plot` writes to files and `report` shows on the page.

    `draw(summary, samples, style)` draws the rows of one of `tasks`; it raises `NothingToDraw` where they
    hold nothing for it. `caption` says in a sentence what the figure shows, `alt` what kind of picture it is,
    for people who do not see it. Figures stand in the order of `place`.
    """

    name: str
    tasks: tuple[str, ...]
    draw: Callable[[pd.DataFrame, pd.DataFrame, Style], TooltipFigure]
    caption: str
    alt: str
    place: int
