"""Ranking quality by group of users."""

from __future__ import annotations

import pandas as pd

from linrec_bench.figures import group_curves
from linrec_bench.figures.spec import FigureSpec
from linrec_bench.figures.style import PAPER, Style
from linrec_bench.figures.tooltips import TooltipFigure


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Test NDCG@10 by group of users; `NothingToDraw` with fewer than two groups."""
    return group_curves.draw(summary, samples, group_curves.BY_GROUP, kind="users", style=style)


SPEC = FigureSpec(
    name="quality_by_users",
    tasks=("recommend",),
    draw=draw,
    caption="Test NDCG@10 by group of users: means over seeds, 95 % t intervals (none with one seed).",
    alt="Line chart of test NDCG@10 against groups of users, a line a mechanism.",
    place=13,
)
