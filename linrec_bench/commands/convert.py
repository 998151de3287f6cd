"""Stored runs of an older schema -> the schema of now, their cases taken from the suites stored with them."""

from __future__ import annotations

import json
from pathlib import Path

from linrec_bench.results import convert as results
from linrec_bench.results.samples_file import StoreError
from linrec_bench.results.store import ENVIRONMENT, SUITE
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand


def convert(folder: Path) -> None:
    """Convert the run in `folder` in place; where that is impossible, nothing changes and `ValueError` (one
    line) says why."""
    try:
        environment = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
        text = (folder / SUITE).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder}: cannot be read ({error}); expected a run's folder") from error
    kind = environment.get("device", {}).get("kind", "cpu")
    suite = load.parse(text, name=str(folder / SUITE), stem=str(environment.get("suite")), device=kind)
    results.convert(folder, [job.case for job in expand(suite, device=kind)])
