"""Where trials run: one file an executor, found by its SPEC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from linrec_bench.execution.trial import Executor
from linrec_bench.registry import Registry, specs_in


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec:
    """One executor. `start` is given the user's own files of mechanisms, which every process loads."""

    name: str
    title: str
    start: Callable[[Sequence[Path]], Executor]


@cache
def registry() -> Registry[ExecutorSpec]:
    """Every executor by name: the files of this package."""
    return Registry("executor", [(spec.name, spec) for spec in specs_in(__name__, ExecutorSpec)])


def start(name: str = "local", *, plugins: Sequence[Path] = ()) -> Executor:
    """The executor of that name, ready for trials; to be closed. Raises `ValueError` for an unknown name."""
    return registry()[name].start(plugins)
