"""Parts of one suite, measured in runs of their own, as one run.

Rows are copied as they stand; they come in the order that one run would have had. Each host keeps one
measurement of its ceilings, whose `round` is the number of the host.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from linrec_bench.case import Case
from linrec_bench.results import scratch, store
from linrec_bench.results.environment import MATTERS
from linrec_bench.results.rows import COLUMNS, TRIAL
from linrec_bench.results.samples_file import StoreError, read_samples
from linrec_bench.results.store import CARDS, SAMPLES, Run, Trial

_CASE, _ROUND, _MEASURE = (COLUMNS.index(name) for name in ("case_id", "round", "measure"))
_HOST = COLUMNS.index("host")
_MAY_DIFFER = ("memory_bytes",)
"""Facts of a machine in which hosts of one kind differ by a little."""


@dataclass(frozen=True)
class _Span:
    """The bytes of one trial in the samples of a run."""

    run: Run
    start: int
    end: int


def merge(
    runs: Sequence[Run],
    root: Path,
    *,
    order: Iterable[Trial],
    now: datetime,
    finish: Callable[[Run], object] = lambda _: None,
) -> Run:
    """A new run under `root` with every closed trial of `runs`, in `order`, whole or absent; `finish` writes
    its tables before it appears.

    Raises `StoreError` where there are fewer than two, where a trial stands in two of them, and where suites,
    cases or what makes numbers comparable differ.
    """
    cases = _same(runs)
    for run in runs:
        # A damaged file is named where it lies.
        run.ranks()
    trials, ceilings = _trials(runs)
    known = [key for key in order if key in trials]
    later = sorted(trials.keys() - set(known))
    environment = runs[0].environment()
    suite = str(environment["suite"])
    environment = {key: value for key, value in environment.items() if key not in _OWN}
    environment["merged"] = [_origin(run) for run in runs]

    def fill(run: Run, run_id: str) -> None:
        with (run.folder / SAMPLES).open("ab") as out:
            out.write(_text(ceilings, run_id))
            for key in (*known, *later):
                _copy(trials[key], run_id, out)
        for run_of_part in runs:
            for key, path in scratch.artefacts(run_of_part.folder):
                # Of a trial that was cut off here, another part may have the closed one.
                if key not in trials or trials[key].run != run_of_part:
                    continue
                target = run.folder / path.relative_to(run_of_part.folder)
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, target)
        if cards := _cards(runs):
            (run.folder / CARDS).write_text(json.dumps(cards, indent=2) + "\n", encoding="utf-8")
        finish(run)

    return store.create(
        root,
        suite=suite,
        suite_text=runs[0].suite_text(),
        cases=cases.values(),
        environment=environment,
        now=now,
        fill=fill,
    )


_OWN = ("schema_version", "run_id", "suite", "number", "created_utc", "shard", "command", "device_state")
"""What a run says of itself alone."""


def _origin(run: Run) -> dict[str, object]:
    environment = run.environment()
    kept = ("run_id", "created_utc", "shard", "command", "device_state")
    return {name: environment[name] for name in kept if name in environment}


def _same(runs: Sequence[Run]) -> dict[str, Case]:
    """The cases that all runs share; raises `StoreError` for what must not differ, and does."""
    if len({run.folder.resolve() for run in runs}) < max(2, len(runs)):
        raise StoreError(f"merge: {len(runs)} given; expected at least two runs, each once")
    first, cases = runs[0], runs[0].cases()
    facts, text = _comparable(first), first.suite_text()
    for run in runs[1:]:
        if run.suite_text() != text or list(run.cases().items()) != list(cases.items()):
            raise StoreError(f"{run.folder}: another suite than {first.folder}; expected parts of one")
        other = _comparable(run)
        differ = [name for name in MATTERS if other[name] != facts[name]]
        if differ:
            raise StoreError(
                f"{run.folder}: {', '.join(differ)} differ from those of {first.folder}; expected parts that "
                "were measured with the same code on machines of one kind"
            )
    return cases


def _comparable(run: Run) -> dict[str, object]:
    environment = run.environment()
    found = {name: environment.get(name) for name in MATTERS}
    machine = found["machine"]
    if isinstance(machine, Mapping):
        found["machine"] = {name: fact for name, fact in machine.items() if name not in _MAY_DIFFER}
    return found


def _trials(runs: Sequence[Run]) -> tuple[dict[Trial, _Span], list[list[str]]]:
    """Where each trial stands, and the rows of ceilings of each host."""
    trials: dict[Trial, _Span] = {}
    hosts: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for run in runs:
        for span, rows in _spans(run):
            case_id, round = rows[-1][_CASE], int(rows[-1][_ROUND])
            if not case_id:
                known = hosts.setdefault(rows[-1][_HOST], {})
                for row in rows:
                    known.setdefault(_ceiling(row), row)
            elif (case_id, round) in trials:
                other = trials[case_id, round].run.folder
                raise StoreError(f"{run.folder}: case {case_id}, round {round} stands in {other} too")
            else:
                trials[case_id, round] = span
    return trials, [row for at, known in enumerate(hosts.values()) for row in _of_host(at, known.values())]


def _ceiling(row: Sequence[str]) -> tuple[str, ...]:
    return tuple(row[COLUMNS.index(name)] for name in ("measure", "group", "repeat"))


def _of_host(number: int, rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """The rows under the number of their host, the closing one last."""
    for row in sorted(rows, key=lambda row: row[_MEASURE] == TRIAL):
        yield [*row[:_ROUND], str(number), *row[_ROUND + 1 :]]


def _spans(run: Run) -> Iterator[tuple[_Span, list[list[str]]]]:
    """The place of each closed trial of a run, with its rows."""
    path = run.folder / SAMPLES
    end = read_samples(path).end
    with path.open("rb") as file:
        file.readline()
        start, rows = file.tell(), list[list[str]]()
        while file.tell() < end:
            rows.append(next(csv.reader([file.readline().decode()])))
            if rows[-1][_MEASURE] == TRIAL:
                yield _Span(run, start, file.tell()), rows
                start, rows = file.tell(), []


def _copy(span: _Span, run_id: str, out: BinaryIO) -> None:
    """The lines of a trial, whose first cell is the run."""
    with (span.run.folder / SAMPLES).open("rb") as file:
        file.seek(span.start)
        for line in file.read(span.end - span.start).splitlines(keepends=True):
            out.write(run_id.encode() + b"," + line.partition(b",")[2])


def _text(rows: Iterable[Sequence[str]], run_id: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([run_id, *row[1:]] for row in rows)
    return text.getvalue().encode()


def _cards(runs: Sequence[Run]) -> list[object]:
    """The cards of all runs, each once; none unless all have theirs."""
    if not all(run.has_cards() for run in runs):
        return []
    found: dict[str, object] = {}
    for run in runs:
        path = run.folder / CARDS
        try:
            cards = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: damaged, not valid JSON; remove the file to go on") from error
        found |= {json.dumps(card, sort_keys=True): card for card in cards}
    return list(found.values())
