"""What every part of a suite file is made of: mappings without unknown keys, and names with parameters."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from linrec_bench.case import Params, freeze
from linrec_bench.registry import did_you_mean

Values = TypeVar("Values", bound=tuple[object, ...])

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""What a suite or a scale may be called, as a regular expression; a suite that is given no name has that of
its file, without the suffix."""

Positive = Annotated[int, Field(strict=True, gt=0)]
NotNegative = Annotated[int, Field(strict=True, ge=0)]
Truth = Annotated[bool, Field(strict=True)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=10**6)]
"""Numbers and booleans as written: `true` is no 1, and `"3"` is no 3. No clock waits longer than 10^6 s."""


class Strict(BaseModel):
    """A frozen model whose unknown keys are errors that name the nearest known key."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    alternative_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that make a mapping something else, for the hints alone."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            known = [
                *cls.alternative_keys,
                *(field.alias or name for name, field in cls.model_fields.items()),
            ]
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

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        mapping = dict(schema)
        schema.clear()
        schema |= {"anyOf": [{"type": "string"}, mapping], "description": mapping.pop("description")}
        return schema

    @property
    def params(self) -> Params:
        return freeze(dict(self.model_extra or {}))


def as_sequence(value: object) -> object:
    """A list as it is, anything else as the only element of one."""
    return value if isinstance(value, list | tuple) else (value,)


def distinct(values: Values) -> Values:
    """The values; `ValueError` when one of them repeats."""
    if len(set(values)) != len(values):
        raise ValueError(f"the values {list(values)} repeat; expected each once")
    return values
