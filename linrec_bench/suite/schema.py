"""The words of a suite file, strict: an unknown key is an error, every default is visible here."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from linrec_bench.case import PHASES_OF_TASK, Params, Scalar, freeze, label
from linrec_bench.measures import MEASURES
from linrec_bench.registry import did_you_mean

AXES = ("seq_len", "batch_size", "hidden_size", "heads", "layers", "dtype", "causal", "seed")
"""What a grid may sweep and `fixed` may hold; the fields of a case that are not names."""

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


class Strict(BaseModel):
    """A frozen model whose unknown keys are errors that name the nearest known key."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in data:
                if key not in known:
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key {key}; expected one of: {known}.{hint}",
                        {
                            "key": repr(key),
                            "name": key,
                            "known": ", ".join(known),
                            "hint": did_you_mean(str(key), known),
                        },
                    )
        return data


class Named(BaseModel):
    """A name with parameters of its own: `linrec`, or `{name: linrec, padding: ignore}`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @property
    def params(self) -> Params:
        return freeze(dict(self.model_extra or {}))


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
    return value if isinstance(value, list | tuple) else (value,)


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError(f"the values {list(values)} repeat; expected each once")
    return values


def _axis(kind: Any) -> Any:
    """Values of an axis: one, a list, or (for whole numbers) a geometric range."""
    return Annotated[tuple[kind, ...], BeforeValidator(_as_values), Field(min_length=1)]


Dtype = Literal["float32", "float64", "bfloat16", "float16"]


class Grid(Strict):
    """Axes that are swept: their product, in the order of `AXES`, first slowest."""

    seq_len: _axis(PositiveInt) = ()  # type: ignore[valid-type]
    batch_size: _axis(PositiveInt) = ()  # type: ignore[valid-type]
    hidden_size: _axis(PositiveInt) = ()  # type: ignore[valid-type]
    heads: _axis(PositiveInt) = ()  # type: ignore[valid-type]
    layers: _axis(PositiveInt) = ()  # type: ignore[valid-type]
    dtype: _axis(Dtype) = ()  # type: ignore[valid-type]
    causal: _axis(bool) = ()  # type: ignore[valid-type]
    seed: _axis(NonNegativeInt) = ()  # type: ignore[valid-type]

    @field_validator("*")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return _distinct(values)

    def axes(self) -> dict[str, tuple[Any, ...]]:
        return {name: getattr(self, name) for name in AXES if name in self.model_fields_set}


class Fixed(Strict):
    """Axes that hold one value for every case of the sweep, and those values by default."""

    seq_len: PositiveInt | None = None
    batch_size: PositiveInt = 1
    hidden_size: PositiveInt = 64
    heads: PositiveInt = 2
    layers: PositiveInt = 1
    dtype: Dtype = "float32"
    causal: bool = False
    seed: NonNegativeInt = 0


def _memory(value: Any) -> Any:
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%|[KMG]i?B|B)\s*", str(value))
    if match is None:
        raise ValueError(f"{value!r} is no amount of memory; expected such as 80%, 8GiB or 512MiB")
    number, unit = float(match[1]), match[2]
    if unit == "%":
        if not 0 < number <= 100:
            raise ValueError(f"{value!r}: expected a share above 0% and up to 100%")
        return f"{number:g}%"
    return int(number * _UNITS[unit])


class Limits(Strict):
    """What a trial may use. `memory` is an amount, or a share of what is free when the run starts."""

    case_seconds: PositiveFloat = 60.0
    memory: Annotated[int | str, BeforeValidator(_memory)] = "80%"


class Sampling(Strict):
    """How long a trial is sampled: until `seconds` are spent, within `min` and `max` samples.

    `cache` says whether the device's last-level cache is flushed before each sample (CUDA only).
    """

    seconds: PositiveFloat = 0.5
    min: PositiveInt = 3
    max: PositiveInt = 200
    cache: Literal["cold", "warm"] = "cold"

    @model_validator(mode="after")
    def _ordered(self) -> Sampling:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; expected min <= max")
        return self


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


BoundText = Annotated[str, BeforeValidator(_bound)]


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


class Sweep(Strict):
    """One task over one grid. In a suite file these keys stand at the top, or in a list `sweeps`."""

    task: Literal["core", "layer", "train_step", "recommend"]
    attention: Annotated[tuple[Named, ...], Field(min_length=1)]
    grid: Grid = Grid()
    fixed: Fixed = Fixed()
    phases: tuple[str, ...] = ()
    measures: tuple[str, ...] = ("time", "peak_memory", "flops")
    rounds: PositiveInt = 3
    limits: Limits = Limits()
    sampling: Sampling = Sampling()
    model: Named | None = None
    dataset: Named | None = None
    training: dict[str, Scalar] = {}
    evaluation: dict[str, Scalar | list[Scalar]] = {}

    @field_validator("attention")
    @classmethod
    def _attention_once(cls, value: tuple[Named, ...]) -> tuple[Named, ...]:
        _distinct(tuple((entry.name, entry.params) for entry in value))
        return value

    @field_validator("phases")
    @classmethod
    def _phases_of_task(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = PHASES_OF_TASK.get(info.data.get("task", ""), value)
        for phase in value:
            if phase not in known:
                raise ValueError(
                    f"unknown phase {phase!r} of task {info.data['task']}; expected one of: "
                    f"{', '.join(known)}.{did_you_mean(phase, known)}"
                )
        return _distinct(value)

    @field_validator("measures")
    @classmethod
    def _known_measures(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for measure in value:
            if measure not in MEASURES:
                raise ValueError(
                    f"unknown measure {measure!r}; expected one of: {', '.join(MEASURES)}."
                    f"{did_you_mean(measure, MEASURES)}"
                )
        return _distinct(value)

    @model_validator(mode="after")
    def _consistent(self) -> Sweep:
        swept = self.grid.axes()
        both = [axis for axis in swept if axis in self.fixed.model_fields_set]
        if both:
            raise ValueError(f"{both[0]} stands in both grid and fixed; expected it in one of them")
        if "seq_len" not in swept and self.fixed.seq_len is None:
            raise ValueError("no seq_len; expected it in grid or fixed, such as fixed: {seq_len: 200}")
        whole_model = self.task in ("train_step", "recommend")
        if whole_model and self.model is None:
            raise ValueError(f"task {self.task} needs a model, such as model: sasrec")
        if self.task == "recommend" and self.dataset is None:
            raise ValueError("task recommend needs a dataset, such as dataset: synthetic")
        return self

    def all_phases(self) -> tuple[str, ...]:
        """The phases asked for; every phase of the task when none is named."""
        return self.phases or PHASES_OF_TASK[self.task]


SWEEP_KEYS = tuple(Sweep.model_fields)


class Suite(Strict):
    """A validated suite: what to run, with every default filled in."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    title: str = ""
    reference: str = ""
    sweeps: Annotated[tuple[Sweep, ...], Field(min_length=1)]
    expect: tuple[Expectation, ...] = ()

    @model_validator(mode="after")
    def _names_are_measured(self) -> Suite:
        entries = [entry for sweep in self.sweeps for entry in sweep.attention]
        names = sorted({entry.name for entry in entries} | {label(e.name, e.params) for e in entries})
        asked = [("reference", self.reference)]
        for number, line in enumerate(self.expect):
            asked += [(f"expect.{number}.attention", line.attention), (f"expect.{number}.to", line.to)]
        for where, name in asked:
            if name and name not in names:
                raise ValueError(
                    f"{where}: {name!r} is not among the mechanisms of the suite: {', '.join(names)}."
                    f"{did_you_mean(name, names)}"
                )
        return self

    def reference_attention(self) -> str:
        """The mechanism that ratios refer to: the one named, else softmax, else the first listed."""
        names = [entry.name for sweep in self.sweeps for entry in sweep.attention]
        return self.reference or ("softmax" if "softmax" in names else names[0])
