"""Tables -> figures, one file a figure. `draw_all` writes those that a run has rows for."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from linrec_bench.analysis.padding import lengths_from
from linrec_bench.declarations import trainings
from linrec_bench.figures import (
    amdahl,
    cost,
    decode,
    growth,
    heat,
    history,
    learning,
    memory_kinds,
    memory_probe,
    padding,
    pareto,
)
from linrec_bench.figures.style import PAPER, NothingToDraw, Style, style_of

__all__ = ["FIGURES", "FORMATS", "PAPER", "Kind", "NothingToDraw", "Style", "draw_all", "save", "style_of"]


@dataclass(frozen=True)
class Kind:
    """A figure: `draw(summary, samples, style)` of the rows of one of its `tasks`."""

    draw: Callable[[pd.DataFrame, pd.DataFrame, Style], Figure]
    tasks: tuple[str, ...]


_COSTS = ("core", "layer", "train_step")

FIGURES: Mapping[str, Kind] = {
    "time": Kind(cost.draw_time, _COSTS),
    "memory": Kind(cost.draw_memory, _COSTS),
    "growth": Kind(growth.draw, _COSTS),
    "speedup": Kind(heat.draw, _COSTS),
    "memory_kinds": Kind(memory_kinds.draw, _COSTS),
    "padding": Kind(padding.draw, _COSTS),
    "amdahl": Kind(amdahl.draw, ("train_step",)),
    "latency": Kind(decode.draw_latency, ("decode",)),
    "state": Kind(decode.draw_state, ("decode",)),
    "quality": Kind(pareto.draw, ("recommend",)),
    "learning_curves": Kind(learning.draw, ("recommend",)),
    "quality_by_history": Kind(history.draw_history, ("recommend",)),
    "quality_by_users": Kind(history.draw_users, ("recommend",)),
    "memory_probe": Kind(memory_probe.draw, ("recommend",)),
}

FORMATS = ("png", "svg", "pdf")

DPI = 180

_UNDATED: Mapping[str, Any] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
}
"""What would make the files of the same figure differ."""

_TEXTS = ("model", "dataset", "detail", "kernel", "reference", "interval_over")
"""Columns whose empty strings a CSV file cannot tell from missing values."""


def draw_all(
    samples: pd.DataFrame,
    summary: pd.DataFrame,
    folder: Path,
    *,
    style: Style = PAPER,
    formats: Sequence[str] = FORMATS,
) -> dict[str, tuple[Path, ...] | str]:
    """Draw every figure of a run into `folder`: figure -> its files, or why it was left out.

    A cost figure is drawn for each task apart, under names such as `time_layer`, and for each direction where
    a task has both (`time_layer_causal`), since they are rarely swept over the same shapes. The names of
    files end in the style where it is not the default (`time_layer_slides_dark.png`).
    """
    texts = {column: summary[column].astype(object).fillna("") for column in _TEXTS}
    whole = summary.assign(**texts)
    # No other task reads the data set that its case has from the suite.
    costs = ~whole["task"].isin(trainings())
    whole["dataset"] = whole["dataset"].mask(costs, lengths_from(whole))
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
                drawn[part] = _drawn(kind, chosen, samples, folder / f"{part}{style.suffix}", style, formats)
    return drawn


def _drawn(
    kind: Kind, rows: pd.DataFrame, samples: pd.DataFrame, stem: Path, style: Style, formats: Sequence[str]
) -> tuple[Path, ...] | str:
    try:
        figure = kind.draw(rows, samples[samples["case_id"].isin(rows["case_id"])], style)
    except NothingToDraw as reason:
        return str(reason)
    return save(figure, stem, style=style, formats=formats)


def save(
    figure: Figure, stem: Path, *, style: Style = PAPER, dpi: int = DPI, formats: Sequence[str] = FORMATS
) -> tuple[Path, ...]:
    """Write stem.png, stem.svg and stem.pdf, or those of `formats`, making the folder; the same figure gives
    the same bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = tuple(stem.parent / f"{stem.name}.{ending}" for ending in formats)
    with matplotlib.rc_context(style.rc):
        for path in paths:
            if path.suffix == ".png":
                _save_png(figure, path, dpi)
            else:
                figure.savefig(path, metadata=_UNDATED[path.suffix])
    return paths


def _save_png(figure: Figure, path: Path, dpi: int) -> None:
    """With a palette of 256 colours: a figure has no more to the eye, and the file is a third as large."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    picture = Image.open(buffer).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True, dpi=(dpi, dpi))
