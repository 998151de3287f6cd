"""The JSON Schema of suite files, with which editors complete and check them.

It covers keys and types. `load` checks what needs a registry (names of mechanisms, their parameters) or the
whole file (a key at the top level or in every sweep).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from linrec_bench.measures.device.names import KINDS
from linrec_bench.suite.schema import SWEEP_KEYS, Suite

Schema = dict[str, object]

TITLE = "Suite of linrec-bench"


def suite_schema() -> Schema:
    """The schema (JSON Schema 2020-12) of a suite file.

    The keys of a sweep may stand at the top, in `sweeps`, `per_device` and `scales`, which are laid over each
    other; therefore none of them is required where it could stand elsewhere.
    """
    whole = _plain(Suite.model_json_schema())
    definitions = _mapping(whole["$defs"])
    for name in SWEEP_KEYS:
        assert name in _mapping(_mapping(definitions["Sweep"])["properties"]), name
    sweep_keys = _mapping(_mapping(definitions.pop("Sweep"))["properties"])
    for section, settings in (("training", "TrainingSettings"), ("evaluation", "EvaluationSettings")):
        sweep_keys[section] = definitions.pop(settings)
    # A device or a scale may change one end of a range.
    _mapping(definitions["Geometric"]).pop("required")
    keys_of_suite = _mapping(whole["properties"])
    sweeps = _mapping(keys_of_suite.pop("sweeps")) | {"items": {"$ref": "#/$defs/Sweep"}}
    anywhere = keys_of_suite | sweep_keys
    definitions["Sweep"] = _closed(
        sweep_keys, "One task over one grid; missing keys are taken from the top level."
    )
    definitions["Changes"] = _closed(anywhere | {"sweeps": sweeps}, "Keys that one device or scale changes.")
    devices: Schema = {device: {"$ref": "#/$defs/Changes"} for device in KINDS}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        **_closed(
            anywhere
            | {
                "sweeps": sweeps,
                "per_device": _closed(devices, "Keys that each device changes."),
                "scales": {
                    "type": "object",
                    "description": "Keys that each scale changes; choose one with `--set scale=NAME`.",
                    "additionalProperties": {"$ref": "#/$defs/Changes"},
                },
            },
            "One sweep at the top level, or several in `sweeps` with common keys at the top level.",
        ),
        "anyOf": [{"required": ["sweeps"]}, {"required": ["task", "attention"]}],
        "$defs": dict(sorted(definitions.items())),
    }


def _closed(properties: Schema, description: str) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": False,
    }


def _plain(schema: Mapping[str, object]) -> Schema:
    """Without the titles and the empty defaults that pydantic makes up, which only clutter an editor."""
    plain: Schema = {}
    for key, value in schema.items():
        if (key == "title" and isinstance(value, str)) or (
            key == "default" and not isinstance(value, bool | int | float | str)
        ):
            continue
        if key == "minLength" and "anyOf" in schema:
            # Meant for the tuple that an axis becomes.
            continue
        plain[key] = _plain_value(value)
    return plain


def _plain_value(value: object) -> object:
    if isinstance(value, dict):
        return _plain(value)
    return [_plain_value(item) for item in value] if isinstance(value, list) else value


def _mapping(value: object) -> Schema:
    assert isinstance(value, dict)
    return cast("Schema", value)
