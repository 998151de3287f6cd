"""YAML in which every value is what it looks like, read in bounded time.

Numbers and booleans are those of JSON, and `.inf`, `.nan` and `1.`; what YAML 1.1 would take for another
number or for a boolean (`0100`, `1:30`, `1_000`, `0x1F`, `yes`, `on`) is a fault, as is a tag. Aliases and
merge keys (`<<`) are expanded, up to a number of values that no suite needs.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MOST_BYTES = 2**20
MOST_VALUES = 100_000
DEEPEST = 40

_PLAIN = "tag:yaml.org,2002:"
_AMBIGUOUS = "!ambiguous"
_RESOLVED = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?((0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?[eE][-+]?[0-9]+)"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "merge": r"<<",
}
_OLD = re.compile(
    r"(yes|no|on|off)|[-+]?0[0-9_][0-9_.]*|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|"
    r"[-+]?[0-9][0-9_]*_[0-9_.]*|[-+]?0[xob][0-9a-f_]+",
    re.IGNORECASE,
)
_NUMBER = "write a number as 100 or 1e3, true or false as such, and text in quotes"


class Fault(ValueError):
    """A YAML text that is not read; `mark`: its place, where there is one."""

    def __init__(self, reason: str, mark: yaml.Mark | None = None) -> None:
        super().__init__(reason)
        self.mark = mark


class _Loader(yaml.SafeLoader):
    """Composes nodes; tags of plain scalars follow `_RESOLVED`."""


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern in _RESOLVED.items():
    _Loader.add_implicit_resolver(_PLAIN + _kind, re.compile(rf"^(?:{_pattern})$"), None)
_Loader.add_implicit_resolver(_AMBIGUOUS, re.compile(rf"^(?:{_OLD.pattern})$", re.IGNORECASE), None)


def read(text: str) -> tuple[yaml.Node | None, Any]:
    """The root node (None for an empty text) and its value; raises `Fault`."""
    if len(text) > MOST_BYTES:
        raise Fault(f"it has {len(text):,} characters; expected at most {MOST_BYTES:,}")
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise Fault(f"not valid YAML: {error.problem}", error.problem_mark or error.context_mark) from None
    except yaml.reader.ReaderError as error:
        raise Fault(f"not valid YAML: {error.reason} at position {error.position}") from None
    except RecursionError:
        raise Fault(f"nested deeper than {DEEPEST} levels") from None
    return root, None if root is None else _Values().of(root, 0)


class _Values:
    """Values of nodes, which aliases may share: counts what is made, and refuses a node inside of itself."""

    def __init__(self) -> None:
        self.made = 0

    def of(self, node: yaml.Node, depth: int) -> Any:
        self.made += 1
        if self.made > MOST_VALUES:
            raise Fault(f"more than {MOST_VALUES:,} values, with those of aliases", node.start_mark)
        # Also what an alias inside of itself comes to.
        if depth > DEEPEST:
            raise Fault(f"nested deeper than {DEEPEST} levels", node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        kind = "map" if isinstance(node, yaml.MappingNode) else "seq"
        if node.tag != _PLAIN + kind:
            raise Fault(f"the tag {node.tag!r} is not read; remove it", node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        return [self.of(item, depth + 1) for item in node.value]

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[Any, Any]:
        own, merged = dict[Any, Any](), dict[Any, Any]()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise Fault("a key is a list or a mapping; expected text", key_node.start_mark)
            value = self.of(value_node, depth + 1)
            if key_node.tag == f"{_PLAIN}merge":
                for mapping in reversed(value if isinstance(value, list) else [value]):
                    if not isinstance(mapping, dict):
                        raise Fault(
                            "<< merges mappings; expected one or a list of them", value_node.start_mark
                        )
                    merged |= mapping
                continue
            key = _scalar(key_node)
            if key in own:
                raise Fault(
                    f"{key_node.value!r} stands twice in one mapping; expected it once", key_node.start_mark
                )
            own[key] = value
        return merged | own


def _scalar(node: yaml.ScalarNode) -> Any:
    text, kind = node.value, node.tag.removeprefix(_PLAIN)
    if node.tag == _AMBIGUOUS:
        raise Fault(f"{text} is read in different ways by different tools; {_NUMBER}", node.start_mark)
    if kind == "str" or kind == "merge":
        return text
    if kind not in _RESOLVED or not re.fullmatch(_RESOLVED[kind], text):
        raise Fault(f"the tag {node.tag!r} is not read; remove it", node.start_mark)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int" and len(text) <= 20 and abs(int(text)) < 2**63:
        return int(text)
    number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan")) if kind == "float" else None
    if number is None or (number in (float("inf"), float("-inf")) and "inf" not in text.lower()):
        raise Fault(f"{text[:40]} is too large a number", node.start_mark)
    return number
