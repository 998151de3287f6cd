"""Parameters that functions declare by their signatures, and values that users give for them."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from linrec_bench.registry import did_you_mean

EAGER = "eager"
"""The setting `backend` of a mechanism that stands for its `core` itself: plain torch, any device."""

BEST = "best"
"""What a suite may write for `backend`; each run replaces it by the fastest that its machine offers."""


def parameters_of(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """The parameters of a function or class, in order, with their annotations resolved to types."""
    # Fields of a dataclass have the types of the module that declares them, its constructor has text.
    hinted = function.__init__ if isinstance(function, type) and not is_dataclass(function) else function  # type: ignore[misc]
    hints = typing.get_type_hints(hinted, include_extras=True)
    return {
        name: parameter.replace(annotation=hints.get(name, parameter.empty))
        for name, parameter in inspect.signature(function).parameters.items()
    }


def check_parameters(
    what: str, declared: Mapping[str, inspect.Parameter], values: Mapping[str, object]
) -> None:
    """Raise `ValueError` when a given name is not declared, a value is excluded, or one that is needed lacks.

    `what` begins the message: `attention linrec`. Annotations of `declared` are types, not text. A whole
    number is accepted where a float is declared; True and False are no numbers; nothing is converted.
    """
    for name, value in values.items():
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise ValueError(
                f"{what} has no parameter {name!r}; it has: {known}.{did_you_mean(name, declared)}"
            )
        annotation = declared[name].annotation
        if annotation in (None, inspect.Parameter.empty):
            raise ValueError(
                f"{what}: the parameter {name} has no type annotation to check {value!r} against"
            )
        try:
            _adapter(annotation).validate_python(value, strict=True)
        except ValidationError:
            raise ValueError(f"{what}: {name} is {value!r}; expected {accepted_values(annotation)}") from None
    for name, parameter in declared.items():
        if parameter.default is parameter.empty and name not in values:
            raise ValueError(f"{what} needs the parameter {name!r}; it is missing")


# Any: annotations are whatever Python lets one write.
@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    """Kept: making one takes as long as a small call of a mechanism."""
    return TypeAdapter(annotation)


_WORDS: dict[object, str] = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    types.NoneType: "none",
}


def accepted_values(annotation: object) -> str:
    """The values that an annotation admits, in words: `one of 'mask', 'ignore'`, `number or none`."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ("one of " if len(inner) > 1 else "") + ", ".join(map(repr, inner))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(accepted_values, inner))
    if annotation in _WORDS:
        return _WORDS[annotation]
    return annotation.__name__ if isinstance(annotation, type) and not inner else str(annotation)
