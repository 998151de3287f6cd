"""A YAML file -> a validated Suite; every error says file, line, column, what was expected and a hint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from linrec_bench.registry import did_you_mean
from linrec_bench.suite.layers import merge, merged, override
from linrec_bench.suite.names import name_checks
from linrec_bench.suite.origin import Origin
from linrec_bench.suite.schema import DEVICES, SUITE_KEYS, SWEEP_KEYS, Suite
from linrec_bench.suite.text import Location, Source, SuiteError, assignment, read

__all__ = ["SuiteError", "assignment", "find", "load", "parse", "resolved_text", "shipped_suites"]


def find(name: str) -> Path:
    """The path of a suite: a file as given, or one that ships with the package by its bare name."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = {candidate.stem: candidate for candidate in shipped_suites()}
    if path.name == name and path.stem in shipped:
        return shipped[path.stem]
    known = ", ".join(shipped)
    raise SuiteError(
        f"{name}: no such suite; expected a YAML file or one of: {known}.{did_you_mean(name, shipped)}"
    )


def shipped_suites() -> list[Path]:
    """The suites of the package: beside it in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[1]
    for folder in (package / "suites", package.parent / "suites"):
        if folder.is_dir():
            return sorted(folder.glob("*.yaml"))
    return []


def load(path: Path, *, device: str, settings: Sequence[str] = ()) -> Suite:
    """The suite of `path` for `device`, with `--set key=value` applied; `SuiteError` when it is invalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    return parse(text, name=str(path), stem=path.stem, device=device, settings=settings)


def parse(text: str, *, name: str, stem: str, device: str, settings: Sequence[str] = ()) -> Suite:
    """As `load`, from text; `stem` becomes the name of the suite."""
    source, raw = read(text, name)
    flags = [_setting(setting) for setting in settings]
    _check_top_level(raw, source, flags=[])
    per_device = raw.pop("per_device", None) or {}
    layers: tuple[Location, ...] = ((),)
    if device in per_device:
        merge(raw, per_device[device])
        layers = (("per_device", device), *layers)
    for keys, value in flags:
        override(raw, keys, value)
    _check_top_level(raw, source, flags=[str(keys[0]) for keys, _ in flags])
    sweeps = raw.pop("sweeps", None)
    defaults = {key: raw.pop(key) for key in list(raw) if key in SWEEP_KEYS}
    resolved = [defaults] if sweeps is None else [merged(defaults, sweep) for sweep in sweeps]
    origin = Origin(source, layers, tuple(keys for keys, _ in flags), has_sweeps=sweeps is not None)
    try:
        suite = Suite.model_validate({"name": stem} | raw | {"sweeps": resolved})
    except ValidationError as error:
        raise SuiteError(origin.described(error)) from error
    for location, check in name_checks(suite):
        try:
            check()
        except ValueError as error:
            raise SuiteError(origin.said(location, str(error))) from error
    return suite


def resolved_text(suite: Suite) -> str:
    """The suite as YAML with every default written out; `parse` reads it back to an equal suite."""
    content = suite.model_dump(mode="json")
    for sweep in content["sweeps"]:
        sweep["grid"] = {axis: values for axis, values in sweep["grid"].items() if values}
        sweep["fixed"] = {
            axis: value
            for axis, value in sweep["fixed"].items()
            if axis not in sweep["grid"] and value is not None
        }
        for key in ("model", "dataset"):
            if sweep[key] is None:
                del sweep[key]
    content["expect"] = [
        {key: value for key, value in line.items() if value is not None} for line in content["expect"]
    ]
    return yaml.safe_dump(content, sort_keys=False, width=100)


def _check_top_level(raw: dict[str, Any], source: Source, *, flags: Sequence[str]) -> None:
    known = (*SUITE_KEYS, *SWEEP_KEYS)
    for key in raw:
        if key not in known:
            place = f"--set {key}" if key in flags else source.place((key,))
            raise SuiteError(
                f"{place}: unknown key {key!r}; expected one of: {', '.join(known)}."
                f"{did_you_mean(str(key), known)}"
            )
    for key, kind, expected in (("sweeps", list, "a list of sweeps"), ("per_device", dict, "a mapping")):
        if key in raw and not isinstance(raw[key], kind):
            raise SuiteError(f"{source.place((key,))}: {key} is {raw[key]!r}; expected {expected}")
    for index, sweep in enumerate(raw.get("sweeps", [])):
        if not isinstance(sweep, dict):
            raise SuiteError(f"{source.place(('sweeps', index))}: a sweep is {sweep!r}; expected a mapping")
    for device, changes in raw.get("per_device", {}).items():
        place = source.place(("per_device", device))
        if device not in DEVICES:
            raise SuiteError(
                f"{place}: unknown device {device!r}; expected one of: {', '.join(DEVICES)}."
                f"{did_you_mean(str(device), DEVICES)}"
            )
        if not isinstance(changes, dict):
            raise SuiteError(f"{place}: per_device.{device} is {changes!r}; expected a mapping")


def _setting(setting: str) -> tuple[Location, Any]:
    keys, value = assignment(setting, flag="--set")
    return tuple(keys.split(".")), value
