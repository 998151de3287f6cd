"""Tables -> figures, one file a figure, found by its `SPEC`. `plot` and `report` both draw these."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from linrec_bench.analysis.padding import lengths_from
from linrec_bench.declarations import trainings
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

_UNDATED: Mapping[str, object] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
}
"""What would make the files of the same figure differ."""

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
    samples: pd.DataFrame

    def draw(self, style: Style = PAPER) -> TooltipFigure:
        """The figure; raises `NothingToDraw` where the rows hold nothing for it."""
        return self.spec.draw(self.summary, self.samples, style)


def parts(samples: pd.DataFrame, summary: pd.DataFrame) -> Iterator[Part]:
    """Every figure that may be drawn of a run."""
    texts = {column: summary[column].astype(object).fillna("") for column in _TEXTS}
    whole = _drawable(summary).assign(**texts)
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
                here = samples["case_id"].isin(own["case_id"])
                yield Part(part, spec, own, samples if here.all() else samples[here])


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
    for part in parts(samples, summary):
        try:
            figure = part.draw(style)
        except NothingToDraw as reason:
            drawn[part.stem] = str(reason)
        else:
            drawn[part.stem] = save(
                figure, folder / f"{part.stem}{style.suffix}", style=style, formats=formats
            )
    return drawn


def save(
    figure: Figure, stem: Path, *, style: Style = PAPER, dpi: int = DPI, formats: Sequence[str] = FORMATS
) -> tuple[Path, ...]:
    """Write stem.png, stem.svg and stem.pdf, or those of `formats`, each whole or not at all, making the
    folder; the same figure gives the same bytes."""
    paths = tuple(stem.parent / f"{stem.name}.{ending}" for ending in formats)
    with matplotlib.rc_context(style.rc):
        for path in paths:
            with replaced(path, make_folder=True) as temporary:
                temporary.write_bytes(_content(figure, path.suffix, dpi))
    return paths


def _content(figure: Figure, ending: str, dpi: int) -> bytes:
    """The bytes of a file. PNG has a palette of 256 colours: a figure has no more to the eye, and the file is
    a third as large."""
    buffer = io.BytesIO()
    if ending != ".png":
        figure.savefig(buffer, format=ending[1:], metadata=_UNDATED[ending])
        return buffer.getvalue()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    picture, small = Image.open(buffer).convert("RGB"), io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(small, format="PNG", optimize=True, dpi=(dpi, dpi))
    return small.getvalue()
