"""Decoding: time of one step against the length of the history."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.growth import growth
from linrec_bench.analysis.systems import as_systems
from linrec_bench.figures import curves
from linrec_bench.figures.spec import FigureSpec
from linrec_bench.figures.style import PAPER, Style
from linrec_bench.figures.time import RESAMPLES
from linrec_bench.figures.tooltips import TooltipFigure
from linrec_bench.presentation import numbers

LATENCY = curves.Curve(
    column="time_s",
    title="Decoding: time of one step against the history",
    axis="time of one step",
    form=numbers.duration_tick,
    value=numbers.duration,
    ends=numbers.duration_interval,
    base=10,
    interval=True,
    ratio="time_ratio",
    x_axis="length of the history N",
)


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Median time of one event after a history of N; `NothingToDraw` without times.

    Where whole models were measured, each of them is a line beside the others.
    """
    summary = models_as_lines(summary)
    return curves.draw(
        summary,
        LATENCY,
        style=style,
        fits=growth(summary, samples, resamples=RESAMPLES),
        crossings=curves.crossings(summary, LATENCY),
    )


def models_as_lines(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows under the names of their systems; as they are where there are not two models to tell apart."""
    if "model" not in summary or summary["model"].nunique() < 2:
        return summary
    return as_systems(summary, summary)


SPEC = FigureSpec(
    name="latency",
    tasks=("decode",),
    draw=draw,
    caption="Median time of one event after a history of N, with intervals.",
    alt="Line chart of the time of one decoding step against the length of the history, a line a mechanism.",
    place=8,
)
