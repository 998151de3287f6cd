"""Defaults, sweeps, devices and flags laid over each other, as plain mappings."""

from __future__ import annotations

import copy
from typing import Any

from linrec_bench.suite.text import Location


def override(raw: dict[str, Any], keys: Location, value: Any) -> None:
    """Set one value at the top and wherever a sweep has its own, so that a flag always wins."""
    own = [sweep for sweep in raw.get("sweeps", []) if _holds(sweep, keys)]
    for target in [raw, *own]:
        for key in keys[:-1]:
            if not isinstance(target.get(key), dict):
                target[key] = {}
            target = target[key]
        target[keys[-1]] = value


def _holds(mapping: Any, keys: Location) -> bool:
    for key in keys:
        if not isinstance(mapping, dict) or key not in mapping:
            return False
        mapping = mapping[key]
    return True


def merge(base: dict[str, Any], changes: dict[str, Any]) -> None:
    """Deep merge in place: mappings join, everything else is replaced."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)


def merged(defaults: dict[str, Any], sweep: dict[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(defaults)
    merge(merged, sweep)
    return merged
