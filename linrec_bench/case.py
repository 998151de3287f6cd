"""One frozen case: what a single process is asked to do. Its id is a hash of all its fields."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

from linrec_bench import declarations
from linrec_bench.settings import EvaluationSettings, Settings, TrainingSettings

Scalar = str | int | float | bool | None
Value = Scalar | tuple["Value", ...]
Params = tuple[tuple[str, Value], ...]
"""Named parameters as a sorted tuple of pairs: hashable, and equal when the content is equal."""


def freeze(mapping: dict[str, object]) -> Params:
    """Sorted, hashable form of a parameter mapping (lists become tuples)."""
    return tuple((key, _freeze_value(mapping[key])) for key in sorted(mapping))


def _freeze_value(value: object) -> Value:
    if isinstance(value, list | tuple):
        return tuple(_freeze_value(item) for item in value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ValueError(f"a parameter must be a scalar or a list of scalars, got {value!r}")


RAMP = "ramp"
"""In place of a data set in `Case.lengths`: rows from `seq_len` down to half of it, in even steps."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What one process does: a value, JSON in and out.

    The defaults are those of the smallest task; `expand` always sets every field explicitly. `lengths` names
    the data set whose histories say how long the rows of a batch are, or is `RAMP`; without it all have
    `seq_len` events.
    `training` and `evaluation` are None in a task that reads none, and defaults in one that does.
    """

    task: str
    phase: str
    attention: str
    seq_len: int
    batch_size: int = 1
    hidden_size: int = 64
    heads: int = 2
    layers: int = 1
    dtype: str = "float32"
    device: str = "cpu"
    causal: bool = False
    seed: int = 0
    attention_params: Params = ()
    model: str | None = None
    model_params: Params = ()
    dataset: str | None = None
    dataset_params: Params = ()
    training: TrainingSettings | None = None
    evaluation: EvaluationSettings | None = None
    watermark: Params = ()
    lengths: str | None = None
    lengths_params: Params = ()

    def __post_init__(self) -> None:
        task = declarations.tasks()[self.task]
        if self.phase not in task.phases:
            expected = ", ".join(task.phases)
            raise ValueError(f"task {self.task} has no phase {self.phase!r}; expected one of {expected}")
        if self.hidden_size % self.heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}; "
                "every head needs the same width"
            )
        for name, kind, read in (
            ("training", TrainingSettings, task.reads_training),
            ("evaluation", EvaluationSettings, task.reads_evaluation),
        ):
            if read and getattr(self, name) is None:
                object.__setattr__(self, name, kind())
            elif not read and getattr(self, name) is not None:
                raise ValueError(f"task {self.task} reads no settings of {name}; expected None")

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of all fields in canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.heads

    @property
    def attention_label(self) -> str:
        """Name of the mechanism with the parameters that were set: `linrec(padding=ignore)`."""
        return label(self.attention, self.attention_params)

    @property
    def model_label(self) -> str:
        return label(self.model or "", self.model_params)

    @property
    def dataset_label(self) -> str:
        """Name and parameters; a watermark that is planted in it follows as `+watermark(distance=8,...)`.

        Where nothing but the lengths of a batch comes from a data set, `lengths of ml-1m`.
        """
        if self.lengths is not None:
            return f"lengths of {label(self.lengths, self.lengths_params)}"
        plain = label(self.dataset or "", self.dataset_params)
        return f"{plain}+{label('watermark', self.watermark)}" if self.watermark else plain

    def to_json(self) -> str:
        """Every field, in canonical form."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(values, sort_keys=True, separators=(",", ":"), default=_settings_values)

    @classmethod
    def from_json(cls, text: str) -> Case:
        raw = json.loads(text)
        for field in fields(cls):
            if isinstance(raw.get(field.name), list):
                raw[field.name] = tuple((key, _freeze_value(value)) for key, value in raw[field.name])
        for name, kind in (("training", TrainingSettings), ("evaluation", EvaluationSettings)):
            if raw.get(name) is not None:
                raw[name] = kind.from_stored(raw[name])
        return cls(**raw)


def _settings_values(value: object) -> dict[str, object]:
    assert isinstance(value, Settings), value
    return value.model_dump(mode="json")


def label(name: str, params: Params) -> str:
    """What people read: `name` alone, or `name(key=value,...)` when parameters were set."""
    return as_typed(name, params)


def as_typed(name: str, params: Params) -> str:
    """What a person types for it, which `read_name` reads."""
    if not params:
        return name
    return f"{name}({','.join(f'{key}={text}' for key, text in parameter_texts(dict(params)).items())})"


def read_name(text: str) -> tuple[str, dict[str, str]]:
    """What a person typed, `linrec(padding=ignore)`, as a name and the texts of its parameters.

    Raises `ValueError` where it is neither a name nor `name(key=value,...)`.
    """
    name, opened, rest = text.partition("(")
    parts = [part.partition("=") for part in rest.removesuffix(")").split(",") if part]
    if not name or (opened and not rest.endswith(")")) or any(not (key and sign) for key, sign, _ in parts):
        raise ValueError(f"{text!r}: expected a name, or name(parameter=value,...)")
    return name, {key.strip(): value.strip() for key, _, value in parts}


def parameter_texts(params: Mapping[str, object]) -> dict[str, str]:
    """Parameters as a person would type their values."""
    return {key: _plain(_freeze_value(value)) for key, value in params.items()}


def _plain(value: Value) -> str:
    return "|".join(_plain(item) for item in value) if isinstance(value, tuple) else str(value)
