"""`--only "attention=linrec|softmax seq_len<=4096"`, `--shard 2/4`: which jobs of a suite to run. Pure."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from linrec_bench.case import Case
from linrec_bench.registry import did_you_mean
from linrec_bench.suite.expand import Job

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"([a-z_]+)\s*(<=|>=|!=|=|<|>)\s*([^\s]+)")
_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})")
_DISTANCE = "watermark_distance"
_FIELDS = (*(field.name for field in fields(Case) if field.name != "watermark"), _DISTANCE)
_NUMBERS = ("seq_len", "batch_size", "hidden_size", "heads", "layers", "seed", _DISTANCE)


def select(jobs: Sequence[Job], expressions: Sequence[str], *, flag: str = "--only") -> list[Job]:
    """The jobs for which every condition of every expression holds.

    A condition is `field=a|b`, `field!=a`, or an order (`<`, `<=`, `>`, `>=`) on a number. Names match with
    or without their parameters. Raises `ValueError` on anything else, which names `flag`.
    """
    conditions = [condition for expression in expressions for condition in _parse(expression, flag)]
    return [job for job in jobs if all(condition(job.case) for condition in conditions)]


def why_none(jobs: Sequence[Job], expressions: Sequence[str]) -> str:
    """For the conditions that no job meets on its own: the values that there are, and a near miss; a sentence
    each, with a blank before it."""
    said = []
    for match in _CONDITION.finditer(" ".join(expressions)):
        field, sign, text = match.groups()
        meets = _condition(field, sign, text, flag="--only")
        if not any(meets(job.case) for job in jobs):
            values = {_value(job.case, field) for job in jobs} - {None}
            shown = map(str, sorted(values) if field in _NUMBERS else sorted(values, key=str))
            spelled = {spelling for job in jobs for spelling in _spellings(job.case, field)}
            near = "".join(did_you_mean(part, spelled) for part in text.split("|") if field not in _NUMBERS)
            said.append(f" {field} is one of: {', '.join(shown)}.{near}")
    return "".join(said)


def shard(jobs: Sequence[Job], part: str) -> list[Job]:
    """The jobs of part `i/n` of the suite: every n-th grid point, with all its mechanisms and rounds, so that
    what is compared is measured on one machine.

    Raises `ValueError` unless 1 <= i <= n.
    """
    match = _SHARD.fullmatch(part)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"--shard {part!r}: expected i/n with 1 <= i <= n, such as 2/4")
    points = {point: at for at, point in enumerate(dict.fromkeys(job.grid_point for job in jobs))}
    return [job for job in jobs if points[job.grid_point] % count == number - 1]


def _parse(expression: str, flag: str) -> list[Callable[[Case], bool]]:
    leftover = _CONDITION.sub("", expression).strip()
    if leftover or not expression.strip():
        raise ValueError(
            f"{flag} {expression!r}: cannot read {leftover!r}; expected conditions such as "
            "attention=linrec|softmax or seq_len<=4096"
        )
    return [_condition(*match.group(1, 2, 3), flag=flag) for match in _CONDITION.finditer(expression)]


def _condition(field: str, sign: str, text: str, *, flag: str) -> Callable[[Case], bool]:
    if field not in _FIELDS:
        raise ValueError(
            f"{flag}: unknown field {field!r}; expected one of: {', '.join(_FIELDS)}."
            f"{did_you_mean(field, _FIELDS)}"
        )
    if sign in _OPERATORS:
        if field not in _NUMBERS:
            raise ValueError(f"{flag}: {field}{sign}{text}: {field} has no order; expected = or !=")
        try:
            bound = float(text)
        except ValueError:
            raise ValueError(f"{flag}: {field}{sign}{text}: {text!r} is not a number") from None
        return lambda case: _OPERATORS[sign](_number(case, field), bound)
    wanted = set(text.split("|"))
    return lambda case: bool(wanted & _spellings(case, field)) == (sign == "=")


def _number(case: Case, field: str) -> float:
    # No order holds for a case without a watermark.
    return float(_value(case, field)) if _value(case, field) is not None else math.nan


def _value(case: Case, field: str) -> Any:
    return dict(case.watermark).get("distance") if field == _DISTANCE else getattr(case, field)


def _spellings(case: Case, field: str) -> set[str]:
    value = _value(case, field)
    spellings = {str(value), str(value).lower()}
    if field in ("attention", "model", "dataset"):
        spellings.add(getattr(case, f"{field}_label"))
    if field == "lengths" and value is None:
        spellings.add("full")
    return spellings
