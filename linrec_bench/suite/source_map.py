"""YAML text -> plain values, with the line and column of each, for the messages about a resolved suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from linrec_bench.suite import strict_yaml

Location = tuple[str | int, ...]
"""Keys and indices from the top of a file down to a value."""


class SuiteError(ValueError):
    """A suite that cannot be run: one line that names the file, the place, what was expected, and a hint."""


@dataclass(frozen=True)
class SourceText:
    """The parsed text of a suite file, with the place of each of its values."""

    name: str
    root: yaml.Node

    def place(self, location: Location) -> str | None:
        """`file:line:column` of the value at `location`; None when the file holds no such value."""
        node: yaml.Node | None = self.root
        for step in location:
            node = _child(node, step)
            if node is None:
                return None
        assert node is not None
        return f"{self.name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        pairs: list[tuple[yaml.ScalarNode, yaml.Node]] = node.value
        for key, value in pairs:
            if key.value == str(step):
                return value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        items: list[yaml.Node] = node.value
        return items[step]
    return None


def read_yaml(text: str, name: str) -> tuple[SourceText, dict[str, Any]]:
    """The mapping that a YAML text holds, and the places of its values; `SuiteError` when it is none."""
    try:
        root, raw = strict_yaml.read(text)
    except strict_yaml.Fault as fault:
        mark = fault.mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise SuiteError(f"{place}: {fault}") from None
    if root is None:
        raise SuiteError(f"{name}: the file is empty; expected a suite (try `linrec-bench init`)")
    if not isinstance(raw, dict):
        raise SuiteError(f"{name}:1:1: a suite is a mapping of keys to values, got {type(raw).__name__}")
    return SourceText(name, root), raw


def assignment(text: str, *, flag: str) -> tuple[str, Any]:
    """`key=value` with a YAML value, as flags give it; `SuiteError` when it is not of that form."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SuiteError(f"{flag} {text}: expected key=value, such as {flag} epochs=3")
    try:
        return key.strip(), strict_yaml.read(value)[1]
    except strict_yaml.Fault as fault:
        raise SuiteError(f"{flag} {text}: {fault}") from None


@dataclass(frozen=True)
class SourceMap:
    """Where each value of a resolved suite was written, for the messages that name it.

    `layers` are the mappings that were merged, the one that wins first; `sweeps_in` is the one whose list of
    sweeps counts, None where the defaults at the top are the only sweep. `flags` maps the keys that `--set`
    gave to its text. `moved` maps locations of the resolved suite to where the file has what they came from.
    """

    source: SourceText
    layers: tuple[Location, ...]
    flags: Mapping[Location, str]
    sweeps_in: Location | None
    moved: Mapping[Location, Location] = field(default_factory=dict)

    def message(self, location: Location, text: str) -> str:
        """`file:line:column: path.of.the.value: text`, or the flag in place of the file."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.moved:
                location = (*self.moved[location[:end]], *location[end:])
                break
        key = location[2:] if location[:1] == ("sweeps",) else location
        for keys, flag in self.flags.items():
            shared = min(len(key), len(keys))
            if shared and key[:shared] == keys[:shared]:
                return ": ".join([f"--set {flag}", *([_dotted(key)] if key[shared:] else []), text])
        place, path = self._place(location)
        return f"{place}: {_dotted(path)}: {text}" if path else f"{place}: {text}"

    def describe(self, error: ValidationError, *, at: Location = ()) -> str:
        """One line for the first mistake in the value at `at`, with the number of further ones.

        A value that several sweeps share, such as one of `--set`, is one mistake.
        """
        first, *others = error.errors()
        location: Location = tuple(first["loc"])
        # An enclosing value that fails only because of the first error is no error of its own.
        others = [other for other in others if tuple(other["loc"]) != location[: len(other["loc"])]]
        told, *more = dict.fromkeys(self._described(each, at) for each in (first, *others))
        return f"{told} (and {len(more)} more)" if more else told

    def _described(self, mistake: ErrorDetails, at: Location) -> str:
        location: Location = tuple(mistake["loc"])
        name = mistake.get("ctx", {}).get("name")
        if name is not None:
            location = (*location, name)
        text = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] not in ("unknown_key", "value_error", "missing"):
            text = f"{text}, got {mistake.get('input')!r}"
        return self.message((*at, *location), text)

    def _place(self, location: Location) -> tuple[str, Location]:
        """`file:line:column` of a value of the resolved suite, and its path in the file.

        A resolved value comes from the sweep itself, from a scale or a device, or from the defaults at the
        top; when no part of the file wrote it (something is missing), the nearest enclosing value stands for
        it.
        """
        candidates = [(*layer, *location) for layer in self.layers]
        if location[:1] == ("sweeps",):
            inner = location[2:]
            candidates = [] if self.sweeps_in is None else [(*self.sweeps_in, *location)]
            candidates += [(*layer, *inner) for layer in self.layers]
            location = inner if self.sweeps_in is None else location
        shortest = min(len(candidate) for candidate in candidates)
        for cut in range(shortest + 1):
            for candidate in candidates:
                place = self.source.place(candidate[: len(candidate) - cut])
                if place is not None and len(candidate) > cut:
                    return place, location
        return f"{self.source.name}:1:1", location


def _dotted(path: Location) -> str:
    return ".".join(map(str, path))
