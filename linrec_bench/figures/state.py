"""Decoding: bytes carried from step to step against the length of the history."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.systems import mechanisms
from linrec_bench.figures import curves
from linrec_bench.figures.latency import LATENCY, models_as_lines
from linrec_bench.figures.spec import FigureSpec
from linrec_bench.figures.style import PAPER, NothingToDraw, Style
from linrec_bench.figures.tooltips import TooltipFigure
from linrec_bench.presentation import numbers

STATE = curves.Curve(
    column="state_bytes",
    title="Decoding: bytes of state against the history",
    axis="state",
    form=numbers.memory_tick,
    value=numbers.memory,
    base=2,
    x_axis=LATENCY.x_axis,
)


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Bytes that decoding carries; mechanisms without a state are named. `NothingToDraw` without any."""
    del samples
    if "state_bytes" not in summary:
        raise NothingToDraw("no case has state_bytes")
    summary = mechanisms(models_as_lines(summary))
    state = summary["state_bytes"].astype("float64")
    stateless = sorted(set(summary.loc[state == 0, "system"]) - set(summary.loc[state > 0, "system"]))
    said = f"No state at all: {', '.join(stateless)}." if stateless else ""
    rows = summary.assign(state_bytes=state.where(state > 0))[~summary["system"].isin(stateless)]
    if rows.empty:
        raise NothingToDraw("no mechanism carries a state")
    return curves.draw(rows, STATE, style=style, said=said)


SPEC = FigureSpec(
    name="state",
    tasks=("decode",),
    draw=draw,
    caption="Bytes that decoding carries from step to step; mechanisms without a state are named.",
    alt="Line chart of the bytes of state against the length of the history, a line a mechanism.",
    place=9,
)
