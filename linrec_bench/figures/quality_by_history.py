"""Ranking quality by length of the history: the long-sequence claim itself."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from linrec_bench.figures import group_curves
from linrec_bench.figures.spec import FigureSpec
from linrec_bench.figures.style import PAPER, Style
from linrec_bench.figures.tooltips import TooltipFigure

BY_HISTORY = replace(
    group_curves.BY_GROUP,
    title="Ranking quality by length of the history",
    x_axis="events in the history",
)


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Test NDCG@10 by length of the history; `NothingToDraw` with fewer than two groups."""
    return group_curves.draw(summary, samples, BY_HISTORY, kind="history", style=style)


SPEC = FigureSpec(
    name="quality_by_history",
    tasks=("recommend",),
    draw=draw,
    caption="Test NDCG@10 by length of the history: means over seeds, 95 % t intervals (none with one seed).",
    alt="Line chart of test NDCG@10 against ranges of history lengths, a line a mechanism.",
    place=12,
)
