"""Exact counts of commits in one small file, and the steps between them: counts have no noise, so that every
difference is a step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from linrec_bench.gate.baseline import UNITS, Counts
from linrec_bench.whole_file import replaced

SCHEMA_VERSION = 1


class _Head(BaseModel):
    """The first line of the file."""

    schema_version: Literal[1]
    suite: str


class Commit(BaseModel, frozen=True):
    """A commit of git; `parent` is its first, empty for a root, and `date` is YYYY-MM-DD."""

    commit: str
    parent: str
    date: str
    subject: str


class _Line(Commit, frozen=True):
    """A further line: what differs from the line above, null where a case has no such count any more."""

    torch: str
    changed: Mapping[str, Mapping[str, int | None]]


@dataclass(frozen=True)
class Entry:
    """The counts of a commit, and the torch on which they were counted."""

    commit: Commit
    torch: str
    counts: Counts


@dataclass(frozen=True)
class History:
    """Entries in the order in which they were recorded, all of one suite."""

    suite: str
    entries: tuple[Entry, ...] = ()

    def with_entry(self, entry: Entry) -> History:
        """This one with the entry at its end, or in place of one of the same commit and torch."""
        keys = [(each.commit.commit, each.torch) for each in self.entries]
        key = (entry.commit.commit, entry.torch)
        if key not in keys:
            return replace(self, entries=(*self.entries, entry))
        at = keys.index(key)
        return replace(self, entries=(*self.entries[:at], entry, *self.entries[at + 1 :]))

    def steps(self) -> list[tuple[Entry, Entry]]:
        """Neighbours that differ, the earlier one first."""
        return [(a, b) for a, b in zip(self.entries, self.entries[1:], strict=False) if a.counts != b.counts]


def read(path: Path) -> History:
    """The history in `path`; `ValueError`, one line with the place, for what cannot be read."""
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ValueError(f"{path}: cannot be read ({reason}); make it with --record") from error
    number, counts, entries = 1, dict[str, dict[str, int]](), list[Entry]()
    try:
        head = _Head.model_validate_json(first)
        for text in lines:
            number += 1
            line = _Line.model_validate_json(text)
            counts = _applied(counts, line.changed)
            commit = Commit(**line.model_dump(include=set(Commit.model_fields)))
            entries.append(Entry(commit, line.torch, counts))
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        reason = f"{place}: {error.errors()[0]['msg']}".removeprefix(": ")
        raise ValueError(f"{path}: line {number}: {reason}; restore the file") from error
    return History(head.suite, tuple(entries))


def write(path: Path, history: History) -> None:
    """Replace the file whole: a line for the suite, then one for each entry with what it changed."""
    lines: list[dict[str, object]] = [{"schema_version": SCHEMA_VERSION, "suite": history.suite}]
    before: Counts = {}
    for entry in history.entries:
        changed = difference(before, entry.counts)
        lines.append(entry.commit.model_dump() | {"torch": entry.torch, "changed": changed})
        before = entry.counts
    with replaced(path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def difference(before: Counts, after: Counts) -> dict[str, dict[str, int | None]]:
    """Case -> measure -> count, for counts of `after` that are new or others, and None for those gone."""
    changed: dict[str, dict[str, int | None]] = {}
    for case in sorted({*before, *after}):
        old, new = before.get(case, {}), after.get(case, {})
        differing = {name: new.get(name) for name in sorted({*old, *new}) if old.get(name) != new.get(name)}
        if differing:
            changed[case] = differing
    return changed


def _applied(counts: Counts, changed: Mapping[str, Mapping[str, int | None]]) -> dict[str, dict[str, int]]:
    """The counts after `changed`; cases without a count are left out."""
    found = {case: dict(measures) for case, measures in counts.items()}
    for case, measures in changed.items():
        merged = {**found.get(case, {}), **measures}
        found[case] = {name: count for name, count in merged.items() if count is not None}
    return {case: measures for case, measures in found.items() if measures}


def bisect(counts: Callable[[int], Counts | None], commits: int) -> Iterator[tuple[int, int]]:
    """Neighbours among numbered commits between which the counts differ, from the first to the last.

    Halves every range whose ends differ: of `commits`, each step asks for about log2 as many counts. What was
    changed and changed back between two equal ends is not seen. Commits that cannot be counted (None) are
    passed over, so that the two need not be next to each other. `counts` is asked for a commit again and
    again.
    """
    ranges = [(0, commits - 1)] if commits > 1 else []
    while ranges:
        low, high = ranges.pop()
        if counts(low) == counts(high):
            continue
        from_the_middle = sorted(range(low + 1, high), key=lambda at: abs(2 * at - low - high))
        middle = next((at for at in from_the_middle if counts(at) is not None), None)
        if middle is None:
            yield low, high
        else:
            ranges += [(middle, high), (low, middle)]


def for_github_action_benchmark(entry: Entry) -> list[dict[str, object]]:
    """Its format `customSmallerIsBetter`."""
    return [
        {"name": f"{case} {measure}", "unit": UNITS.get(measure, ""), "value": count}
        for case, measures in entry.counts.items()
        for measure, count in measures.items()
    ]


def for_bencher(entry: Entry) -> dict[str, object]:
    """Bencher Metric Format: benchmark -> measure -> value."""
    return {
        case: {measure: {"value": count} for measure, count in measures.items()}
        for case, measures in entry.counts.items()
    }


EXPORTS: Mapping[str, Callable[[Entry], Sequence[object] | Mapping[str, object]]] = {
    "github": for_github_action_benchmark,
    "bencher": for_bencher,
}
