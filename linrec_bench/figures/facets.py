"""Which panels a figure has: one for each setting that varies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

Setting = dict[str, object]
"""Columns that vary, with the values that one panel shows."""


def settings(rows: pd.DataFrame, columns: Iterable[str]) -> list[Setting]:
    """The combinations of those of `columns` that vary, in order; one empty setting when none does."""
    vary = [column for column in columns if rows[column].nunique(dropna=False) > 1]
    if not vary:
        return [{}]
    found = rows[vary].drop_duplicates().sort_values(vary).itertuples(index=False, name=None)
    return [dict(zip(vary, values, strict=True)) for values in found]


def select(rows: pd.DataFrame, setting: Mapping[str, object]) -> pd.DataFrame:
    """The rows of one setting."""
    for column, value in setting.items():
        rows = rows[rows[column] == value]
    return rows


def fixed(rows: pd.DataFrame, columns: Iterable[str]) -> Setting:
    """Those of `columns` that do not vary, with their value."""
    same = [column for column in columns if rows[column].nunique(dropna=False) == 1]
    return {column: rows[column].iloc[0] for column in same if rows[column].iloc[0] != ""}


def named(setting: Mapping[str, object]) -> str:
    """`batch 16, hidden 64`; `forward + backward, causal`."""
    return ", ".join(_named(column, value) for column, value in setting.items())


def _named(column: str, value: object) -> str:
    if column == "causal":
        return "causal" if value else "bidirectional"
    if column == "seq_len":
        return f"N = {value:,}"
    if isinstance(value, str):
        return value.replace("_", " + ") if column == "phase" else value
    return f"{column.removesuffix('_size')} {value}"
