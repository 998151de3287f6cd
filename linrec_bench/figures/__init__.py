"""Tables -> figures, one file a figure, found by its `SPEC`. `plot` and `report` both draw these."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from linrec_bench import forks
from linrec_bench.analysis.padding import lengths_from
from linrec_bench.analysis.samples_table import compact
from linrec_bench.declarations import trainings
from linrec_bench.figures import pdf_files
from linrec_bench.figures.spec import FigureSpec
from linrec_bench.figures.style import PAPER, NothingToDraw, Style, style_of
from linrec_bench.figures.tooltips import TooltipFigure
from linrec_bench.registry import Registry, specs_in
from linrec_bench.whole_file import replaced

__all__ = [
    "FIGURES",
    "FORMATS",
    "PAPER",
    "FigureSpec",
    "NothingToDraw",
    "Part",
    "Style",
    "draw_all",
    "parts",
    "save",
    "style_of",
]


FIGURES: Registry[FigureSpec] = Registry(
    "figure",
    [(spec.name, spec) for spec in sorted(specs_in(__name__, FigureSpec), key=lambda spec: spec.place)],
)

FORMATS = ("png", "svg", "pdf")

DPI = 180

_TEXTS = ("model", "dataset", "detail", "kernel", "reference", "interval_over")
"""Columns whose empty strings a CSV file cannot tell from missing values."""


_LARGEST = 1e100


@dataclass(frozen=True)
class Part:
    """The rows of a run that one figure shows, and the stem of its files.

    A cost figure is drawn for each task apart, under names such as `time_layer`, and for each direction where
    a task has both (`time_layer_causal`), since they are rarely swept over the same shapes.
    """

    stem: str
    spec: FigureSpec
    summary: pd.DataFrame
    run_samples: pd.DataFrame

    def draw(self, style: Style = PAPER) -> TooltipFigure:
        """The figure; raises `NothingToDraw` where the rows hold nothing for it."""
        samples = self.run_samples
        here = samples["case_id"].isin(self.summary["case_id"])
        return self.spec.draw(self.summary, samples if here.all() else samples[here], style)


def parts(samples: pd.DataFrame, summary: pd.DataFrame) -> Iterator[Part]:
    """Every figure that may be drawn of a run."""
    texts = {column: summary[column].astype(object).fillna("") for column in _TEXTS}
    whole = compact(_drawable(summary).assign(**texts))
    samples = _drawable(samples)
    # No other task reads the data set that its case has from the suite.
    costs = ~whole["task"].isin(trainings())
    whole["dataset"] = whole["dataset"].mask(costs, lengths_from(whole))
    for name, spec in FIGURES.items():
        for task in spec.tasks:
            rows = whole[whole["task"] == task]
            stem = f"{name}_{task}" if len(spec.tasks) > 1 else name
            chosen = {stem: rows} if len(rows) else {}
            if len(spec.tasks) > 1 and rows["causal"].nunique() > 1:
                chosen = {
                    f"{stem}_causal": rows[rows["causal"]],
                    f"{stem}_bidirectional": rows[~rows["causal"]],
                }
            for part, own in chosen.items():
                yield Part(part, spec, own, samples)


def _drawable(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without numbers that no axis holds, which are those of damaged or made files: they are missing
    then."""
    numbers = {str(name): column for name, column in rows.items() if column.dtype.kind == "f"}
    beyond = {
        name: (size > _LARGEST) | ((size > 0) & (size < 1 / _LARGEST))
        for name, column in numbers.items()
        for size in [column.abs()]
    }
    return rows.assign(**{name: numbers[name].mask(where) for name, where in beyond.items() if where.any()})


def draw_all(
    samples: pd.DataFrame,
    summary: pd.DataFrame,
    folder: Path,
    *,
    style: Style = PAPER,
    formats: Sequence[str] = FORMATS,
) -> dict[str, tuple[Path, ...] | str]:
    """Draw every figure of a run into `folder`: stem -> its files, or why it was left out.

    The names of files end in the style where it is not the default (`time_layer_slides_dark.png`).
    """
    drawn: dict[str, tuple[Path, ...] | str] = {}
    here = set(summary["task"])
    for name, spec in FIGURES.items():
        if not here.intersection(spec.tasks):
            drawn[name] = f"the run has no case of task {' or '.join(spec.tasks)}"
    every = list(parts(samples, summary))
    if "pdf" in formats:
        # Once, and not in every fork.
        pdf_files.families()
    files = forks.started(partial(_files, style=style, formats=formats), every)
    for part, found in zip(every, files, strict=True):
        stem = folder / f"{part.stem}{style.suffix}"
        drawn[part.stem] = found if isinstance(found, str) else _written(found, stem)
    return drawn


def _files(part: Part, *, style: Style, formats: Sequence[str]) -> dict[str, bytes] | str:
    """What the files of a figure hold, by format, or why there is none."""
    try:
        figure = part.draw(style)
    except NothingToDraw as reason:
        return str(reason)
    return _contents(figure, style, formats)


def save(
    figure: Figure, stem: Path, *, style: Style = PAPER, formats: Sequence[str] = FORMATS
) -> tuple[Path, ...]:
    """Write stem.png, stem.svg and stem.pdf, or those of `formats`, each whole or not at all, making the
    folder; the same figure gives the same bytes."""
    return _written(_contents(figure, style, formats), stem)


def _written(files: Mapping[str, bytes], stem: Path) -> tuple[Path, ...]:
    paths = tuple(stem.parent / f"{stem.name}.{ending}" for ending in files)
    for path, content in zip(paths, files.values(), strict=True):
        with replaced(path, make_folder=True) as temporary:
            temporary.write_bytes(content)
    return paths


def _contents(figure: Figure, style: Style, formats: Sequence[str]) -> dict[str, bytes]:
    with matplotlib.rc_context(style.rc):
        return {ending: _content(figure, ending) for ending in formats}


def _content(figure: Figure, ending: str) -> bytes:
    """The bytes of a file. PNG has a palette of 256 colours: a figure has no more to the eye, and the file is
    a third as large."""
    if ending == "pdf":
        return pdf_files.saved(figure)
    if ending == "svg":
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()
    before = figure.dpi
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    figure.set_dpi(before)
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    picture, small = Image.fromarray(np.asarray(pixels)).convert("RGB"), io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(small, format="PNG", optimize=True, dpi=(DPI, DPI))
    return small.getvalue()
