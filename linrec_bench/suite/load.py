"""A YAML file -> a validated Suite; every error says file, line, column, what was expected and a hint."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from linrec_bench.registry import did_you_mean
from linrec_bench.suite.schema import SWEEP_KEYS, Suite

Location = tuple[str | int, ...]

_SUITE_KEYS = ("name", "title", "reference", "sweeps", "expect", "per_device")
_DEVICES = ("cpu", "cuda")


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
    source, raw = _read(text, name)
    overrides = [_setting(setting) for setting in settings]
    _check_top_level(raw, source, flags=[])
    per_device = raw.pop("per_device", None) or {}
    layers: list[Location] = [()]
    if device in per_device:
        _merge(raw, per_device[device])
        layers.insert(0, ("per_device", device))
    for keys, value in overrides:
        _override(raw, keys, value)
    _check_top_level(raw, source, flags=[str(keys[0]) for keys, _ in overrides])
    sweeps = raw.pop("sweeps", None)
    defaults = {key: raw.pop(key) for key in list(raw) if key in SWEEP_KEYS}
    resolved = [defaults] if sweeps is None else [_merged(defaults, sweep) for sweep in sweeps]
    try:
        suite = Suite.model_validate({"name": stem} | raw | {"sweeps": resolved})
    except ValidationError as error:
        raise SuiteError(_describe(error, source, layers, overrides, sweeps is not None)) from error
    _check_names(suite, source, layers, sweeps is not None)
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


def _read(text: str, name: str) -> tuple[Source, dict[str, Any]]:
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


def _check_top_level(raw: dict[str, Any], source: Source, *, flags: Sequence[str]) -> None:
    known = (*_SUITE_KEYS, *SWEEP_KEYS)
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
        if device not in _DEVICES:
            raise SuiteError(
                f"{place}: unknown device {device!r}; expected one of: {', '.join(_DEVICES)}."
                f"{did_you_mean(str(device), _DEVICES)}"
            )
        if not isinstance(changes, dict):
            raise SuiteError(f"{place}: per_device.{device} is {changes!r}; expected a mapping")


def assignment(text: str, *, flag: str) -> tuple[str, Any]:
    """`key=value` with a YAML value, as flags give it; `SuiteError` when it is not of that form."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SuiteError(f"{flag} {text}: expected key=value, such as {flag} epochs=3")
    try:
        return key.strip(), yaml.load(value, _Loader)
    except yaml.YAMLError as error:
        raise SuiteError(f"{flag} {text}: the value is not valid YAML") from error


def _setting(setting: str) -> tuple[Location, Any]:
    keys, value = assignment(setting, flag="--set")
    return tuple(keys.split(".")), value


def _override(raw: dict[str, Any], keys: Location, value: Any) -> None:
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


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> None:
    """Deep merge in place: mappings join, everything else is replaced."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)


def _merged(defaults: dict[str, Any], sweep: dict[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(defaults)
    _merge(merged, sweep)
    return merged


def _describe(
    error: ValidationError,
    source: Source,
    layers: list[Location],
    overrides: list[tuple[Location, Any]],
    has_sweeps: bool,
) -> str:
    """One line for the first error, with its place in the file and the number of further errors."""
    first, *more = error.errors()
    location = tuple(first["loc"])
    # An enclosing value that fails only because of the first error is no error of its own.
    more = [other for other in more if tuple(other["loc"]) != location[: len(other["loc"])]]
    name = first.get("ctx", {}).get("name")
    if name is not None:
        location = (*location, name)
    message = first["msg"].removeprefix("Value error, ")
    given = first.get("input")
    if first["type"] not in ("unknown_key", "value_error", "missing"):
        message = f"{message}, got {given!r}"
    where, path = _where(location, source, layers, has_sweeps)
    for keys, _ in overrides:
        if path and ".".join(map(str, path)).startswith(".".join(map(str, keys))):
            where = f"--set {'.'.join(map(str, keys))}"
    also = f" (and {len(more)} more)" if more else ""
    prefix = f"{'.'.join(map(str, path))}: " if path else ""
    return f"{where}: {prefix}{message}{also}"


def _where(
    location: Location, source: Source, layers: list[Location], has_sweeps: bool
) -> tuple[str, Location]:
    """The place of a value of the resolved suite in the file that wrote it, and its path in that file.

    A resolved value comes from the sweep itself, from `per_device`, or from the defaults at the top; when
    no part of the file wrote it (something is missing), the nearest enclosing value stands for it.
    """
    candidates = [location]
    if location[:1] == ("sweeps",):
        inner = location[2:]
        candidates = [location] if has_sweeps else []
        candidates += [(*layer, *inner) for layer in layers]
        location = location if has_sweeps else inner
    shortest = min(len(candidate) for candidate in candidates)
    for cut in range(shortest + 1):
        for candidate in candidates:
            place = source.place(candidate[: len(candidate) - cut])
            if place is not None and len(candidate) > cut:
                return place, location
    return f"{source.name}:1:1", location


def _check_names(suite: Suite, source: Source, layers: list[Location], has_sweeps: bool) -> None:
    """Every name is known to its registry, with parameters that it has."""
    from linrec_bench import attention, data, models
    from linrec_bench.training.settings import EvaluationSettings, TrainingSettings

    def check(location: Location, check_one: Any) -> None:
        try:
            check_one()
        except ValueError as error:
            place, path = _where(location, source, layers, has_sweeps)
            raise SuiteError(f"{place}: {'.'.join(map(str, path))}: {error}") from error

    for index, sweep in enumerate(suite.sweeps):
        at: Location = ("sweeps", index)
        for number, entry in enumerate(sweep.attention):
            check(
                (*at, "attention", number),
                lambda entry=entry: attention.registry()[entry.name].check_params(dict(entry.params)),
            )
        if sweep.model is not None:
            check(
                (*at, "model"),
                lambda model=sweep.model: models.registry()[model.name].check_params(dict(model.params)),
            )
        if sweep.dataset is not None:
            check(
                (*at, "dataset"),
                lambda entry=sweep.dataset: data.registry()[entry.name].check_params(dict(entry.params)),
            )
        for causal in sweep.grid.causal or (sweep.fixed.causal,):
            check(
                (*at, "training"),
                lambda sweep=sweep, causal=causal: TrainingSettings.from_params(sweep.training).objective_for(
                    causal=causal
                ),
            )
        check((*at, "evaluation"), lambda sweep=sweep: EvaluationSettings.from_params(sweep.evaluation))
