"""Time or peak memory against sequence length: one line a mechanism, what failed as hollow marks on top."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from linrec_bench.analysis.crossover import crossovers
from linrec_bench.analysis.growth import growth
from linrec_bench.figures import curves, layout
from linrec_bench.figures.style import PAPER, NothingToDraw, Style
from linrec_bench.presentation import numbers, words

RESAMPLES = 100
"""Enough to tell whether an exponent is determined; its interval is the figure of growth."""

TIME = curves.Curve(
    column="time_s",
    title="Time against sequence length",
    axis=words.COST["time_s"],
    form=numbers.duration_tick,
    base=10,
    interval=True,
)
MEMORY = curves.Curve(
    column="memory_bytes",
    title="Peak memory against sequence length",
    axis=words.COST["memory_bytes"],
    form=numbers.memory_tick,
    base=2,
)


def draw_time(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> Figure:
    """Median time against N on log axes with its 95 % interval, fits a + b N^p, and crossings with the
    reference; raises `NothingToDraw` without times."""
    return _draw(summary, TIME, style, fits=growth(summary, samples, resamples=RESAMPLES))


def draw_memory(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> Figure:
    """Peak memory against N on log axes with crossings; raises `NothingToDraw` where none was measured."""
    del samples
    return _draw(summary, MEMORY, style, fits=None)


def _draw(summary: pd.DataFrame, curve: curves.Curve, style: Style, fits: pd.DataFrame | None) -> Figure:
    if summary.empty:
        raise NothingToDraw("there are no cases")
    reference = layout.reference_of(summary)
    found = crossovers(summary, reference=reference, costs=[curve.column]) if reference is not None else None
    return curves.draw(summary, curve, style=style, fits=fits, crossings=found)
