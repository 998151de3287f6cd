"""YAML text -> plain values, and the line and column at which each of them stands."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Location = tuple[str | int, ...]
"""Keys and indices from the top of a file down to a value."""


class SuiteError(ValueError):
    """A suite that cannot be run: one line that names the file, the place, what was expected, and a hint."""


class _Loader(yaml.SafeLoader):
    """Safe YAML whose numbers follow YAML 1.2: `1e-3` is a number, not a string."""


_Loader.yaml_implicit_resolvers = copy.deepcopy(yaml.SafeLoader.yaml_implicit_resolvers)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


@dataclass(frozen=True)
class Source:
    """The text of a suite and where each of its values stands."""

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
        for key, value in node.value:
            if key.value == str(step):
                return value  # type: ignore[no-any-return]
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]  # type: ignore[no-any-return]
    return None


def read(text: str, name: str) -> tuple[Source, dict[str, Any]]:
    """The mapping that a YAML text holds, and where its values stand; `SuiteError` when it is none."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise SuiteError(f"{name}: the file is empty; expected a suite (try `linrec-bench init`)")
        for key in _repeated_keys(root):
            mark = key.start_mark
            raise SuiteError(
                f"{name}:{mark.line + 1}:{mark.column + 1}: {key.value!r} stands twice in one mapping; "
                "expected it once"
            )
        raw = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        found = error.problem_mark or error.context_mark
        place = f"{name}:{found.line + 1}:{found.column + 1}" if found else name
        raise SuiteError(f"{place}: not valid YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        raise SuiteError(f"{name}: not valid YAML: {error.reason} at position {error.position}") from error
    finally:
        loader.dispose()
    if not isinstance(raw, dict):
        raise SuiteError(f"{name}:1:1: a suite is a mapping of keys to values, got {type(raw).__name__}")
    return Source(name, root), raw


def _repeated_keys(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key
            seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)


def assignment(text: str, *, flag: str) -> tuple[str, Any]:
    """`key=value` with a YAML value, as flags give it; `SuiteError` when it is not of that form."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SuiteError(f"{flag} {text}: expected key=value, such as {flag} epochs=3")
    try:
        return key.strip(), yaml.load(value, _Loader)
    except yaml.YAMLError as error:
        raise SuiteError(f"{flag} {text}: the value is not valid YAML") from error
