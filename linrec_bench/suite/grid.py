"""The axes of a case, varied (`grid`) or held (`fixed`) in a sweep, and lengths of real histories."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from linrec_bench.case import Params, freeze
from linrec_bench.suite.base_models import NotNegative, Positive, Strict, Truth, as_sequence, distinct

AXES = ("lengths", "seq_len", "batch_size", "hidden_size", "heads", "layers", "dtype", "causal", "seed")
"""What a grid may sweep and `fixed` may hold; the fields of a case that are not names."""


FULL: Literal["full"] = "full"


class Drawn(BaseModel):
    """`{dataset: ml-1m}`: lengths of real histories; further keys are parameters of the data set."""

    model_config = ConfigDict(extra="allow", frozen=True)

    dataset: str

    @property
    def params(self) -> Params:
        return freeze(dict(self.model_extra or {}))


Lengths = Literal["full", "ramp"] | Drawn
"""`ramp` is `case.RAMP`."""

LengthsAxis = Annotated[
    tuple[Lengths, ...],
    BeforeValidator(as_sequence, json_schema_input_type=Lengths | list[Lengths]),
    Field(min_length=1),
]


class Geometric(Strict):
    """`{from: 128, to: 16384, factor: 2}`: from, from * factor, ... up to and including `to`."""

    start: Positive = Field(alias="from")
    to: Positive
    factor: Annotated[int, Field(ge=2)] = 2

    @model_validator(mode="after")
    def _ordered(self) -> Geometric:
        if self.to < self.start:
            raise ValueError(f"from {self.start} is above to {self.to}; expected from <= to")
        return self

    def values(self) -> tuple[int, ...]:
        values = [self.start]
        while values[-1] * self.factor <= self.to:
            values.append(values[-1] * self.factor)
        return tuple(values)


def _as_values(value: Any) -> Any:
    if isinstance(value, dict):
        return Geometric.model_validate(value).values()
    return as_sequence(value)


Dtype = Literal["float32", "float64", "bfloat16", "float16"]

# Values of an axis: one, a list, or a geometric series.
_NOT_EMPTY = Field(min_length=1)
Sizes = Annotated[
    tuple[Positive, ...],
    BeforeValidator(_as_values, json_schema_input_type=Positive | list[Positive] | Geometric),
    _NOT_EMPTY,
]
Seeds = Annotated[
    tuple[NotNegative, ...],
    BeforeValidator(_as_values, json_schema_input_type=NotNegative | list[NotNegative] | Geometric),
    _NOT_EMPTY,
]
Dtypes = Annotated[
    tuple[Dtype, ...], BeforeValidator(_as_values, json_schema_input_type=Dtype | list[Dtype]), _NOT_EMPTY
]
Directions = Annotated[
    tuple[Truth, ...], BeforeValidator(_as_values, json_schema_input_type=bool | list[bool]), _NOT_EMPTY
]


class Grid(Strict):
    """Axes to sweep. Every combination is a case; the first axis varies slowest."""

    lengths: LengthsAxis = ()
    seq_len: Sizes = ()
    batch_size: Sizes = ()
    hidden_size: Sizes = ()
    heads: Sizes = ()
    layers: Sizes = ()
    dtype: Dtypes = ()
    causal: Directions = ()
    seed: Seeds = ()

    @field_validator("*")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return distinct(values)

    def axes(self) -> dict[str, tuple[Any, ...]]:
        return {name: getattr(self, name) for name in AXES if name in self.model_fields_set}


class Fixed(Strict):
    """Axes with one value for all cases of the sweep, and the defaults."""

    lengths: Lengths = FULL
    seq_len: Positive | None = None
    batch_size: Positive = 1
    hidden_size: Positive = 64
    heads: Positive = 2
    layers: Positive = 1
    dtype: Dtype = "float32"
    causal: Truth = False
    seed: NotNegative = 0
