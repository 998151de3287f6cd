"""Ranking quality on test: a table of the cases of a model, of several models, or of systems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.text import Text

from linrec_bench.presentation import numbers as say
from linrec_bench.presentation import words
from linrec_bench.presentation.case_names import setting
from linrec_bench.terminal.streams import out
from linrec_bench.terminal.tables import show_table

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
        names = [setting(column, value) for column, value in zip(keys, key, strict=True)]
        if systems:
            _show_systems(f"{among}{names[0]}", across_seeds(part), _failures(part))
        elif together:
            order = list(dict.fromkeys(part["model"]))
            ordered = part.sort_values("model", key=lambda names: names.map(order.index), kind="stable")
            show_cases(f"{among}{names[0]}", ordered)
        else:
            show_cases(f"{among}{names[1]} on {names[0]}", part)


def _failures(part: pd.DataFrame) -> dict[tuple[str, int], str]:
    """The status of a case that did not end ok, of each system and length."""
    failed = part[part["status"] != "ok"]
    return {
        (str(name), int(length)): str(status)
        for name, length, status in failed[["system", "seq_len", "status"]].itertuples(index=False)
    }


def _show_systems(what: str, variants: pd.DataFrame, failures: Mapping[tuple[str, int], str]) -> None:
    """A row a system and length, the best first: means over its seeds; `failures` where none ended ok."""
    target, to_target = _target(variants)
    where, length = _lengths(variants)
    columns = [name for name in _METRICS if name in variants]
    best = ["seq_len", columns[0]] if columns else ["seq_len"]
    rows = []
    for _, row in variants.sort_values(best, ascending=[True, False][: len(best)], kind="stable").iterrows():
        name, seeds = str(row["system"]), str(row["seeds"])
        values = [say.metric(row[column]) for column in columns]
        if not row["seeds"]:
            values = [words.SHORT_STATUS[failures[name, row["seq_len"]]]] * len(columns)
        if row["failed"]:
            seeds += f" of {row['seeds'] + row['failed']}"
        training = say.duration(row["train_time_s"])
        costs = [say.whole(row["epochs"]), training, *([_to_target(row, training)] if to_target else [])]
        rows.append([name, *([str(row["seq_len"])] if length else []), seeds, *values, *costs])
    head = ["system", *length, "seeds", *columns, "epochs", "training", *to_target]
    show_table(head, rows, title=f"Ranking quality on test, {what}{where}")
    _close(target)


def _target(rows: pd.DataFrame) -> tuple[float, list[str]]:
    """The quality to reach (NaN without one), and the column of the time that it took."""
    target = rows["quality_target"].max() if "quality_target" in rows else math.nan
    return target, [] if math.isnan(target) else [f"to {say.metric(target)}"]


def _lengths(rows: pd.DataFrame) -> tuple[str, list[str]]:
    """What the title says of N where all rows have the same, and the column of N where they differ."""
    lengths = rows["seq_len"].unique()
    return (f", N = {lengths[0]}", []) if len(lengths) == 1 else ("", ["N"])


def _close(target: float) -> None:
    if not math.isnan(target):
        meaning = "training time until validation NDCG@10 reached it; > = not reached"
        out.print(f"to {say.metric(target)}: {meaning}")
    out.print()


def numbers(column: pd.Series) -> list[float]:
    """The numbers of a column; NaN where one is missing."""
    return [float(value) for value in column.to_numpy(dtype=float, na_value=math.nan)]


def show_cases(what: str, quality: pd.DataFrame) -> None:
    """A row a case; mechanisms stand under their model where there are several."""
    where, length = _lengths(quality)
    columns = [name for name in _METRICS if name in quality]
    direction = ["direction"] if quality["causal"].nunique() > 1 else []
    target, to_target = _target(quality)
    several_models = "model" in quality and quality["model"].nunique() > 1
    model = ""
    rows: list[list[str | Text]] = []
    for (_, row), epochs in zip(quality.iterrows(), numbers(quality["epochs"]), strict=True):
        if several_models and row["model"] != model:
            model = str(row["model"])
            rows.append([Text(model, style="bold")])
        known = row["status"] == "ok"
        cells = [say.metric(row[name]) if known else words.SHORT_STATUS[row["status"]] for name in columns]
        training = say.duration(row["train_time_s"]) if known else say.MISSING
        rows.append(
            [
                f"{'  ' if several_models else ''}{row['system']}",
                *([words.direction(row["causal"])] if direction else []),
                *([str(row["seq_len"])] if length else []),
                str(row["seed"]),
                *cells,
                # A model that counts has no epochs.
                say.whole(epochs if known else math.nan),
                training,
                *([_to_target(row, training)] if to_target else []),
            ]
        )
    head = ["attention", *direction, *length, "seed", *columns, "epochs", "training", *to_target]
    show_table(head, rows, title=f"Ranking quality on test, {what}{where}", left=direction)
    _close(target)


def _to_target(row: pd.Series, training: str) -> str:
    """The seconds until the target, or those in which it was not reached."""
    target, cost = numbers(row[["quality_target", "to_target_s"]])
    if math.isnan(target) or training == say.MISSING:
        return say.MISSING
    return f">{training}" if math.isnan(cost) else say.duration(cost)
