"""The share of a training step that is attention, against N: what a mechanism can save at most."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.amdahl import attention_shares
from linrec_bench.figures import curves
from linrec_bench.figures.spec import FigureSpec
from linrec_bench.figures.style import PAPER, NothingToDraw, Style
from linrec_bench.figures.tooltips import TooltipFigure
from linrec_bench.presentation import numbers

SHARE = curves.Curve(
    column="share",
    title="Share of a training step that is attention",
    axis="share of the time",
    form=numbers.percent,
    value=numbers.percent,
    ends=lambda _, low, high: numbers.interval(low, high, numbers.percent),
    base=0,
    interval=True,
    limits=(0.0, 1.0),
)


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """The share against N, a panel a hidden size and catalogue size; what failed as hollow marks.

    Raises `NothingToDraw` where no share was measured.
    """
    shares = attention_shares(summary, samples)
    if shares.empty:
        raise NothingToDraw("no case that ended ok has attention_share")
    rows = pd.concat([shares, summary[summary["status"] != "ok"]]).sort_index()
    said = "A share of 50 % means: at most 2 times faster, whatever replaces the mechanism (Amdahl)."
    return curves.draw(rows, SHARE, style=style, said=said)


SPEC = FigureSpec(
    name="amdahl",
    tasks=("train_step",),
    draw=draw,
    caption="The share of a training step that is attention, against N: what a mechanism can save at most.",
    alt="Line chart of the share of a training step that is attention, against sequence length.",
    place=7,
)
