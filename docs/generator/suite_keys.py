"""The keys of a suite file, from the JSON Schema that is published with the pages."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping

from docs.generator.markdown import code, documentation, joined, prose, table
from linrec_bench.suite.json_schema import suite_schema

# Any: JSON.
Schema = Mapping[str, typing.Any]

_TITLES = {
    "MechanismQuery": "A query of mechanisms",
    "Grid": "grid",
    "Fixed": "fixed",
    "Geometric": "A range",
    "Limits": "limits",
    "Sampling": "sampling",
    "training": "training",
    "evaluation": "evaluation",
    "Expectation": "A line of expect",
    "PaperClaim": "A line of claims",
}
"""Mappings with a table each: name in the schema -> heading. The keys of the file come first."""

_WORDS = {"string": "text", "null": "none", "boolean": "`true` or `false`", "object": "mapping"}


def sections() -> str:
    """A table of the keys of the file, then one for each mapping inside."""
    schema = suite_schema()
    properties: Schema = typing.cast("Schema", schema["properties"])
    definitions: Schema = {**properties, **typing.cast("Schema", schema["$defs"])}
    parts = ["### The file", _table(properties)]
    for name, title in _TITLES.items():
        first, rest = documentation(definitions[name].get("description", ""))
        parts += [f"### {title}", prose(first), rest, _table(definitions[name]["properties"])]
    return joined(parts)


def _table(properties: Schema) -> str:
    described = any(_meaning(entry) for entry in properties.values())
    header = ("key", "values", "default", "meaning")[: 4 if described else 3]
    rows = (
        (code(name), _values(name, entry), _default(entry), _meaning(entry))
        for name, entry in properties.items()
    )
    return table(header, (row[: len(header)] for row in rows))


def _meaning(entry: Schema) -> str:
    """Empty for a mapping that has a table, where its description stands."""
    return "" if "properties" in entry else prose(entry.get("description", ""))


def _default(entry: Schema) -> str:
    return code(json.dumps(entry["default"]).strip('"')) if entry.get("default", "") != "" else ""


def _values(name: str, entry: Schema) -> str:
    """The values that a key takes, in words; a mapping with a table as a link to it."""
    name = entry.get("$ref", name).rpartition("/")[2]
    if name in _TITLES:
        return f"[{_TITLES[name]}](#{_TITLES[name].replace(' ', '-').lower()})"
    if "$ref" in entry:
        return "name, or mapping of `name` and parameters" if name == "Named" else "mapping"
    if "anyOf" in entry:
        choices = [choice for choice in entry["anyOf"] if choice.get("type") != "null"]
        return ", or ".join(_choice(choice, choices[:at]) for at, choice in enumerate(choices))
    if "enum" in entry or "const" in entry:
        return ", ".join(code(str(value)) for value in entry.get("enum", [entry.get("const")]))
    if entry.get("type") == "array":
        return f"list of {_values('', entry['items'])}"
    word = _WORDS.get(entry["type"], entry["type"])
    if "exclusiveMinimum" in entry:
        return f"{word} above {entry['exclusiveMinimum']}"
    return f"{word} from {entry['minimum']}" if "minimum" in entry else word


def _choice(choice: Schema, before: list[Schema]) -> str:
    """An axis takes one value, a list of such, or a range; `attention` one of several forms, or a list."""
    several = choice.get("type") == "array" and choice.get("items") in [*before, {"anyOf": before}]
    return "a list of such" if several else _values("", choice)
