"""Stored runs of an older schema -> the schema of now, their cases taken from the suites stored with them."""

from __future__ import annotations

from pathlib import Path

from linrec_bench.results import convert as results
from linrec_bench.results.store import SUITE, Run
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand


def convert(folder: Path) -> None:
    """Convert the run in `folder` in place; where that is impossible, nothing changes and `ValueError` (one
    line) says why."""
    environment = results.environment_of(folder)
    run = Run(folder)
    device = environment.get("device")
    kind = str(device.get("kind", "cpu")) if isinstance(device, dict) else "cpu"
    suite = load.parse(
        run.suite_text(), name=str(folder / SUITE), stem=str(environment.get("suite")), device=kind
    )
    results.convert(folder, [job.case for job in expand(suite, device=kind)])
