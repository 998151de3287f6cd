"""Which panels a figure has: one for each setting that varies."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

import pandas as pd

from linrec_bench.declarations import tasks
from linrec_bench.presentation import case_names, words

HEIGHT = 34
"""Characters that the height of a panel holds."""

Setting = dict[str, object]
"""Columns that vary, with the values that one panel shows."""


def settings(rows: pd.DataFrame, columns: Iterable[str]) -> list[Setting]:
    """The combinations of those of `columns` that vary, in order; one empty setting when none does.

    Columns that the rows lack do not vary.
    """
    vary = [column for column in columns if column in rows and rows[column].nunique(dropna=False) > 1]
    if not vary:
        return [{}]
    found = rows[vary].drop_duplicates().sort_values(vary).itertuples(index=False, name=None)
    return [dict(zip(vary, values, strict=True)) for values in found]


def select(rows: pd.DataFrame, setting: Mapping[str, object]) -> pd.DataFrame:
    """The rows of one setting."""
    for column, value in setting.items():
        rows = rows[rows[column].isna() if case_names.is_missing(value) else rows[column] == value]
    return rows


def fixed(rows: pd.DataFrame, columns: Iterable[str]) -> Setting:
    """Those of `columns` that do not vary, with their value; what is empty or missing is left out."""
    same = [column for column in columns if column in rows and rows[column].nunique(dropna=False) == 1]
    values = {column: rows[column].iloc[0] for column in same}
    return {column: value for column, value in values.items() if value != "" and not pd.isna(value)}


def subject(rows: pd.DataFrame, columns: Iterable[str]) -> str:
    """What all rows share: `Layer: causal, batch 1, hidden 64`; never a phase that is all of the task."""
    task = str(rows["task"].iloc[0])
    same = {key: value for key, value in fixed(rows, columns).items() if key != "seed"}
    if len(tasks()[task].phases) == 1 and "phase" in same:
        del same["phase"]
    return ": ".join(filter(None, (words.TASK.get(task, task).capitalize(), case_names.settings(same))))


def beside(setting: str, axis: str) -> str:
    """What stands beside the first panel of a line: its setting, if any, in lines above its axis."""
    return "\n".join([*textwrap.wrap(setting, HEIGHT), axis])
