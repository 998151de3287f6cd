"""Fuzzing of the command line in one process: made and damaged inputs of every verb that reads.

Inputs are made by strategies of Hypothesis (`examples`) or are small valid files, damaged at a random place
(`damage`): `logs` and `sources` of data, `suites`, `plugins`, `flags`, what the program stored itself
(`stored`, `stored_rows`, `kept`), and what it measures (`executed`, `started`). A call ends with a documented
exit code, within 10 s of CPU time, and writes below its own folder only (`oracle`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.fuzz import (
    executed,
    flags,
    kept,
    logs,
    plugins,
    sources,
    started,
    stored,
    stored_rows,
    suites,
)
from benchmarks.fuzz.oracle import Found, Place

KINDS: dict[Callable[[Place, random.Random, int, Found], None], float] = {
    logs.damaged_logs: 0.1,
    logs.made_logs: 0.1,
    logs.made_answers: 0.003,
    sources.damaged_archives: 0.03,
    sources.made_sources: 0.06,
    sources.rude_servers: 0.02,
    suites.damaged_suites: 0.15,
    suites.made_suites: 0.1,
    plugins.made_plugins: 0.02,
    executed.executed_suites: 0.012,
    flags.made_flags: 0.1,
    started.made_starts: 0.04,
    started.made_calibrations: 0.002,
    stored.damaged_runs: 0.1,
    stored_rows.made_rows: 0.1,
    stored.damaged_old_runs: 0.05,
    stored.damaged_states: 0.1,
    stored.damaged_caches: 0.1,
    kept.damaged_parts: 0.03,
    kept.made_histories: 0.05,
}
"""Each with its share of the inputs."""


def fuzz(kind: str, *, seed: int, count: int, folder: Path) -> Found:
    """`count` inputs of a kind, which follow from the seed."""
    found: Found = Counter({"inputs": 0, "tracebacks": 0, "hangs": 0, "files outside": 0})
    make = next(each for each in KINDS if each.__name__ == kind)
    with Place(folder) as place:
        make(place, random.Random(f"{seed} {kind}"), count, found)
    return found
