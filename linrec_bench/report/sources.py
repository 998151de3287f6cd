"""Folders -> what a report is made of. What cannot be read is named in a note and left out, never guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from linrec_bench.analysis.paired_quality import COLUMNS as QUALITY_COLUMNS
from linrec_bench.analysis.samples_table import compact
from linrec_bench.analysis.summary import COLUMNS, summarise
from linrec_bench.case import label
from linrec_bench.gate.claims import Evidence, evidence_of
from linrec_bench.report.cards import CardRow, CardsError, read_cards
from linrec_bench.results import stored_runs
from linrec_bench.results.case_table import CASE_DATA
from linrec_bench.results.rows import COLUMNS as ROW_COLUMNS
from linrec_bench.results.rows import STATUSES
from linrec_bench.results.store import CARDS, QUALITY, SAMPLES, SUMMARY, Run, StoreError
from linrec_bench.suite import load

if TYPE_CHECKING:
    from linrec_bench.suite.schema import Suite


@dataclass(frozen=True, kw_only=True)
class Source:
    """One run, read. `samples` and `suite` are None where they are not stored or cannot be read, as `notes`
    say, `cards` where no semantics cards are stored, `quality` where no variants were compared by user."""

    run: Run
    environment: Mapping[str, object]
    summary: pd.DataFrame
    samples: pd.DataFrame | None
    suite_text: str
    suite: Suite | None
    reference: str
    cards: tuple[CardRow, ...] | None
    quality: pd.DataFrame | None
    notes: tuple[str, ...]

    @property
    def rows(self) -> pd.DataFrame:
        """The samples; none of them where they are not stored."""
        return pd.DataFrame(columns=[*ROW_COLUMNS, *CASE_DATA]) if self.samples is None else self.samples

    @cached_property
    def evidence(self) -> Evidence:
        """What the run says of claims."""
        return evidence_of(self.samples, self.summary, self.quality)

    @property
    def title(self) -> str:
        return (self.suite.title if self.suite else "") or str(self.environment.get("suite", self.run.id))


def gather(folders: Sequence[Path]) -> tuple[list[Source], list[str]]:
    """What can be read of the runs in the named folders (of a run, a suite or all results), each once, and a
    note for each that cannot."""
    found: list[Source] = []
    notes: list[str] = []
    once: dict[Path, Run] = {}
    for folder in folders:
        try:
            runs, said = stored_runs.at(folder)
        except StoreError as reason:
            notes.append(f"{folder}: left out: {reason}")
            continue
        notes += said
        for run in runs:
            once.setdefault(run.folder.resolve(), run)
    for run in once.values():
        try:
            found.append(read(run))
        except (ValueError, KeyError, TypeError) as reason:
            notes.append(f"{run.folder}: left out: {reason}")
    return found, notes


def newest(results: Path) -> tuple[list[Source], list[str]]:
    """The newest readable run of every suite under `results`, and a note for each that was left out."""
    found: list[Source] = []
    suites, notes = stored_runs.of_root(results)
    for runs in suites.values():
        for run in reversed(runs):
            sources, said = gather([run.folder])
            found += sources
            notes += said
            if sources:
                break
    return found, notes


def read(run: Run) -> Source:
    """One run; `ValueError` (one line) when it holds nothing that can be reported."""
    environment = run.environment()
    notes: list[str] = []
    samples = _samples(run, notes)
    suite_text, suite = _suite(run, environment, notes)
    summary = _summary(run, samples, suite, notes)
    return Source(
        run=run,
        environment=environment,
        summary=compact(_ordered(summary, suite)),
        samples=samples,
        suite_text=suite_text,
        suite=suite,
        reference=suite.reference_attention() if suite else _told_reference(summary),
        cards=_cards(run, notes),
        quality=_quality(run, notes),
        notes=tuple(notes),
    )


def _samples(run: Run, notes: list[str]) -> pd.DataFrame | None:
    path = run.folder / SAMPLES
    if not path.is_file():
        notes.append(f"{SAMPLES} is not stored with this run: the report uses {SUMMARY} alone")
        return None
    samples = run.samples()
    cut_off = run.half_written()
    if cut_off:
        rows = "row" if cut_off == 1 else "rows"
        notes.append(f"{SAMPLES}: {cut_off} half-written {rows} of a trial that was cut off, left out")
    return samples


def _suite(run: Run, environment: Mapping[str, object], notes: list[str]) -> tuple[str, Suite | None]:
    device = environment.get("device")
    kind = device.get("kind") if isinstance(device, dict) else None
    try:
        text = run.suite_text()
    except StoreError as reason:
        notes.append(str(reason))
        return "", None
    try:
        stem = str(environment.get("suite", run.id))
        device_kind = str(kind or "cpu")
        return text, load.parse(text, name="suite.yaml", stem=stem, device=device_kind, check_names=False)
    except ValueError as reason:
        notes.append(f"the suite cannot be read by this version: {' '.join(str(reason).split())}")
        return text, None


def _summary(run: Run, samples: pd.DataFrame | None, suite: Suite | None, notes: list[str]) -> pd.DataFrame:
    if samples is not None and samples.empty:
        raise StoreError("an empty run: no trial was finished")
    if (run.folder / SUMMARY).is_file():
        summary = run.summary()
    elif samples is not None:
        notes.append(f"{SUMMARY} is missing, the run is unfinished: the report uses the rows so far")
        summary = summarise(
            samples,
            reference=suite.reference_attention() if suite else "",
            targets=suite.quality_targets() if suite else None,
        )
    else:
        raise StoreError(f"neither {SAMPLES} nor {SUMMARY} is there")
    lacking = [column for column in COLUMNS if column not in summary]
    if lacking:
        raise StoreError(f"{SUMMARY} is of another version: it lacks {', '.join(lacking)}")
    known = summary["status"].isin(STATUSES) & summary["seq_len"].notna()
    if not known.all():
        notes.append(f"{SUMMARY}: {int((~known).sum())} rows without a known status or length, left out")
    if not known.any():
        raise StoreError("an empty run: its summary holds no case")
    return summary[known].astype({"seq_len": "int64"}).reset_index(drop=True)


def _ordered(summary: pd.DataFrame, suite: Suite | None) -> pd.DataFrame:
    """Mechanisms in the order of the suite; a run holds them in the order in which they were measured."""
    listed = (
        [label(entry.name, entry.params) for sweep in suite.sweeps for entry in sweep.attention]
        if suite
        else []
    )
    order = {
        name: at
        for at, name in enumerate([*dict.fromkeys(listed), *sorted(summary["attention"].unique())][::-1])
    }
    return summary.sort_values(
        "attention", key=lambda names: -names.map(order), kind="stable", ignore_index=True
    )


def _told_reference(summary: pd.DataFrame) -> str:
    """The mechanism that the stored ratios refer to most often."""
    told = [name for name in summary["reference"] if name]
    return str(max(dict.fromkeys(told), key=told.count)) if told else ""


def _cards(run: Run, notes: list[str]) -> tuple[CardRow, ...] | None:
    if not run.has_cards():
        return None
    path = run.folder / CARDS
    try:
        return read_cards(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, CardsError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as reason:
        notes.append(f"{CARDS}: left out: {reason}")
        return None


def _quality(run: Run, notes: list[str]) -> pd.DataFrame | None:
    try:
        found = run.quality()
    except (ValueError, KeyError) as reason:
        notes.append(f"{QUALITY}: left out: {' '.join(str(reason).split())}")
        return None
    lacking = [name for name in QUALITY_COLUMNS if found is not None and name not in found]
    if lacking:
        notes.append(f"{QUALITY}: left out: it lacks {', '.join(lacking)}")
        return None
    return found
