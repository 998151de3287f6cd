"""Which runs are stored in a folder, in the order in which they were begun, and what there is no run.

A run has a number, one above those that its suite had when it was begun, and the moment in UTC: neither a
clock that is set back nor another time zone changes which run is the newest. Runs without a number are older.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from linrec_bench.case import Case
from linrec_bench.results.case_table import CASES
from linrec_bench.results.samples_file import StoreError
from linrec_bench.results.store import ENVIRONMENT, SAMPLES, SUMMARY, Run, Trial

UNSEARCHED = ("reference",)
"""Folders of the results' root whose runs are found only where it is named itself."""


def is_run(path: Path) -> bool:
    """Whether a folder holds a file of a run, damaged or not."""
    return any((path / name).is_file() for name in (ENVIRONMENT, SAMPLES, SUMMARY))


def of_suite(folder: Path) -> tuple[list[Run], list[str]]:
    """The runs of a suite's folder, oldest first, and a note for each other folder there: one that cannot be
    read, or that is no run."""
    found, notes = list[tuple[tuple[int, str, str], Run]](), list[str]()
    for path in _folders(folder, notes):
        if not is_run(path):
            notes.append(f"{path}: left out: not a run")
            continue
        run = Run(path)
        try:
            environment = run.environment()
        except StoreError as reason:
            notes.append(f"{path}: left out: {reason}")
            continue
        number = environment.get("number")
        order = number if isinstance(number, int) else 0
        found.append(((order, str(environment.get("created_utc", "")), run.id), run))
    return [run for _, run in sorted(found, key=lambda each: each[0])], notes


def of_root(root: Path) -> tuple[dict[str, list[Run]], list[str]]:
    """The runs of every suite under `root`, oldest first, and the notes of `of_suite`."""
    found, notes = dict[str, list[Run]](), list[str]()
    for folder in _folders(root, notes):
        if folder.name not in UNSEARCHED and not is_run(folder):
            runs, said = of_suite(folder)
            notes += said
            if runs:
                found[folder.name] = runs
    return found, notes


def at(path: Path) -> tuple[list[Run], list[str]]:
    """The run in a folder, those of a suite, or those of every suite under it, and the notes of `of_suite`.

    Raises `StoreError` for a path that is no folder.
    """
    if not path.is_dir():
        raise StoreError(f"{path}: no such folder; expected that of a run, a suite or all results")
    if is_run(path):
        return [Run(path)], []
    if any(is_run(folder) for folder in _folders(path, [])):
        return of_suite(path)
    suites, notes = of_root(path)
    return [run for runs in suites.values() for run in runs], notes


def _folders(folder: Path, notes: list[str]) -> list[Path]:
    try:
        if not folder.is_dir():
            return []
        found = sorted(path for path in folder.iterdir() if path.name[0] != "." and path.is_dir())
    except OSError as error:
        notes.append(f"{folder}: left out: cannot be read ({error.strerror})")
        return []
    closed = [path for path in found if not os.access(path, os.R_OK | os.X_OK)]
    notes += [f"{path}: left out: cannot be read (Permission denied)" for path in closed]
    return [path for path in found if path not in closed]


def unfinished(
    root: Path,
    *,
    suite: str,
    suite_text: str,
    cases: Iterable[Case],
    fingerprint: str,
    planned: set[Trial],
    with_cards: bool = False,
    or_finished: bool = False,
    shard: str = "",
) -> tuple[Run | None, list[str]]:
    """The newest run of the same resolved suite, or `shard` of it, on the same environment that lacks planned
    trials, its summary or, `with_cards`, its cards, `or_finished` one that lacks nothing; and the notes of
    `of_suite`.

    Raises `StoreError` when its stored cases are not those of the suite.
    """
    runs, notes = of_suite(root / suite)
    for run in reversed(runs):
        try:
            stored = run.environment()
            same = stored.get("fingerprint") == fingerprint and stored.get("shard", "") == shard
            same = same and run.suite_text() == suite_text
        except StoreError as reason:
            notes.append(f"{run.folder}: left out: {reason}")
            continue
        if same:
            if list(run.cases().values()) != list(cases):
                raise StoreError(
                    f"{run.folder / CASES}: not the cases of suite {suite}; move the folder away to go on"
                )
            lacks = planned - run.finished_trials() or not run.is_summarised()
            lacks = lacks or (with_cards and not run.has_cards())
            return (run if lacks or or_finished else None), notes
    return None, notes
