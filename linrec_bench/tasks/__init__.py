"""What is done with a case: one file a task, found by its SPEC; what they are made of is in folders below.

A file of a task imports nothing heavy at its top: floors below read its SPEC.
"""

from __future__ import annotations

from typing import cast

from linrec_bench import declarations
from linrec_bench.registry import Registry
from linrec_bench.tasks.spec import Emit, Report, TaskSpec

__all__ = ["Emit", "Report", "TaskSpec", "registry"]


def registry() -> Registry[TaskSpec]:
    """Every task by name: the files of this package."""
    return cast("Registry[TaskSpec]", declarations.tasks())
