"""Decoding against the length of the history: time of one step, and bytes carried from step to step."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from linrec_bench.analysis.crossover import crossovers
from linrec_bench.analysis.growth import growth
from linrec_bench.analysis.systems import system_names
from linrec_bench.figures import curves, layout
from linrec_bench.figures.cost import RESAMPLES
from linrec_bench.figures.style import PAPER, NothingToDraw, Style
from linrec_bench.presentation import numbers

HISTORY = "length of the history N"

LATENCY = curves.Curve(
    column="time_s",
    title="Decoding: time of one step against the history",
    axis="time of one step",
    form=numbers.duration_tick,
    base=10,
    interval=True,
    x_axis=HISTORY,
)
STATE = curves.Curve(
    column="state_bytes",
    title="Decoding: bytes of state against the history",
    axis="state",
    form=numbers.memory_tick,
    base=2,
    x_axis=HISTORY,
)


def draw_latency(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> Figure:
    """Median time of one event after a history of N, with intervals; `NothingToDraw` without times.

    Where whole models were measured, each of them is a line beside the others.
    """
    summary, samples = _models_as_lines(summary, summary), _models_as_lines(samples, summary)
    reference = layout.reference_of(summary)
    found = crossovers(summary, reference=reference, costs=["time_s"]) if reference is not None else None
    return curves.draw(
        summary, LATENCY, style=style, fits=growth(summary, samples, resamples=RESAMPLES), crossings=found
    )


def draw_state(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> Figure:
    """Bytes that decoding carries; mechanisms without a state are named. `NothingToDraw` without any."""
    del samples
    if "state_bytes" not in summary:
        raise NothingToDraw("no case has state_bytes")
    summary = _models_as_lines(summary, summary)
    state = summary["state_bytes"].astype("float64")
    stateless = sorted(set(summary.loc[state == 0, "attention"]) - set(summary.loc[state > 0, "attention"]))
    said = f"No state at all: {', '.join(stateless)}." if stateless else ""
    rows = summary.assign(state_bytes=state.where(state > 0))[~summary["attention"].isin(stateless)]
    if rows.empty:
        raise NothingToDraw("no mechanism carries a state")
    return curves.draw(rows, STATE, style=style, said=said)


def _models_as_lines(frame: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """The rows with the name of the system in place of that of the mechanism; as they are where there are not
    two models to tell apart."""
    if "model" not in summary or summary["model"].nunique() < 2:
        return frame
    names = system_names(summary)
    lines = frame["case_id"].map(dict(zip(summary["case_id"], names, strict=True)))
    renamed = frame.assign(attention=lines, model="")
    if "reference" in frame:
        of_mechanism = dict(zip(summary["attention"], names, strict=True))
        renamed["reference"] = frame["reference"].map(lambda name: of_mechanism.get(name, name))
    return renamed
