"""What a person typed (`linrec`, `linrec(padding=ignore)`) among cases, by their data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal

import pandas as pd

from linrec_bench.case import parameter_texts, read_name

Column = Literal["attention", "model"]

FLOORS = ("copy", "no-op")
"""Mechanisms that mix nothing: floors to compare with, never findings."""


def meaning(typed: str) -> Callable[[str, str], bool]:
    """Whether a name and its parameters, a JSON object, are what was typed; a bare name means any of them."""
    name, params = read_name(typed)
    return lambda own, text: own == name and (not params or parameter_texts(json.loads(text)) == params)


def exactly(cases: pd.DataFrame, typed: str, of: Column = "attention") -> pd.Series[bool]:
    """The rows whose mechanism or model has the name and just the parameters that were typed."""
    name, params = read_name(typed)
    same = {text for text in cases[f"{of}_params"].unique() if parameter_texts(json.loads(text)) == params}
    return (cases[f"{of}_name"] == name) & cases[f"{of}_params"].isin(same)


def is_meant(cases: pd.DataFrame, typed: str, of: Column = "attention") -> pd.Series[bool]:
    """The rows that were typed: a bare name means any parameters."""
    name, params = read_name(typed)
    return exactly(cases, typed, of) if params else cases[f"{of}_name"] == name


def labels_of(cases: pd.DataFrame, typed: str) -> list[str]:
    """The labels in `attention` of the mechanisms that were typed, those with just these parameters first of
    all: only where there are none, all of the name. Empty where the cases have none."""
    for rows in (exactly(cases, typed), is_meant(cases, typed)):
        found = [str(label) for label in cases.loc[rows, "attention"].unique()]
        if found:
            return found
    return []


def one_of(cases: pd.DataFrame, typed: str) -> str | None:
    """The label of the mechanism or system that was typed; None where there is not exactly one."""
    if (cases["system" if "system" in cases else "attention"] == typed).any():
        return typed
    found = labels_of(cases, typed)
    return found[0] if len(found) == 1 else None
