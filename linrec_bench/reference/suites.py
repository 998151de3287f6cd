"""The keys of a suite file, from the JSON Schema that is published beside the pages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from linrec_bench.reference.markdown import code, documentation, joined, prose, table
from linrec_bench.suite.json_schema import Schema, suite_schema

_SECTIONS = (
    "MechanismQuery",
    "Grid",
    "Fixed",
    "Geometric",
    "Limits",
    "Sampling",
    "training",
    "evaluation",
    "Expectation",
    "PaperClaim",
)
"""What has a table of its own, by its name in the schema; the keys of the file come first."""

_TITLES = {
    "MechanismQuery": "A query of mechanisms",
    "Geometric": "A range",
    "Expectation": "A line of expect",
    "PaperClaim": "A line of claims",
}


def keys() -> str:
    """A table of the keys of the file, then one for each mapping inside."""
    schema = suite_schema()
    whole, definitions = _properties(schema), _mapping(schema["$defs"])
    parts = ["### The file\n", _table(whole)]
    for name in _SECTIONS:
        section = _mapping(definitions[name] if name in definitions else whole[name])
        first, rest = documentation(str(section.get("description", "")))
        parts += [f"### {_title(name)}\n", f"{prose(first)}\n", rest, _table(_properties(section))]
    return f"\n{joined(parts)}\n"


def _title(name: str) -> str:
    return _TITLES.get(name, name.lower())


def _table(properties: Schema) -> str:
    entries = {name: _mapping(entry) for name, entry in properties.items()}
    described = any("description" in _flat(entry) for entry in entries.values())
    header = ("key", "values", "default", "meaning") if described else ("key", "values", "default")
    return table(header, (tuple(_cells(name, entry))[: len(header)] for name, entry in entries.items()))


def _cells(name: str, entry: Schema) -> Iterator[str]:
    yield code(name)
    yield _values(name, entry)
    yield code(json.dumps(entry["default"]).strip('"')) if entry.get("default", "") != "" else ""
    yield prose(str(_flat(entry).get("description", "")))


def _flat(entry: Schema) -> Schema:
    """Without the description of a mapping that has a table of its own."""
    return {
        key: value for key, value in entry.items() if not (key == "description" and "properties" in entry)
    }


def _values(name: str, entry: Schema) -> str:
    """What may stand at the key, in words; what has a table of its own as a link to it."""
    if "$ref" in entry:
        return _reference(str(entry["$ref"]).rpartition("/")[2])
    if name in _SECTIONS:
        return _reference(name)
    if "anyOf" in entry:
        choices = [_mapping(choice) for choice in _list(entry["anyOf"])]
        return _choices([choice for choice in choices if choice.get("type") != "null"])
    if "enum" in entry or "const" in entry:
        return ", ".join(code(str(value)) for value in _list(entry.get("enum", [entry.get("const")])))
    if entry.get("type") == "array":
        return f"list of {_values('', _mapping(entry['items']))}"
    return _plain(entry)


def _reference(name: str) -> str:
    if name not in _SECTIONS:
        return "name, or mapping of `name` and parameters" if name == "Named" else "mapping"
    title = _title(name)
    return f"[{title}](#{title.replace(' ', '-').lower()})"


def _choices(choices: list[Schema]) -> str:
    """An axis takes one value, a list of such, or a range; `attention` one of several forms, or a list."""
    words = []
    for number, choice in enumerate(choices):
        before = choices[:number]
        is_list = choice.get("type") == "array" and choice.get("items") in (*before, {"anyOf": before})
        words.append("a list of such" if is_list else _values("", choice))
    return ", or ".join(words)


def _plain(entry: Schema) -> str:
    word = {"string": "text", "null": "none", "boolean": "`true` or `false`", "object": "mapping"}.get(
        str(entry.get("type")), str(entry.get("type"))
    )
    if "exclusiveMinimum" in entry:
        return f"{word} above {entry['exclusiveMinimum']}"
    return f"{word} from {entry['minimum']}" if "minimum" in entry else word


def _properties(schema: Mapping[str, object]) -> Schema:
    return _mapping(schema["properties"])


def _mapping(value: object) -> Schema:
    assert isinstance(value, dict)
    return value


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value
