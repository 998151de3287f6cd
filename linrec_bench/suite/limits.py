"""Limits of a trial, and how it is sampled."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from linrec_bench.suite.base_models import Positive, Seconds, Strict

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%|[KMG]i?B|B)\s*")


def _memory(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _AMOUNT.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is no amount of memory; expected such as 80%, 8GiB or 512MiB")
    number, unit = float(match[1]), match[2]
    if unit == "%":
        if not 0 < number <= 100:
            raise ValueError(f"{value!r}: expected a share above 0% and up to 100%")
        return f"{number:g}%"
    if number * _UNITS[unit] < 1:
        raise ValueError(f"{value!r}: expected at least a byte")
    return int(number * _UNITS[unit])


Memory = Annotated[
    int | str,
    BeforeValidator(
        _memory, json_schema_input_type=Positive | Annotated[str, Field(pattern=f"^{_AMOUNT.pattern}$")]
    ),
]


class Limits(Strict):
    """Limits of a trial. `memory` is an amount, or a share of the memory that is free when the run starts.

    An interruption loses at most the last `checkpoint_seconds` of a training. The first call of a case whose
    kernels are compiled may take `compile_seconds` more.
    """

    case_seconds: Seconds = 60.0
    compile_seconds: Seconds = 300.0
    memory: Memory = "80%"
    checkpoint_seconds: Seconds = 60.0


class Sampling(Strict):
    """Sampling of a trial: calls for `seconds`, at least `min` and at most `max`.

    `cache: cold` flushes the last-level cache of the device before each sample (accelerators only). `graph`
    records the operations of one call and starts them at once, so that the host costs nothing (CUDA only).
    """

    seconds: Seconds = 0.5
    min: Positive = 3
    max: Positive = 200
    cache: Literal["cold", "warm"] = "cold"
    graph: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Sampling:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; expected min <= max")
        return self
