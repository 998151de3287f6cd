"""What a parameter takes, in words: for settings of mechanisms and models, and for options of verbs."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from pathlib import Path

from linrec_bench.reference.markdown import code, table

_WORDS: Mapping[object, str] = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    Path: "path",
    types.NoneType: "none",
}


def values(annotation: object) -> str:
    """`integer`, `one of x, y`, `number or none`, `list of text`; a type without a word by its own name."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return values(inner[0])
    if origin is typing.Literal:
        return ("one of " if len(inner) > 1 else "") + ", ".join(code(str(value)) for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(values, inner))
    if origin in (list, tuple):
        return f"list of {values(inner[0])}"
    if origin is dict:
        return "mapping"
    return _WORDS.get(annotation) or code(getattr(annotation, "__name__", str(annotation)))


def default(value: object) -> str:
    """A default as a suite or the command line would write it; empty where there is none to name."""
    if value in (None, inspect.Parameter.empty, ""):
        return ""
    return code(str(value).lower() if isinstance(value, bool) else str(value))


def example(parameter: inspect.Parameter) -> str:
    """A value that the parameter takes, other than its default where its choices are known."""
    choices = typing.get_args(parameter.annotation)
    if typing.get_origin(parameter.annotation) is typing.Literal:
        return str(next((choice for choice in choices if choice != parameter.default), parameter.default))
    return "..." if parameter.default in (None, inspect.Parameter.empty) else str(parameter.default)


def parameter_table(parameters: Mapping[str, inspect.Parameter]) -> str:
    """Name, values and default of each parameter; empty without parameters."""
    return table(
        ("parameter", "values", "default"),
        (
            (code(name), values(parameter.annotation), _default_of(parameter))
            for name, parameter in parameters.items()
        ),
    )


def _default_of(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "required"
    return default(parameter.default) or "none"
