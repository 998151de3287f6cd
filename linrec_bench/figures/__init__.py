"""Tables -> figures, one file a figure. `draw_all` writes those that a run has rows for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from linrec_bench.figures import cost, learning, quality
from linrec_bench.figures.style import RC, NothingToDraw

__all__ = ["FIGURES", "Kind", "NothingToDraw", "draw_all", "save"]


@dataclass(frozen=True)
class Kind:
    """A figure: `draw(summary, samples)` of the rows of one of its `tasks`."""

    draw: Callable[[pd.DataFrame, pd.DataFrame], Figure]
    tasks: tuple[str, ...]


_COSTS = ("core", "layer", "train_step")

FIGURES: Mapping[str, Kind] = {
    "time": Kind(cost.draw_time, _COSTS),
    "memory": Kind(cost.draw_memory, _COSTS),
    "quality": Kind(quality.draw, ("recommend",)),
    "learning_curves": Kind(learning.draw, ("recommend",)),
}

_TEXTS = ("model", "dataset", "detail", "kernel", "reference", "interval_over")
"""Columns whose empty strings a CSV file cannot tell from missing values."""


def draw_all(samples: pd.DataFrame, summary: pd.DataFrame, folder: Path) -> dict[str, tuple[Path, ...] | str]:
    """Draw every figure of a run into `folder`: figure -> its files, or why it was left out.

    A cost figure is drawn for each task apart, under names such as `time_layer`, and for each direction where
    a task has both (`time_layer_causal`), since they are rarely swept over the same shapes.
    """
    texts = {column: summary[column].astype(object).fillna("") for column in _TEXTS}
    whole = summary.assign(**texts)
    drawn: dict[str, tuple[Path, ...] | str] = {}
    for name, kind in FIGURES.items():
        tasks = [task for task in kind.tasks if (whole["task"] == task).any()]
        if not tasks:
            drawn[name] = f"the run has no case of task {' or '.join(kind.tasks)}"
        for task in tasks:
            stem = f"{name}_{task}" if len(kind.tasks) > 1 else name
            rows = whole[whole["task"] == task]
            parts = {stem: rows}
            if len(kind.tasks) > 1 and rows["causal"].nunique() > 1:
                parts = {
                    f"{stem}_causal": rows[rows["causal"]],
                    f"{stem}_bidirectional": rows[~rows["causal"]],
                }
            for part, chosen in parts.items():
                drawn[part] = _drawn(kind, chosen, samples, folder / part)
    return drawn


def _drawn(kind: Kind, rows: pd.DataFrame, samples: pd.DataFrame, stem: Path) -> tuple[Path, ...] | str:
    try:
        return save(kind.draw(rows, samples[samples["case_id"].isin(rows["case_id"])]), stem)
    except NothingToDraw as reason:
        return str(reason)


def save(figure: Figure, stem: Path) -> tuple[Path, ...]:
    """Write stem.png and stem.svg, making the folder; the same figure gives the same bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, svg = stem.parent / f"{stem.name}.png", stem.parent / f"{stem.name}.svg"
    with matplotlib.rc_context(RC):
        figure.savefig(png, dpi=200, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None})
    return png, svg
