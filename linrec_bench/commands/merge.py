"""`linrec-bench merge`, without its printing: runs of parts of a suite -> one run with its tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from linrec_bench.commands.run import write_tables
from linrec_bench.execution import schedule
from linrec_bench.results import merge as results
from linrec_bench.results import store
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand


def merge(folders: Sequence[Path], root: Path, *, now: datetime) -> tuple[store.Run, int]:
    """The merged run, and how many trials of its suite none of them holds.

    Raises `ValueError` (one line) where they are no parts of one suite, measured alike; nothing is written.
    """
    runs = [store.open_run(folder) for folder in folders]
    device = runs[0].device()
    name = str(runs[0].environment().get("suite"))
    suite = load.parse(runs[0].suite_text(), name=str(runs[0].folder / store.SUITE), stem=name, device=device)
    planned = [trial.key for trial in schedule.order(expand(suite, device=device))]
    merged = results.merge(runs, root, order=planned, now=now, finish=partial(write_tables, suite))
    return merged, len(set(planned) - merged.finished_trials())
