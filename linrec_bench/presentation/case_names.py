"""How a case is called: each of its settings in words, in one order. Pure.

Every function takes the settings as a mapping with the names of the fields of a `Case`, such as a row of a
summary, `vars(case)` or `asdict(place)`. The identifiers that files hold (`Case.attention_label`, names in a
baseline) are no words for people: they are made where they are stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from linrec_bench.presentation import words

ORDER = (
    "attention",
    "task",
    "causal",
    "seq_len",
    "batch_size",
    "hidden_size",
    "heads",
    "layers",
    "catalogue_size",
    "model",
    "dataset",
    "dtype",
    "device",
    "seed",
    "case_id",
)
"""The order in which settings are named; `task` stands for the task with its phase."""


def case_name(case: Mapping[str, object], columns: Iterable[str] = ORDER) -> str:
    """`linrec, layer forward, causal, N = 128, batch 1, hidden 64, ...`: those of `columns` that are set.

    Where two mechanisms are compared, `linrec against softmax, ...`.
    """
    chosen = set(columns)
    texts = {"task": words.work(str(case["task"]), str(case["phase"]))}
    if case.get("against"):
        texts["attention"] = f"{case['attention']} against {case['against']}"
    return ", ".join(
        texts[column] if column in texts else setting(column, value)
        for column in ORDER
        if column in chosen and not _is_unset(column, value := case.get(column))
    )


def settings(setting_of: Mapping[str, object]) -> str:
    """`batch 16, hidden 64`; `forward + backward, causal`: as given, in the order given."""
    return ", ".join(setting(column, value) for column, value in setting_of.items())


def setting(column: str, value: object) -> str:
    """One setting: `causal`, `N = 2,048`, `batch 16`, `layers 2`, `forward + backward`, `float32`."""
    if column == "causal":
        return words.direction(value)
    if column == "phase":
        return words.PHASE.get(str(value), str(value))
    if column == "case_id":
        return f"case {value}"
    if isinstance(value, str):
        # Long names break between their parameters.
        return re.sub(r",(?=\S)", ", ", value)
    number = "unknown" if is_missing(value) else f"{value:,.0f}"
    if column == "seq_len":
        return f"N = {number}"
    return f"{axis(column)} {number}"


def axis(column: str) -> str:
    """The name of a setting: `batch` of `batch_size`, `N` of `seq_len`, `type` of `dtype`."""
    return {"seq_len": "N", "dtype": "type"}.get(column, column.removesuffix("_size"))


def _is_unset(column: str, value: object) -> bool:
    """Whether a setting says nothing: none, empty, or the seed that all cases have."""
    return is_missing(value) or value == "" or (column == "seed" and value == 0)


def is_missing(value: object) -> bool:
    """Whether a cell of a table is empty."""
    # The missing value of a whole number is no float, and pandas is not imported for it.
    return value is None or (not isinstance(value, str) and str(value) in ("nan", "<NA>"))
