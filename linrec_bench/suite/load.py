"""A YAML file -> a validated Suite; every error says file, line, column, what was expected and a hint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml
from pydantic import ValidationError

from linrec_bench.registry import did_you_mean
from linrec_bench.suite.mechanism_query import QueryError, resolve
from linrec_bench.suite.overrides import SCALE, check_top, chosen_scale, merge, merged, override
from linrec_bench.suite.registered_names import name_checks
from linrec_bench.suite.schema import SWEEP_KEYS, Suite
from linrec_bench.suite.shipped import shipped_suites
from linrec_bench.suite.source_map import Location, SourceMap, SuiteError, assignment, read_yaml


def find(name: str) -> Path:
    """The path of a suite: a file as given, or one that ships with the package by its bare name."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = shipped_suites()
    if (bare := name.removesuffix(".yaml")) in shipped:
        return shipped[bare]
    known = ", ".join(shipped)
    raise SuiteError(
        f"{name}: no such suite; expected a YAML file or one of: {known}.{did_you_mean(name, shipped)}"
    )


def load(path: Path, *, device: str, settings: Sequence[str] = ()) -> Suite:
    """The suite of `path` for `device`, with `--set key=value` applied; `SuiteError` when it is invalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    return parse(text, name=str(path), stem=path.stem, device=device, settings=settings)


def parse(
    text: str,
    *,
    name: str,
    stem: str,
    device: str,
    settings: Sequence[str] = (),
    check_names: bool = True,
) -> Suite:
    """As `load`, from text; `stem` becomes the name of the suite, and `stem-scale` that of a scale of it.

    Without `check_names`, mechanisms, models and data sets need not exist here: the suite of a stored run was
    checked when the run began, and the mechanism of a plugin may be gone.
    """
    source, raw = read_yaml(text, name)
    flags = {_keys(setting): setting for setting in settings}
    values = {_keys(setting): assignment(setting, flag="--set")[1] for setting in settings}
    check_top(raw, source)
    per_device, scales = raw.pop("per_device", {}), raw.pop("scales", {})
    changes: list[tuple[Location, dict[str, object]]] = []
    if device in per_device:
        changes.append((("per_device", device), per_device[device]))
    if (SCALE,) in values:
        # After the device: whoever asks for a scale by name means it.
        scale = chosen_scale(values.pop((SCALE,)), scales)
        named = {"name": f"{raw.get('name', stem)}-{scale}"}
        changes.append((("scales", scale), named | scales[scale]))
    layers: list[Location] = [()]
    sweeps_in: Location | None = () if "sweeps" in raw else None
    for location, change in changes:
        merge(raw, change)
        layers.insert(0, location)
        sweeps_in = location if "sweeps" in change else sweeps_in
    for keys, value in values.items():
        override(raw, keys, value)
    check_top(raw, source, flags=[str(keys[0]) for keys in values])
    sweeps = raw.pop("sweeps", None)
    defaults = {key: raw.pop(key) for key in list(raw) if key in SWEEP_KEYS}
    resolved = [defaults] if sweeps is None else [merged(defaults, sweep) for sweep in sweeps]
    places = SourceMap(source, tuple(layers), flags, sweeps_in=sweeps_in)
    places = _resolve_queries(resolved, places)
    try:
        suite = Suite.model_validate({"name": stem} | raw | {"sweeps": resolved})
    except ValidationError as error:
        raise SuiteError(places.describe(error)) from error
    for location, check in name_checks(suite) if check_names else ():
        try:
            check()
        except ValueError as error:
            raise SuiteError(places.message(location, str(error))) from error
    return suite


def _resolve_queries(sweeps: Sequence[dict[str, object]], places: SourceMap) -> SourceMap:
    """Replace the queries of every sweep, in place, and return where each mechanism is written."""
    moved: dict[Location, Location] = {}
    for index, sweep in enumerate(sweeps):
        if "attention" not in sweep:
            continue
        at: Location = ("sweeps", index, "attention")
        try:
            entries = list(resolve(sweep["attention"], model=sweep.get("model")))
        except QueryError as error:
            place = (*at, *error.at)
            if isinstance(error.reason, ValidationError):
                raise SuiteError(places.describe(error.reason, at=place)) from error
            raise SuiteError(places.message(place, str(error.reason))) from error
        sweep["attention"] = [entry for entry, _ in entries]
        moved |= {(*at, number): (*at, *written) for number, (_, written) in enumerate(entries)}
    return replace(places, moved=moved)


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
    for section in ("expect", "claims"):
        lines = [
            {key: value for key, value in line.items() if value not in (None, "")}
            for line in content[section]
        ]
        content[section] = lines
        if not lines:
            del content[section]
    return yaml.safe_dump(content, sort_keys=False, width=100)


def _keys(setting: str) -> Location:
    return tuple(assignment(setting, flag="--set")[0].split("."))
