"""Hit rate of planted targets against their distance from the planted run."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from linrec_bench.analysis.memorisation import memorisation
from linrec_bench.figures import curves, layout
from linrec_bench.figures.group_curves import BY_GROUP
from linrec_bench.figures.spec import FigureSpec
from linrec_bench.figures.style import PAPER, NothingToDraw, Style
from linrec_bench.figures.tooltips import TooltipFigure

BY_DISTANCE = replace(
    BY_GROUP,
    title="Memory of a planted run, by distance of its target",
    x_axis="events between body and target",
    limits=(0.0, 1.0),
)


def draw(summary: pd.DataFrame, samples: pd.DataFrame, style: Style = PAPER) -> TooltipFigure:
    """Share of planted targets among the first k of the catalogue: mean over seeds, 95 % t interval.

    Raises `NothingToDraw` where nothing was planted, or at one distance only.
    """
    del samples
    found = memorisation(summary)
    if found.empty:
        raise NothingToDraw("no trial that ended ok was asked for a planted run")
    k, most = int(found["k"].iloc[0]), int(found["seeds"].max())
    if found["rank"].nunique() < 2:
        raise NothingToDraw(f"planted runs at one distance only: {found['group'].iloc[0]}")
    clean = found["clean"].max()
    seeds = "One seed, no interval." if most == 1 else f"Mean and 95 % t interval over {most} seeds."
    return curves.draw(
        found.assign(status="ok", reference=layout.reference_of(summary) or ""),
        replace(BY_DISTANCE, axis=f"planted target in the first {k}"),
        style=style,
        said=f"{seeds} Trained on clean histories: {clean:.3g} at most.",
    )


SPEC = FigureSpec(
    name="memory_probe",
    tasks=("recommend",),
    draw=draw,
    caption="Hit rate of planted targets against their distance from the planted run.",
    alt="Line chart of the hit rate of planted targets against their distance, a line a mechanism.",
    place=14,
)
