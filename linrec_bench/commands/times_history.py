"""`linrec-bench history --times`, without its printing: at which runs of a suite cases took another time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench.analysis.change_points import FEWEST, LEVEL, ChangePoint, change_points
from linrec_bench.results import stored_runs
from linrec_bench.results.environment import MATTERS
from linrec_bench.results.samples_file import StoreError
from linrec_bench.results.store import Run

if TYPE_CHECKING:
    import pandas as pd

CODE = ("linrec_bench", "python", "torch", "plugins")
"""The parts of an environment whose change may be what changed the times; the others are the machine."""


@dataclass(frozen=True)
class Step:
    """A run from which on cases took another time than up to the run `before` it. `changed`: part of the
    environment -> its values in the two, where they differ. `cases`: the fields of a case, and its change."""

    run: str
    before: str
    date: str
    changed: Mapping[str, tuple[object, object]]
    cases: Sequence[tuple[Mapping[str, object], ChangePoint]]

    def as_record(self) -> dict[str, object]:
        """As `--json` prints it."""
        cases = [{**case, **asdict(change)} for case, change in self.cases]
        return {**asdict(self), "cases": cases}


@dataclass(frozen=True)
class Times:
    """What the runs of a folder say; `series`: how many cases have a time in `2 * FEWEST` runs."""

    runs: int
    series: int
    steps: Sequence[Step]
    notes: Sequence[str]


def steps(folder: Path) -> Times:
    """The steps in the times of the runs in `folder`, those of one suite as they were begun.

    Only runs on the machine of the newest one count. The risk of any false step is 5 %: each case is tested
    at its share of that. Raises `ValueError`, one line, for a folder of several suites, and where no case has
    been timed in enough runs.
    """
    runs, notes = stored_runs.at(folder)
    kept, summaries = _summaries(runs, notes)
    suites = sorted({str(environment.get("suite", "")) for _, environment in kept})
    if len(suites) > 1:
        raise ValueError(f"--times {folder}: holds runs of {', '.join(suites)}; expected those of one suite")
    series, fields = _series(summaries)
    if not series:
        raise ValueError(
            f"--times {folder}: no case has a time in {2 * FEWEST} runs on one machine, {len(kept)} found; "
            "expected more runs of a suite with measure time"
        )
    found: dict[int, list[tuple[Mapping[str, object], ChangePoint]]] = {}
    for case, times in series.items():
        numbers = sorted(times)
        for change in change_points([times[number] for number in numbers], level=LEVEL / len(series)):
            found.setdefault(numbers[change.at], []).append((fields[case], change))
    return Times(
        len(kept), len(series), [_step(kept[at - 1], kept[at], found[at]) for at in sorted(found)], notes
    )


Described = tuple[Run, Mapping[str, object]]


def _summaries(runs: Sequence[Run], notes: list[str]) -> tuple[list[Described], list[pd.DataFrame]]:
    found: list[tuple[Described, pd.DataFrame]] = []
    for run in runs:
        try:
            found.append(((run, run.environment()), run.summary()))
        except StoreError as reason:
            notes.append(f"{run.folder}: left out: {reason}")
    kept = [each for each in found if _machine(each[0][1]) == _machine(found[-1][0][1])]
    if len(kept) < len(found):
        others = f"{len(found) - len(kept)} of {len(found)} runs"
        notes.append(f"{others} left out: not on the machine of the newest")
    return [described for described, _ in kept], [summary for _, summary in kept]


def _machine(environment: Mapping[str, object]) -> list[object]:
    return [environment.get(part) for part in MATTERS if part not in CODE]


def _series(
    summaries: Sequence[pd.DataFrame],
) -> tuple[dict[str, dict[int, float]], dict[str, Mapping[str, object]]]:
    """Case -> number of the run -> seconds, of cases with enough of them; case -> its fields."""
    series: dict[str, dict[int, float]] = {}
    fields: dict[str, Mapping[str, object]] = {}
    for number, summary in enumerate(summaries):
        timed = summary[summary["time_s"].between(1 / _LONGEST_S, _LONGEST_S)]
        for row in timed.to_dict("records"):
            case = str(row["case_id"])
            series.setdefault(case, {})[number] = float(row["time_s"])
            fields[case] = {column: row[column] for column in _FIELDS}
    return {case: times for case, times in series.items() if len(times) >= 2 * FEWEST}, fields


_LONGEST_S = 1e9
"""What lies beyond in either direction is damage, no time."""

_FIELDS = ("case_id", "attention", "task", "phase", "causal", "seq_len", "batch_size", "hidden_size")


def _step(
    before: Described, run: Described, cases: Sequence[tuple[Mapping[str, object], ChangePoint]]
) -> Step:
    parts = {part: (before[1].get(part), run[1].get(part)) for part in CODE}
    changed = {part: values for part, values in parts.items() if values[0] != values[1]}
    return Step(run[0].id, before[0].id, str(run[1].get("created_utc", ""))[:10], changed, cases)
