"""The environment of a run as lines to read, and the commands that make it again. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from linrec_bench.presentation import numbers

_HIDDEN = ("schema_version", "command", "run_id", "suite", "number", "created_utc")
"""Told elsewhere in a report."""


def environment_lines(environment: Mapping[str, object]) -> list[tuple[str, str]]:
    """Name and value of every entry, nested ones as `torch, version`, in the order stored."""
    return list(_lines({key: value for key, value in environment.items() if key not in _HIDDEN}, ()))


def _lines(mapping: Mapping[str, object], path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for key, value in mapping.items():
        place = (*path, str(key))
        if isinstance(value, dict):
            yield from _lines(value, place)
        elif value not in (None, ""):
            yield ", ".join(place).removesuffix("_bytes"), _text(place[-1], value)


def _text(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int):
        return numbers.memory(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def machine(environment: Mapping[str, object]) -> str:
    """Where a run was measured, in one line: `cpu, AMD EPYC, 2 cores, torch 2.13.0, Python 3.11.7`."""
    device, hardware, torch = (environment.get(key) for key in ("device", "machine", "torch"))
    parts = []
    if isinstance(device, dict):
        parts.append(str(device.get("name") or device.get("kind", "")))
    if isinstance(hardware, dict):
        cores = hardware.get("cores")
        parts += [str(hardware.get("processor", "")), f"{cores} cores" if cores else ""]
    if isinstance(torch, dict):
        parts.append(str(torch.get("cpu_capability") or ""))
        parts.append(f"torch {torch.get('version', '?')}")
    if environment.get("python"):
        parts.append(f"Python {environment['python']}")
    return ", ".join(filter(None, parts))


def memory_of(environment: Mapping[str, object]) -> float | None:
    """Bytes of memory of the device that a run was measured on; None where its environment does not tell."""
    for part in ("device", "machine"):
        described = environment.get(part)
        size = described.get("memory_bytes") if isinstance(described, dict) else None
        if isinstance(size, int) and size > 0:
            return float(size)
    return None


def commands(environment: Mapping[str, object], folder: Path) -> list[tuple[str, str]]:
    """What each command does, and the command."""
    found = []
    if environment.get("command"):
        found.append(("Repeat the run with the command that made it", str(environment["command"])))
    device = environment.get("device")
    kind = device.get("kind") if isinstance(device, dict) else None
    place = shlex.quote(str(folder))
    suite = shlex.quote(str(folder / "suite.yaml"))
    run = f"linrec-bench run {suite}" + (f" --device {kind}" if kind else "") + " --fresh"
    found.append(("Repeat the run from the resolved suite that is stored with it", run))
    found.append(("Draw the figures", f"linrec-bench plot {place}"))
    found.append(("Make this report", f"linrec-bench report {place}"))
    return found
