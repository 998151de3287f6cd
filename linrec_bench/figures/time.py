"""Time against sequence length: one line a mechanism, what failed as hollow marks on top."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.growth import growth
from linrec_bench.figures import curves
from linrec_bench.figures.spec import COSTS, FigureSpec
from linrec_bench.figures.style import PAPER, Style
from linrec_bench.figures.tooltips import TooltipFigure
from linrec_bench.presentation import numbers, words

RESAMPLES = 100
"""Enough to tell whether an exponent is determined; its interval is the figure of growth."""

TIME = curves.Curve(
    column="time_s",
    title="Time against sequence length",
    axis=words.COST["time_s"],
    form=numbers.duration_tick,
    value=numbers.duration,
    ends=numbers.duration_interval,
    base=10,
    interval=True,
    ratio="time_ratio",
    warned=("launch_bound", "launch-bound, the device waits for the host to start kernels"),
)


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Median time against N; raises `NothingToDraw` without times."""
    return curves.draw(
        summary,
        TIME,
        style=style,
        fits=growth(summary, samples, resamples=RESAMPLES),
        crossings=curves.crossings(summary, TIME),
    )


SPEC = FigureSpec(
    name="time",
    tasks=COSTS,
    draw=draw,
    caption="Median time against N on log axes with its 95 % interval, fits a + b N^p, and crossings with the"
    " reference.",
    alt="Line chart of time against sequence length, a line a mechanism.",
    place=1,
)
