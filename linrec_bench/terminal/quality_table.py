"""Ranking quality on test: a table of the cases of a model, of several models, or of systems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from linrec_bench.presentation import numbers as say
from linrec_bench.presentation import words
from linrec_bench.terminal.streams import out

if TYPE_CHECKING:
    import pandas as pd

_METRICS = ("ndcg@10", "recall@10", "mrr@10")


def show_quality(quality: pd.DataFrame, candidates: Mapping[str, str]) -> None:
    """The cases of task recommend: a table a data set and model, or a data set where several models learnt on
    one, of systems where those are compared (`analysis.systems`).

    `candidates` says what the targets of each data set were ranked among.
    """
    from linrec_bench.analysis.seeds import across_seeds
    from linrec_bench.analysis.systems import compares_systems, named, several_models

    systems, together = compares_systems(quality), several_models(quality)
    told = named(quality)
    keys = ["dataset"] if together else ["dataset", "model"]
    for key, part in told.groupby(keys, sort=False):
        among = f"{candidates[str(key[0])]}: "
        if systems:
            _show_systems(f"{among}{key[0]}", across_seeds(part), _failures(part))
        elif together:
            order = list(dict.fromkeys(part["model"]))
            ordered = part.sort_values("model", key=lambda names: names.map(order.index), kind="stable")
            _show_cases(f"{among}{key[0]}", ordered)
        else:
            _show_cases(f"{among}{key[1]} on {key[0]}", part)


def _failures(part: pd.DataFrame) -> dict[tuple[str, int], str]:
    """The status of a case that did not end ok, of each system and length."""
    failed = part[part["status"] != "ok"]
    return {
        (str(name), int(length)): str(status)
        for name, length, status in failed[["attention", "seq_len", "status"]].itertuples(index=False)
    }


def _show_systems(what: str, variants: pd.DataFrame, failures: Mapping[tuple[str, int], str]) -> None:
    """A row a system and length, the best first: means over its seeds; `failures` where none ended ok."""
    target = variants["quality_target"].max() if "quality_target" in variants else math.nan
    matched = [] if math.isnan(target) else [f"to {say.metric(target)}"]
    where, length = _lengths(variants)
    columns = [name for name in _METRICS if name in variants]
    head = ["system", *length, "seeds", *columns, "epochs", "training", *matched]
    out.print(f"Ranking quality on test, {what}{where}", style="bold")
    table = Table(box=None, pad_edge=False)
    for name in head:
        system = name == "system"
        table.add_column(name, justify="left" if system else "right", no_wrap=not system, overflow="fold")
    best = ["seq_len", columns[0]] if columns else ["seq_len"]
    for _, row in variants.sort_values(best, ascending=[True, False][: len(best)], kind="stable").iterrows():
        name = str(row["attention"])
        lengths = [str(row["seq_len"])] * len(length)
        lost = f" of {row['seeds'] + row['failed']}" if row["failed"] else ""
        values = [say.metric(row[column]) for column in columns]
        if not row["seeds"]:
            values = [failures[name, row["seq_len"]]] * len(columns)
        epochs = say.whole(row["epochs"])
        training = say.duration(row["train_time_s"])
        there = [_to_target(row, training)] if matched else []
        seeds = f"{row['seeds']}{lost}"
        table.add_row(name, *lengths, seeds, *values, epochs, training, *there)
    _close(table, target)


def _lengths(rows: pd.DataFrame) -> tuple[str, list[str]]:
    """What the title says of N where all rows have the same, and the column of N where they differ."""
    lengths = rows["seq_len"].unique()
    return (f", N = {lengths[0]}", []) if len(lengths) == 1 else ("", ["N"])


def _close(table: Table, target: float) -> None:
    out.print(table)
    if not math.isnan(target):
        meaning = "training time until validation NDCG@10 reached it; > = target not reached"
        out.print(f"to {say.metric(target)}: {meaning}")
    out.print()


def numbers(column: pd.Series) -> list[float]:
    """The numbers of a column; NaN where one is missing."""
    return [float(value) for value in column.to_numpy(dtype=float, na_value=math.nan)]


def _show_cases(what: str, quality: pd.DataFrame) -> None:
    """A row a case; mechanisms stand under their model where there are several."""
    where, length = _lengths(quality)
    out.print(f"Ranking quality on test, {what}{where}", style="bold")
    table = Table(box=None, pad_edge=False)
    columns = [name for name in _METRICS if name in quality]
    both = quality["causal"].nunique() > 1
    target = quality["quality_target"].max() if "quality_target" in quality else math.nan
    matched = [] if math.isnan(target) else [f"to {say.metric(target)}"]
    shown = ("attention", *(["direction"] if both else []), *length, "seed", *columns)
    for name in (*shown, "epochs", "training", *matched):
        table.add_column(
            name,
            justify="left" if name in ("attention", "direction") else "right",
            no_wrap=name != "attention",
            overflow="fold",
        )
    within = "model" in quality and quality["model"].nunique() > 1
    model = ""
    for (_, row), count in zip(quality.iterrows(), numbers(quality["epochs"]), strict=True):
        if within and row["model"] != model:
            model = str(row["model"])
            table.add_row(Text(model, style="bold"))
        known = row["status"] == "ok"
        cells = [say.metric(row[name]) if known else str(row["status"]) for name in columns]
        # A model that counts has none.
        epochs = say.whole(count if known else math.nan)
        training = say.duration(row["train_time_s"]) if known else "-"
        direction = [words.direction(row["causal"])] if both else []
        there = [_to_target(row, training)] if matched else []
        lengths = [str(row["seq_len"])] * len(length)
        cells = [*direction, *lengths, str(row["seed"]), *cells, epochs, training, *there]
        table.add_row(f"{'  ' if within else ''}{row['attention']}", *cells)
    _close(table, target)


def _to_target(row: pd.Series, training: str) -> str:
    """The seconds until the target, or those in which it was not reached."""
    target, cost = numbers(row[["quality_target", "to_target_s"]])
    if math.isnan(target) or training == "-":
        return "-"
    return f">{training}" if math.isnan(cost) else say.duration(cost)
