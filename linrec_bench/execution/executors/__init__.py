"""Where trials run: one file an executor, found by its SPEC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from linrec_bench.execution.trial import Executor
from linrec_bench.measures.device.names import CPU
from linrec_bench.registry import Registry, specs_in


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec:
    """One executor. `start` is given the user's own files of mechanisms, which every process loads, and the
    devices that trials run on, one at a time each."""

    name: str
    title: str
    start: Callable[[Sequence[Path], Sequence[str]], Executor]


@cache
def registry() -> Registry[ExecutorSpec]:
    """Every executor by name: the files of this package."""
    return Registry("executor", [(spec.name, spec) for spec in specs_in(__name__, ExecutorSpec)])


def start(name: str = "local", *, plugins: Sequence[Path] = (), devices: Sequence[str] = (CPU,)) -> Executor:
    """The executor of that name, ready for trials; to be closed. Raises `ValueError` for an unknown name."""
    return registry()[name].start(plugins, devices)
