"""The axes of a case, varied (`grid`) or held (`fixed`) in a sweep, and lengths of real histories."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    field_validator,
    model_validator,
)

from linrec_bench.case import Params, freeze
from linrec_bench.suite.base_models import Strict, as_sequence, distinct

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


Lengths = Literal["full"] | Drawn

LengthsAxis = Annotated[
    tuple[Lengths, ...],
    BeforeValidator(as_sequence, json_schema_input_type=Lengths | list[Lengths]),
    Field(min_length=1),
]


class Geometric(Strict):
    """`{from: 128, to: 16384, factor: 2}`: from, from * factor, ... up to and including `to`."""

    start: PositiveInt = Field(alias="from")
    to: PositiveInt
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


def _axis(kind: Any, *others: Any) -> Any:
    """Values of an axis: one, a list, or one of the `others`."""
    written: Any = kind | list[kind]
    for other in others:
        written |= other
    return Annotated[
        tuple[kind, ...],
        BeforeValidator(_as_values, json_schema_input_type=written),
        Field(min_length=1),
    ]


Dtype = Literal["float32", "float64", "bfloat16", "float16"]


class Grid(Strict):
    """Axes to sweep. Every combination is a case; the first axis varies slowest."""

    lengths: LengthsAxis = ()
    seq_len: _axis(PositiveInt, Geometric) = ()  # type: ignore[valid-type]
    batch_size: _axis(PositiveInt, Geometric) = ()  # type: ignore[valid-type]
    hidden_size: _axis(PositiveInt, Geometric) = ()  # type: ignore[valid-type]
    heads: _axis(PositiveInt, Geometric) = ()  # type: ignore[valid-type]
    layers: _axis(PositiveInt, Geometric) = ()  # type: ignore[valid-type]
    dtype: _axis(Dtype) = ()  # type: ignore[valid-type]
    causal: _axis(bool) = ()  # type: ignore[valid-type]
    seed: _axis(NonNegativeInt, Geometric) = ()  # type: ignore[valid-type]

    @field_validator("*")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return distinct(values)

    def axes(self) -> dict[str, tuple[Any, ...]]:
        return {name: getattr(self, name) for name in AXES if name in self.model_fields_set}


class Fixed(Strict):
    """Axes with one value for all cases of the sweep, and the defaults."""

    lengths: Lengths = FULL
    seq_len: PositiveInt | None = None
    batch_size: PositiveInt = 1
    hidden_size: PositiveInt = 64
    heads: PositiveInt = 2
    layers: PositiveInt = 1
    dtype: Dtype = "float32"
    causal: bool = False
    seed: NonNegativeInt = 0
