"""What changes a suite file before it is validated: sweeps over defaults, devices, scales and flags. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from linrec_bench.measures.device.names import KINDS
from linrec_bench.registry import did_you_mean
from linrec_bench.suite.base_models import NAME
from linrec_bench.suite.schema import SUITE_KEYS, SWEEP_KEYS
from linrec_bench.suite.source_map import Location, SourceText, SuiteError

SCALE = "scale"
"""`--set scale=NAME` chooses one of `scales:`; no key of the file has that name."""

_KINDS: Mapping[str, tuple[type, str]] = {
    "sweeps": (list, "a list of sweeps"),
    "per_device": (dict, "a mapping"),
    "scales": (dict, "a mapping of names to what each changes"),
}
_SCALE_NAME = re.compile(NAME)


def check_top(
    raw: Mapping[str, Any], source: SourceText, *, at: Location = (), flags: Sequence[str] = ()
) -> None:
    """Raise `SuiteError` for keys that no suite has, and for values that cannot be laid over each other.

    `at` is where the mapping stands in the file; `flags` are the keys that `--set` gave.
    """
    known = [*SUITE_KEYS, *SWEEP_KEYS]
    if at:
        # Changes of changes would need an order of their own.
        known = [key for key in known if key not in ("per_device", "scales")]
    for key in raw:
        if key not in known:
            place = f"--set {key}" if key in flags else source.place((*at, key))
            raise SuiteError(
                f"{place}: unknown key {key!r}; expected one of: {', '.join(known)}."
                f"{did_you_mean(str(key), known)}"
            )
    for key, (kind, expected) in _KINDS.items():
        if key in raw and not isinstance(raw[key], kind):
            raise SuiteError(f"{source.place((*at, key))}: {key} is {raw[key]!r}; expected {expected}")
    for index, sweep in enumerate(raw.get("sweeps", [])):
        if not isinstance(sweep, dict):
            place = source.place((*at, "sweeps", index))
            raise SuiteError(f"{place}: a sweep is {sweep!r}; expected a mapping")
    for device, changes in raw.get("per_device", {}).items():
        if device not in KINDS:
            raise SuiteError(
                f"{source.place(('per_device', device))}: unknown device {device!r}; expected one of: "
                f"{', '.join(KINDS)}.{did_you_mean(str(device), KINDS)}"
            )
        _check_changes(changes, source, ("per_device", device))
    for name, changes in raw.get("scales", {}).items():
        if not isinstance(name, str) or _SCALE_NAME.fullmatch(name) is None:
            raise SuiteError(
                f"{source.place(('scales', name))}: {name!r} names no scale; expected letters, digits, "
                "'.', '_' and '-'"
            )
        _check_changes(changes, source, ("scales", name))


def _check_changes(changes: Any, source: SourceText, at: Location) -> None:
    if not isinstance(changes, dict):
        raise SuiteError(f"{source.place(at)}: {'.'.join(map(str, at))} is {changes!r}; expected a mapping")
    check_top(changes, source, at=at)


def chosen_scale(name: object, scales: Mapping[str, Any]) -> str:
    """The name that `--set scale=NAME` gives; `SuiteError` when the suite has no such scale."""
    if not isinstance(name, str) or name not in scales:
        expected = f"expected one of: {', '.join(scales)}." if scales else "the suite has no scales"
        raise SuiteError(f"--set scale={name}: unknown scale; {expected}{did_you_mean(str(name), scales)}")
    return name


def override(raw: dict[str, Any], keys: Location, value: Any) -> None:
    """Set one value at the top and wherever a sweep has its own, so that a flag always wins."""
    overridden = [sweep for sweep in raw.get("sweeps", []) if _holds(sweep, keys)]
    for target in [raw, *overridden]:
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
    """A sweep over the defaults at the top; neither is changed."""
    result = copy.deepcopy(defaults)
    merge(result, sweep)
    return result
