"""The end of a run: one table a question, then the findings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from linrec_bench.case import label
from linrec_bench.declarations import trainings
from linrec_bench.presentation import numbers as say
from linrec_bench.presentation import words
from linrec_bench.presentation.case_names import case_name
from linrec_bench.settings import CANDIDATES
from linrec_bench.suite.schema import Suite
from linrec_bench.terminal.block_chart import sparklines
from linrec_bench.terminal.quality_table import numbers, show_quality
from linrec_bench.terminal.streams import draws_blocks, listed, out
from linrec_bench.terminal.tables import show_table

if TYPE_CHECKING:
    import pandas as pd

MOST_LENGTHS = 6
"""Columns of lengths in a table; the sparkline beside them holds every length."""

_GAP = 2

_SHAPE = ["batch_size", "hidden_size", "heads", "layers", "dtype", "seed"]


def show_summary(summary: pd.DataFrame, suite: Suite, differences: pd.DataFrame | None = None) -> None:
    """A table of time and one of memory for each task, phase and direction, quality, and the findings.

    `differences` are those of quality between variants, paired by user and seed.
    """
    from linrec_bench.analysis.memorisation import memorisation, planted
    from linrec_bench.analysis.padding import lengths_from, padding_cost
    from linrec_bench.analysis.systems import as_systems, mechanisms
    from linrec_bench.presentation.sentences import headline

    costs = summary[~summary["task"].isin(trainings())]
    keys = ["task", "phase", "causal", lengths_from(costs)]
    for (*_, lengths), part in costs.groupby(keys, sort=False):
        if part["model"].nunique() > 1:
            part = as_systems(part, part)
        panel, panels = _largest_panel(mechanisms(part))
        name = _name(
            panel.assign(dataset=str(lengths)), ("task", "causal", "batch_size", "hidden_size", "dataset")
        )
        show_panel(name, panel, _attention_order(suite))
        if panels > 1:
            out.print(f"One of {panels} shapes; all of them stand in summary.csv.\n")
    _show_padding(padding_cost(costs))
    marked = planted(summary)
    quality = summary[summary["task"].isin(trainings()) & ~marked]
    show_quality(quality, {name: _candidates(suite, str(name)) for name in quality["dataset"].unique()})
    _show_planted(memorisation(summary[marked]))
    for sentence in headline(summary, suite.reference_attention(), differences):
        listed(sentence)


def _candidates(suite: Suite, dataset: str) -> str:
    """What targets of a data set are ranked among; a suite ranks all models of one alike."""
    for sweep in suite.sweeps:
        if sweep.dataset is not None and label(sweep.dataset.name, sweep.dataset.params) == dataset:
            return CANDIDATES[sweep.evaluation.candidates]
    return CANDIDATES["full"]


def _largest_panel(part: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows of the largest shape, one a mechanism and length, and the number of such panels."""
    shapes = part[_SHAPE].drop_duplicates().sort_values(_SHAPE)
    return part.merge(shapes.tail(1), on=_SHAPE), len(shapes)


def _name(panel: pd.DataFrame, columns: Sequence[str]) -> str:
    """What all cases of a panel share, in words."""
    return case_name({str(key): value for key, value in panel.iloc[0].items()}, columns)


def _attention_order(suite: Suite) -> list[str]:
    return [label(entry.name, entry.params) for sweep in suite.sweeps for entry in sweep.attention]


def show_panel(title: str, panel: pd.DataFrame, order: Sequence[str]) -> None:
    """Tables of time and of memory: a row a mechanism (those of `order` first), a column a length."""
    names = [name for name in dict.fromkeys([*order, *panel["system"]]) if name in set(panel["system"])]
    lengths = sorted(int(length) for length in panel["seq_len"].unique())
    for column, meaning, formatted in (
        ("time_s", f"median {words.COST['time_s']}", say.duration),
        ("memory_bytes", words.COST["memory_bytes"], say.memory),
    ):
        if column not in panel or panel[column].isna().all():
            continue
        cells = {
            (str(name), int(length)): _cell(value, str(status), formatted)
            for name, length, value, status in zip(
                panel["system"], panel["seq_len"], numbers(panel[column]), panel["status"], strict=True
            )
        }
        growth = _growth(panel, column, names, lengths)
        shown = _fitting(cells, names, lengths, growth)
        show_table(
            ["N", *map(str, shown), *(["growth"] if growth else [])],
            (
                [name, *(cells.get((name, length), "") for length in shown), *growth[at : at + 1]]
                for at, name in enumerate(names)
            ),
            title=f"{title}: {meaning}",
            left=["growth"],
        )
        out.print()


