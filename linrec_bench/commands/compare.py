"""`linrec-bench compare`: stored runs compared, differences of environment and suite first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from linrec_bench.analysis.case_pairing import Place
from linrec_bench.analysis.compare import (
    DEFAULT_QUALITY_MARGIN,
    NO_RANKS,
    compare_mechanisms,
    compare_runs,
)
from linrec_bench.analysis.comparison import Comparison
from linrec_bench.analysis.intervals import LEVEL
from linrec_bench.analysis.naming import is_meant
from linrec_bench.analysis.paired_quality import Ranks, between_runs, differences
from linrec_bench.analysis.quality_findings import difference_findings
from linrec_bench.analysis.samples_table import outcomes
from linrec_bench.gate import calibration
from linrec_bench.gate.check import BROKEN, HOLDS, NOTHING, UNDECIDED
from linrec_bench.presentation import numbers, words
from linrec_bench.presentation.case_names import case_name
from linrec_bench.results import stored_runs
from linrec_bench.results.store import Run, open_run
from linrec_bench.suite import strict_yaml

DEFAULT_MARGIN = 0.25
"""For ratios of times of two runs where nothing was calibrated."""

TIMES_BELONG_TO = (
    "machine.processor",
    "machine.cores",
    "device.kind",
    "device.name",
    "device.power_limit_w",
    "torch.cpu_capability",
    "threads",
    "allocator",
)
"""What must be the same for times of two runs to be compared. Versions of code, Python, torch, kernel and
driver are not in it: whether those made anything slower is what people compare runs for."""

_NOT_ENVIRONMENT = ("schema_version", "run_id", "suite", "number", "created_utc", "fingerprint", "command")


@dataclass(frozen=True)
class Difference:
    """A key of environment.json or of the resolved suite (`suite.` before it) whose values differ."""

    key: str
    a: object
    b: object


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A comparison and all that a person must know to read it.

    `attention` and `against` are empty when whole runs are compared, `a` and `b` the same folder when two
    mechanisms of one run are. `other_machine` says why times were not judged. `quality` has the differences
    of quality paired by user and seed (`analysis.quality`), where both sides stored ranks.
    """

    a: Path
    b: Path
    attention: str
    against: str
    margin: float
    quality_margin: float
    differences: tuple[Difference, ...]
    other_machine: str
    notes: tuple[str, ...]
    comparison: Comparison
    quality: pd.DataFrame

    def as_record(self) -> dict[str, object]:
        """Ready for JSON: numbers that are not finite are None."""
        found = self.comparison
        record = {
            "a": str(self.a),
            "b": str(self.b),
            "attention": self.attention,
            "against": self.against,
            "margin": self.margin,
            "quality_margin": self.quality_margin,
            "level": LEVEL,
            "correction": "Holm",
            "exit_code": exit_code(found),
            "differences": [asdict(difference) for difference in self.differences],
            "other_machine": self.other_machine,
            "notes": list(self.notes),
            "verdicts": dict(found.verdicts()),
            "lines": [
                asdict(line)
                | {
                    "case": _name(line.place),
                    "change_word": words.change(line.measure, line.family, line.verdict),
                }
                for line in found.lines
            ],
            "failures": [asdict(failure) | {"case": _name(failure.place)} for failure in found.failures],
            "reached": [asdict(each) | {"case": _name(each.place)} for each in found.reached],
            "quality": self.quality.to_dict("records"),
            "findings": [finding.as_record() for finding in difference_findings(self.quality)],
            "only_a": list(map(_name, found.only_a)),
            "only_b": list(map(_name, found.only_b)),
            "only_measured": [
                {"measure": measure, "side": side, "cases": cases}
                for (measure, side), cases in found.only_measured.items()
            ],
        }
        plain = _plain(record)
        assert isinstance(plain, dict)
        return plain


def newest(folder: Path, say: Callable[[str], None]) -> Path:
    """The folder itself if it is a run, else that of the newest run of the suite in it, which `say` names.

    Raises `ValueError` for a folder of several suites or without a run.
    """
    if not folder.is_dir() or stored_runs.is_run(folder):
        return folder
    found, notes = stored_runs.of_suite(folder)
    suites = [folder / name for name in stored_runs.of_root(folder)[0]] or [run.folder for run in found]
    if len({run.environment().get("suite") for run in found}) != 1:
        names = ", ".join(map(str, suites))
        said = f"holds several suites; name one of: {names}" if suites else "no run is in it"
        raise ValueError(f"{folder}: {said}")
    for note in [*notes, f"{folder}: its newest run, {found[-1].id}"]:
        say(note)
    return found[-1].folder


def runs(
    a: Path,
    b: Path,
    *,
    margin: float,
    attention: str | None = None,
    quality_margin: float = DEFAULT_QUALITY_MARGIN,
    target: float | None = None,
) -> Compared:
    """The run in folder `b` compared with that in `a`; `attention` keeps one mechanism.

    `target` is a validation NDCG@10, of which is told what it cost on both sides. Raises `ValueError` (one
    line) for a folder that holds no run and for the same run twice.
    """
    before, after = open_run(a), open_run(b)
    if a.resolve() == b.resolve():
        raise ValueError(f"{a}: the same run twice; name two runs, or --attention and --against for one")
    differences = _differences(before, after)
    other_machine = _other_machine(differences)
    tables, ranks, notes = _stored(before, after)
    found = compare_runs(
        tables[0],
        tables[1],
        margin=margin,
        quality_margin=quality_margin,
        attention=attention,
        other_machine=other_machine,
        target=target,
        ranks=(ranks[0], ranks[1]),
    )
    return Compared(
        a=a,
        b=b,
        attention=attention or "",
        against="",
        margin=margin,
        quality_margin=quality_margin,
        differences=differences,
        other_machine=other_machine,
        notes=notes,
        comparison=found,
        quality=between_runs(_cases(tables[0], attention), ranks[0], _cases(tables[1], attention), ranks[1]),
    )


