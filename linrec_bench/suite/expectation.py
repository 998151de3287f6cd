"""The lines of `expect:`, claims about what is measured, and the bounds in them."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from linrec_bench.suite.words import Strict

_BOUND = re.compile(r"\s*(<=|>=|==)\s*([-+0-9.eE]+)\s*|\s*([-+0-9.eE]+)\s*\.\.\s*([-+0-9.eE]+)\s*")


def _bound(value: Any) -> Any:
    match = _BOUND.fullmatch(str(value))
    try:
        numbers = [float(group) for group in match.groups()[1:] if group] if match else []
    except ValueError:
        numbers = []
    if match is None or not numbers:
        raise ValueError(f"{value!r} is no bound; expected such as '<= 1.05', '>= 0.9' or '0.9 .. 1.1'")
    return str(value)


BoundText = Annotated[
    str,
    BeforeValidator(_bound, json_schema_input_type=Annotated[str, Field(pattern=f"^({_BOUND.pattern})$")]),
]


def bound_limits(text: str) -> tuple[float, float]:
    """The lowest and the highest number that a bound admits."""
    match = _BOUND.fullmatch(text)
    assert match is not None
    sign, number, low, high = match.groups()
    if sign is None:
        return float(low), float(high)
    value = float(number)
    return {"<=": (-math.inf, value), ">=": (value, math.inf), "==": (value, value)}[sign]


QUANTITIES = ("exponent", "value", "ratio", "difference")


class Expectation(Strict):
    """One line of `expect:`: exactly one of the quantities, bounded.

    `{attention: linrec, measure: peak_memory, exponent: "<= 1.05"}` or, against another mechanism,
    `{attention: linrec, measure: flops, ratio: "<= 0.25", to: softmax, where: "seq_len=4096"}`.
    """

    attention: str
    measure: str
    exponent: BoundText | None = None
    value: BoundText | None = None
    ratio: BoundText | None = None
    difference: BoundText | None = None
    to: str = ""
    where: str = ""

    @model_validator(mode="after")
    def _one_quantity(self) -> Expectation:
        given = [name for name in QUANTITIES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"{len(given)} quantities; expected exactly one of: {', '.join(QUANTITIES)}")
        compares = given[0] in ("ratio", "difference")
        if compares != bool(self.to):
            wanted = "needs `to`, the mechanism to compare with" if compares else "takes no `to`"
            raise ValueError(f"{given[0]} {wanted}")
        return self

    @property
    def quantity(self) -> str:
        return next(name for name in QUANTITIES if getattr(self, name) is not None)

    @property
    def bound(self) -> str:
        return str(getattr(self, self.quantity))