def _fitting(
    cells: Mapping[tuple[str, int], str], names: Sequence[str], lengths: Sequence[int], growth: Sequence[str]
) -> list[int]:
    """As many of the lengths as the terminal is wide enough for."""
    widths = {
        length: max(len(str(length)), *(len(cells.get((name, length), "")) for name in names))
        for length in lengths
    }
    room = out.width - max(map(len, names)) - (_GAP + max(len(lengths), len("growth")) if growth else 0)
    return next(
        (
            chosen
            for chosen in (spread(lengths, most) for most in range(MOST_LENGTHS, 1, -1))
            if sum(_GAP + widths[length] for length in chosen) <= room
        ),
        spread(lengths, 2),
    )


def spread(values: Sequence[int], most: int) -> list[int]:
    """At most `most` of the values (at least two), evenly spread, with the first and the last."""
    if len(values) <= most:
        return list(values)
    return [values[round(index * (len(values) - 1) / (most - 1))] for index in range(most)]


def _growth(panel: pd.DataFrame, column: str, names: Sequence[str], lengths: Sequence[int]) -> list[str]:
    """A sparkline a name; none where one length is all there is, or the terminal has no blocks."""
    if len(lengths) < 2 or not draws_blocks():
        return []
    values = panel.groupby(["system", "seq_len"])[column].first()
    rows = [numbers(values.loc[name].reindex(lengths)) for name in names]
    return sparklines(lengths, rows)


def _cell(value: float, status: str, formatted: Callable[[float], str]) -> str:
    return words.SHORT_STATUS.get(status, status) if math.isnan(value) else formatted(value)


def _show_padding(found: pd.DataFrame) -> None:
    """How much more an event costs at real lengths than in full batches, a row a mechanism."""
    for _, part in found.groupby(["dataset", "task", "phase", "causal"], sort=False):
        panel, _ = _largest_panel(part)
        lengths = spread(sorted(int(length) for length in panel["seq_len"].unique()), MOST_LENGTHS)
        shares = panel.groupby("seq_len")["real_share"].median()
        ratios = panel.groupby(["attention", "seq_len"], sort=False)["token_ratio"].first().unstack()
        rows = [["events in positions", *(say.percent(shares[length]) for length in lengths)]]
        rows += [[str(name), *(say.ratio(row[at]) for at in lengths)] for name, row in ratios.iterrows()]
        title = f"{_name(panel, ('task', 'causal', 'dataset'))}: time per event, relative to full batches"
        show_table(["N", *map(str, lengths)], rows, title=title)
        out.print()


def _show_planted(found: pd.DataFrame) -> None:
    """The hit rate of planted targets by their distance, a table a model and data set."""
    for (model, dataset), part in found.groupby(["model", "dataset"], sort=False):
        seeds = int(part["seeds"].max())
        distances = sorted(part["distance"].unique())
        rates = part.groupby(["system", "distance"], sort=False)["quality"].mean().unstack()
        clean = part.groupby("distance")["clean"].max()
        rows = [[str(name), *(say.percent(row[at]) for at in distances)] for name, row in rates.iterrows()]
        rows.append(["clean, at most", *(say.percent(clean[at]) for at in distances)])
        title = f"Planted targets in the first {part['k'].iloc[0]}, by distance: {model} on {dataset}"
        show_table(["distance", *map(str, distances)], rows, title=title)
        out.print(f"Mean over {seeds} seeds.\n" if seeds > 1 else "One seed.\n")
