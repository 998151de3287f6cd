"""The command line, from the functions of its Typer app: a section for each verb."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import typer
from typer.models import ArgumentInfo, OptionInfo

from linrec_bench.cli import VERBS, app
from linrec_bench.parameters import parameters_of
from linrec_bench.reference.markdown import code, joined, prose, table
from linrec_bench.reference.signature import default, values

PROGRAM = "linrec-bench"


@dataclass(frozen=True)
class Verb:
    """A command as it is typed, `data fetch`, and the function behind it."""

    name: str
    function: Callable[..., object]


def verbs() -> list[Verb]:
    """Every verb, those of groups under their full name, in the order of `--help`."""
    known = list(VERBS)
    return sorted(_verbs(app, ""), key=lambda verb: known.index(verb.name.split()[0]))


def sections() -> str:
    """A table of all verbs, then a section each."""
    found = verbs()
    overview = table(
        ("verb", "what it does"),
        ((f"[{v.name}](#{v.name.replace(' ', '-')})", prose(_text(v)[0])) for v in found),
    )
    return f"\n{joined([overview, *map(_section, found)])}\n"


def options(verb: Verb) -> dict[str, inspect.Parameter]:
    """As typed -> the parameter behind it: `--only`, `--fresh/--resume`, `SUITE`."""
    return {_typed(p): p for p in parameters_of(verb.function).values()}


def _verbs(group: typer.Typer, prefix: str) -> Iterator[Verb]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield Verb(prefix + (command.name or command.callback.__name__), command.callback)
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from _verbs(inner.typer_instance, f"{prefix}{inner.name} ")


def _section(verb: Verb) -> str:
    first, more, examples = _text(verb)
    given = options(verb)
    arguments = {name: p for name, p in given.items() if isinstance(_info(p), ArgumentInfo)}
    flags = {name: p for name, p in given.items() if name not in arguments}
    usage = " ".join([PROGRAM, verb.name, *map(_usage, arguments.items()), *(["[OPTIONS]"] if flags else [])])
    parts = [
        f"## {verb.name}\n",
        f"```text\n{usage}\n```\n",
        f"{prose(first)}\n",
        *(f"{prose(paragraph)}\n" for paragraph in more),
        *(f"```sh\n{example}\n```\n" for example in examples),
        table(("argument", "values", "meaning"), (_cells(name, p) for name, p in arguments.items())),
        table(
            ("option", "values", "default", "meaning"), (_cells(n, p, flag=True) for n, p in flags.items())
        ),
    ]
    return joined(parts)


def _text(verb: Verb) -> tuple[str, list[str], list[str]]:
    """What the verb does in a sentence, further paragraphs, examples."""
    paragraphs = [" ".join(p.split()) for p in inspect.cleandoc(verb.function.__doc__ or "").split("\n\n")]
    examples = [p.removeprefix("Example: ") for p in paragraphs if p.startswith("Example: ")]
    first, *more = [p for p in paragraphs if not p.startswith("Example: ")]
    return first, more, examples


def _cells(name: str, parameter: inspect.Parameter, *, flag: bool = False) -> tuple[str, ...]:
    info, kind = _info(parameter), _kind(parameter)
    many = typing.get_origin(kind) is list
    taken = "" if kind is bool else values(typing.get_args(kind)[0] if many else kind)
    if many:
        taken += "; may be given again" if flag else "; any number"
    shown = "" if parameter.default is False else default(parameter.default)
    cells = (code(name), taken, shown, prose(info.help or ""))
    return cells if flag else (cells[0], cells[1], cells[3])


def _usage(argument: tuple[str, inspect.Parameter]) -> str:
    name, parameter = argument
    shown = f"{name}..." if typing.get_origin(_kind(parameter)) is list else name
    return shown if parameter.default is inspect.Parameter.empty else f"[{shown}]"


def _typed(parameter: inspect.Parameter) -> str:
    info, name = _info(parameter), parameter.name.strip("_").replace("_", "-")
    if isinstance(info, ArgumentInfo):
        return info.metavar or name.upper()
    # Inside Annotated a default has no place: typer takes what stands there as the first name.
    names = [text for text in (info.default, *(info.param_decls or ())) if isinstance(text, str)]
    if names:
        return names[0]
    return f"--{name}/--no-{name}" if _kind(parameter) is bool else f"--{name}"


def _info(parameter: inspect.Parameter) -> ArgumentInfo | OptionInfo:
    found = [
        each
        for each in typing.get_args(parameter.annotation)[1:]
        if isinstance(each, ArgumentInfo | OptionInfo)
    ]
    assert found, f"{parameter.name} is neither an argument nor an option"
    return found[0]


def _kind(parameter: inspect.Parameter) -> object:
    """The type of the value, without the None of what may be left out."""
    kind = typing.get_args(parameter.annotation)[0]
    inner = [each for each in typing.get_args(kind) if each is not type(None)]
    is_union = type(None) in typing.get_args(kind)
    return inner[0] if is_union and len(inner) == 1 else kind
