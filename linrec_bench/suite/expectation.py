"""Lines of `expect:` and `claims:`: statements about measurements, with bounds."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from linrec_bench.measures.device.names import Kind
from linrec_bench.suite.base_models import Strict

_BOUND = re.compile(r"\s*(<=|>=|==)\s*([-+0-9.eE]+)\s*|\s*([-+0-9.eE]+)\s*\.\.\s*([-+0-9.eE]+)\s*")


def _bound(value: object) -> object:
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


QUANTITIES = ("exponent", "value", "ratio", "difference", "crossover")
_COMPARED = ("ratio", "difference", "crossover")


class Expectation(Strict):
    """One line of `expect:`: a bound on exactly one quantity.

    `{attention: linrec, measure: peak_memory, exponent: "<= 1.05"}` or, against another mechanism,
    `{attention: linrec, measure: flops, ratio: "<= 0.25", to: softmax, where: "seq_len=4096"}`.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    attention: str = ""
    """Mechanism, by name or with parameters; by default every mechanism of `model`."""
    model: str = ""
    """Model; by default every model, and cases without one."""
    measure: str
    """Measure: a name from `measures`, or of a row, such as `ndcg@10` or `train_time`."""
    exponent: BoundText | None = None
    """Bound on the exponent of growth with N."""
    value: BoundText | None = None
    """Bound on the value, in the unit of the rows (s, B, FLOP); the mean over seeds."""
    ratio: BoundText | None = None
    """Bound on the ratio to the value of `to` or `to_model`."""
    difference: BoundText | None = None
    """Bound on the difference from the value of `to` or `to_model`, paired by seed."""
    crossover: BoundText | None = None
    """Bound on the length from which `attention` costs less than `to`."""
    to: str = ""
    """Mechanism to compare with."""
    to_model: str = ""
    """Model to compare with; by default `model`."""
    where: str = ""
    """Conditions on cases, such as `"seq_len>=1024 causal=true"`; by default all."""

    @model_validator(mode="after")
    def _one_quantity(self) -> Expectation:
        quantities = [name for name in QUANTITIES if getattr(self, name) is not None]
        if len(quantities) != 1:
            number = len(quantities)
            raise ValueError(f"{number} quantities; expected exactly one of: {', '.join(QUANTITIES)}")
        if not (self.attention or self.model):
            raise ValueError("neither attention nor model; expected what the line is about")
        (quantity,) = quantities
        if (quantity in _COMPARED) != bool(self.to or self.to_model):
            wanted = (
                "needs `to`, the mechanism to compare with, or `to_model`"
                if quantity in _COMPARED
                else "takes no `to` and no `to_model`"
            )
            raise ValueError(f"{quantity} {wanted}")
        if quantity == "crossover" and not (self.attention and self.to and not self.to_model):
            raise ValueError("crossover compares two mechanisms; expected attention and to, without to_model")
        return self

    @property
    def quantity(self) -> str:
        return next(name for name in QUANTITIES if getattr(self, name) is not None)

    @property
    def bound(self) -> str:
        return str(getattr(self, self.quantity))


def _as_text(value: object) -> object:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value


class PaperClaim(Expectation):
    """One line of `claims:`: a claim of a paper, as a bound on one quantity.

    `{paper: "LinRec, SIGIR 2023", text: "memory grows with N", theirs: "O(N)", attention: linrec,
    measure: peak_memory, exponent: "<= 1.05"}`.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    paper: Annotated[str, Field(min_length=1)]
    """Source of the claim: name, venue and year, table or section."""
    text: Annotated[str, Field(min_length=1)]
    """The claim as a sentence."""
    theirs: Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str | float)] = ""
    """The number that the paper states."""
    device: Kind | Literal["any"] = "any"
    """Device that the claim needs; on another one it is reported as not testable."""
