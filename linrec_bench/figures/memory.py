"""Peak memory against sequence length: one line a mechanism, what failed as hollow marks on top."""

from __future__ import annotations

import pandas as pd

from linrec_bench.figures import curves
from linrec_bench.figures.spec import COSTS, FigureSpec
from linrec_bench.figures.style import PAPER, Style
from linrec_bench.figures.tooltips import TooltipFigure
from linrec_bench.presentation import numbers, words

MEMORY = curves.Curve(
    column="memory_bytes",
    title="Peak memory against sequence length",
    axis=words.COST["memory_bytes"],
    form=numbers.memory_tick,
    value=numbers.memory,
    base=2,
    ratio="memory_ratio",
)


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Peak memory against N; raises `NothingToDraw` where none was measured."""
    del samples
    return curves.draw(summary, MEMORY, style=style, crossings=curves.crossings(summary, MEMORY))


SPEC = FigureSpec(
    name="memory",
    tasks=COSTS,
    draw=draw,
    caption="Peak memory against N on log axes, and crossings with the reference.",
    alt="Line chart of peak memory against sequence length, a line a mechanism.",
    place=2,
)
