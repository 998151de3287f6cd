"""Time an event with the lengths of real histories, over that in full batches, against N."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.padding import padding_cost
from linrec_bench.figures import curves
from linrec_bench.figures.spec import COSTS, FigureSpec
from linrec_bench.figures.style import PAPER, NothingToDraw, Style
from linrec_bench.figures.tooltips import TooltipFigure
from linrec_bench.presentation import numbers

RATIO = curves.Curve(
    column="token_ratio",
    title="Time an event at real lengths, over full batches",
    axis="times the full batch's",
    form=lambda value: f"{value:.3g}x",
    value=numbers.ratio,
    base=0,
)


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """The ratio against N, a panel a direction and shape; `analysis.padding` says what it is.

    Raises `NothingToDraw` where no case has drawn lengths and a full batch beside it.
    """
    del samples
    rows = padding_cost(summary)
    if rows.empty:
        raise NothingToDraw("no case has lengths of a data set and full batches beside it")
    shares = rows.groupby("seq_len")["real_share"].median()
    told = ", ".join(
        f"{numbers.percent(share)} at N = {length:,}" for length, share in shares.iloc[[0, -1]].items()
    )
    said = f"1x: padding costs nothing. Positions that hold an event: {told}."
    return curves.draw(rows, RATIO, style=style, said=said)


SPEC = FigureSpec(
    name="padding",
    tasks=COSTS,
    draw=draw,
    caption="Time an event with the lengths of real histories, over that in full batches, against N.",
    alt="Line chart of the time an event at real lengths over that in full batches, a line a mechanism.",
    place=6,
)