def mechanisms(
    folder: Path,
    *,
    attention: str,
    against: str,
    margin: float,
    quality_margin: float = DEFAULT_QUALITY_MARGIN,
    target: float | None = None,
) -> Compared:
    """`attention` compared with `against` in the run in `folder`."""
    run = open_run(folder)
    (table,), (ranks,), notes = _stored(run)
    found = compare_mechanisms(
        table,
        attention=attention,
        against=against,
        margin=margin,
        quality_margin=quality_margin,
        target=target,
        ranks=ranks,
    )
    return Compared(
        a=folder,
        b=folder,
        attention=attention,
        against=against,
        margin=margin,
        quality_margin=quality_margin,
        differences=(),
        other_machine="",
        notes=notes,
        comparison=found,
        quality=differences(_cases(table, attention, against), ranks, reference=against),
    )


def _stored(*runs: Run) -> tuple[list[pd.DataFrame], list[Ranks], tuple[str, ...]]:
    """The samples and ranks of each run, and what is left out; where one is kept without its samples, the
    summary of each."""
    without = [run for run in runs if not run.has_samples()]
    if not without:
        notes = (*_left_out(*runs), *_budgets(*runs))
        return [run.samples() for run in runs], [run.ranks() for run in runs], notes
    notes = tuple(
        f"{run.folder}: kept without samples, compared by its summary: intervals are those of medians, and "
        "nothing is paired by user"
        for run in without
    )
    return [run.summary() for run in runs], [NO_RANKS for _ in runs], (*notes, *_budgets(*runs))


def _budgets(*runs: Run) -> tuple[str, ...]:
    """What a budget of seconds means for quality."""
    ranked = [case for run in runs for case in run.cases().values() if case.evaluation is not None]
    given = {case.training.budget_seconds for case in ranked if case.training is not None}
    budgets = sorted(filter(None, given))
    if not budgets:
        return ()
    seconds = ", ".join(map(numbers.duration, budgets))
    return (f"{seconds} for each training: how far it comes, and so its quality, depends on the machine",)


def _cases(table: pd.DataFrame, *names: str | None) -> pd.DataFrame:
    """The cases of a table, and how each ended; those of the named mechanisms where any is named."""
    cases = outcomes(table)
    wanted = [is_meant(cases, name) for name in names if name is not None]
    return cases[np.logical_or.reduce(wanted)] if wanted else cases


def _left_out(*runs: Run) -> tuple[str, ...]:
    """What of the runs is not compared, by name: half-written rows, and runs in which no trial has ended."""
    notes = []
    for run in runs:
        if cut := run.half_written():
            rows = "row" if cut == 1 else "rows"
            notes.append(f"{run.folder}: {cut} half-written {rows} of a trial that was cut off, left out")
        if not run.finished_trials():
            notes.append(f"{run.folder}: empty, no trial has ended")
    return tuple(notes)


def margin_of(folder: Path, file_name: str) -> tuple[float, str]:
    """The margin for ratios of times of the run in `folder`, and in words where it comes from.

    It is that of the file `file_name` beside the suites of the run, if it was made on the run's machine.
    """
    path = folder.resolve().parent.parent / file_name
    if not path.is_file():
        return DEFAULT_MARGIN, "by default; `linrec-bench calibrate` finds that of a machine"
    found = calibration.read(path)
    differs = found.differs(open_run(folder).environment())
    if differs:
        return DEFAULT_MARGIN, f"by default; {path} was calibrated elsewhere ({', '.join(differs)} differ)"
    calibrated = found.margins["time"]
    if calibrated is None:
        return DEFAULT_MARGIN, f"by default; {path} found none that is wide enough"
    return calibrated, f"from {path}"


def _name(place: Place) -> str:
    return case_name(vars(place))


def exit_code(found: Comparison) -> int:
    """1 when anything got worse, else 3 when anything is undecided, else 0; 4 when nothing was compared."""
    given = found.verdicts()
    if not given:
        return NOTHING
    if given["worse"]:
        return BROKEN
    return UNDECIDED if given["undecided"] else HOLDS


def _differences(a: Run, b: Run) -> tuple[Difference, ...]:
    sides = []
    for run in (a, b):
        described = {k: v for k, v in run.environment().items() if k not in _NOT_ENVIRONMENT}
        sides.append(dict(_flat({**described, "suite": _suite(run)})))
    keys = dict.fromkeys([*sides[0], *sides[1]])
    return tuple(
        Difference(key, *(side.get(key) for side in sides))
        for key in keys
        if sides[0].get(key) != sides[1].get(key)
    )


def _suite(run: Run) -> object:
    try:
        return strict_yaml.read(run.suite_text())[1]
    except strict_yaml.Fault as fault:
        raise ValueError(f"{run.folder}: its suite.yaml is damaged: {fault}") from None


def _flat(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Leaves with dotted keys: `torch.version`, `suite.sweeps.0.rounds`. Lists of plain values are leaves."""
    children: Mapping[str, object] = {}
    if isinstance(value, dict):
        children = value
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        children = {str(index): item for index, item in enumerate(value)}
    if not children:
        yield key, value
    for name, child in children.items():
        yield from _flat(child, f"{key}.{name}" if key else str(name))


def _other_machine(differences: tuple[Difference, ...]) -> str:
    found = [
        difference.key
        for difference in differences
        if any(difference.key == part or difference.key.startswith(f"{part}.") for part in TIMES_BELONG_TO)
    ]
    return f"measured under other conditions: {', '.join(found)} differ" if found else ""


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
