"""`linrec-bench calibrate`: false alarms and detected slowdowns of timed checks on this machine.

Rounds of the timed cases of a suite, or of a few cases, are measured once, in fresh processes, interleaved;
`analysis.power` draws A/A and planted checks from them, with the rounds and looks of the gate. Exact counts
have no noise, so they are only counted again: as they are, and with the peak of memory doubled. The margins
that follow go to a file that `check` reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from linrec_bench import __version__
from linrec_bench.analysis.intervals import Array
from linrec_bench.analysis.power import SAME, Line, Tally, tallies, tally
from linrec_bench.analysis.verdict import Answer
from linrec_bench.case import Case
from linrec_bench.execution import schedule
from linrec_bench.execution.trial import Executor, Trial
from linrec_bench.gate import baseline
from linrec_bench.gate.baseline_verdicts import compare
from linrec_bench.gate.remeasure import looks
from linrec_bench.suite.expand import Job
from linrec_bench.suite.limits import Limits, Sampling
from linrec_bench.whole_file import replaced

OWN, REFERENCE = "linrec", "softmax"
SEQ_LENS = (256, 512, 1024, 2048)
ROUNDS = 30
FIRST_ROUNDS = 5
DRAWS = 400
RECOUNTS = 20
DOUBLED = "doubled memory"

_MACHINE = ("machine", "device", "threads", "allocator")
"""The parts of an environment that noise belongs to; other code is what a gate is there to compare."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was found, and where. `margins` maps a measure to the margin to compare it with, None where no
    margin tried was wide enough; `timed` and `exact` hold the tallies that they follow from. `suite` names
    that whose lines these are, and is empty for the built-in ones; `looks` are the rounds of a check."""

    linrec_bench: str
    made: str
    machine: dict[str, object]
    lines: tuple[str, ...]
    suite: str
    rounds: int
    looks: tuple[int, ...]
    margins: dict[str, float | None]
    timed: tuple[Tally, ...]
    exact: tuple[Tally, ...]
    schema_version: Literal[2] = 2

    def __post_init__(self) -> None:
        margin = self.margins.get("time", math.nan)
        if margin is not None and not 0 <= margin < math.inf:
            raise ValueError(f"margins.time is {margin}; expected a share such as 0.1, or null")

    def to_json(self) -> str:
        return _ADAPTER.dump_json(self, indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Raises `ValueError` that names the first key that is missing or wrong."""
        try:
            return _ADAPTER.validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise ValueError(f"{place}: {first['msg']}") from error

    def differs(self, environment: Mapping[str, object]) -> list[str]:
        """The parts of `environment` (of `results.environment.describe`) that are not those calibrated."""
        return [part for part in _MACHINE if self.machine.get(part) != environment[part]]

    def entries(self) -> list[dict[str, str]]:
        """The rates at the recommended margins (at the widest tried where none is), in words, a row each."""
        widest = max(tally.margin for tally in self.timed)
        shown = (self.margins["time"] or widest, 0.0)
        return [
            {
                "planted": tally.effect,
                "margin": f"{tally.margin:.0%}",
                "broken": f"{tally.broken_share:.1%} [{tally.low:.1%}, {tally.high:.1%}]",
                "undecided": str(tally.undecided),
                "holds": str(tally.holds),
            }
            for tally in (*self.timed, *self.exact)
            if tally.margin in shown
        ]


_ADAPTER = TypeAdapter(Calibration)


def write(path: Path, calibration: Calibration) -> None:
    """Replace the file whole."""
    with replaced(path) as temporary:
        temporary.write_text(calibration.to_json(), encoding="utf-8")


def read(path: Path) -> Calibration:
    """The calibration in `path`; `ValueError` (one line, with what to do) when it is none."""
    try:
        return Calibration.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read ({error.strerror}); make it with linrec-bench calibrate"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{path}: no calibration of this version: {error}; make it anew with linrec-bench calibrate"
        ) from error


Pair = tuple[Job, Job]
"""A job, and that of its reference mechanism at the same point."""


def calibrate(
    executor: Executor,
    pairs: Sequence[Pair],
    *,
    suite: str = "",
    environment: Mapping[str, object],
    now: datetime,
    rounds: int = ROUNDS,
    draws: int = DRAWS,
    on_trial: Callable[[int, int], None] = lambda *_: None,
) -> Calibration:
    """Measure `rounds` rounds of every pair, then draw checks that start with the fewest rounds of a pair.

    `on_trial` is told how many trials are done, of how many. Raises `ValueError` for a trial that did not end
    well.
    """
    first = min(min(own.rounds, reference.rounds) for own, reference in pairs)
    jobs = {job.case.id: replace(job, rounds=rounds) for pair in pairs for job in pair}
    samples = collect(list(jobs.values()), executor, on_trial)
    lines = [
        Line(own.case.seq_len, samples[own.case.id], samples[reference.case.id]) for own, reference in pairs
    ]
    margin, timed = tallies(lines, looks=looks(first), draws=draws)
    return Calibration(
        linrec_bench=__version__,
        made=now.isoformat(timespec="seconds"),
        machine={part: environment[part] for part in _MACHINE},
        lines=tuple(f"{baseline.name_of(own.case)} / {other.case.attention_label}" for own, other in pairs),
        suite=suite,
        rounds=rounds,
        looks=looks(first),
        margins={"time": margin} | dict.fromkeys(baseline.UNITS, 0.0),
        timed=tuple(timed),
        exact=tuple(_exact_tallies([job.case for job in jobs.values()], executor)),
    )


def collect(
    jobs: Sequence[Job], executor: Executor, on_trial: Callable[[int, int], None]
) -> dict[str, dict[int, Array]]:
    """Times in seconds, each trial in a process of its own: id of a case -> round -> samples."""
    from linrec_bench.execution.worker import measure

    times_of: dict[str, dict[int, Array]] = {job.case.id: {} for job in jobs}
    trials = schedule.order(jobs)
    for done, trial in enumerate(trials, start=1):
        work = partial(measure, trial.job, trial.round)
        result = executor.submit(Trial(work=work, seconds=trial.job.limits.case_seconds)).result()
        case = trial.job.case
        if result.status != "ok":
            raise ValueError(
                f"calibrate: {case.attention} at seq_len {case.seq_len} ended as {result.status}: "
                f"{result.detail}; expected a machine that runs it"
            )
        times = [sample.value for sample in result.samples if sample.measure == "time"]
        times_of[case.id][trial.round] = np.array(times)
        on_trial(done, len(trials))
    return times_of


def own_pairs(device: str, seq_lens: Sequence[int] = SEQ_LENS) -> list[Pair]:
    """LinRec beside softmax at a few lengths, where no suite is calibrated."""

    def job(attention: str, seq_len: int) -> Job:
        return Job(
            case=Case(task="layer", phase="forward", attention=attention, seq_len=seq_len, device=device),
            measures=("time",),
            rounds=FIRST_ROUNDS,
            limits=Limits(),
            sampling=Sampling(seconds=0.2),
        )

    return [(job(OWN, seq_len), job(REFERENCE, seq_len)) for seq_len in seq_lens]


def _exact_tallies(cases: Sequence[Case], executor: Executor) -> list[Tally]:
    """Recounts against the first count: as they are, and with the peak of memory doubled."""
    counted = [_counts(cases, executor) for _ in range(1 + RECOUNTS)]
    accepted = baseline.Baseline("", counted[0])
    doubled = [
        {name: {**case, "peak_live_bytes": 2 * case["peak_live_bytes"]} for name, case in counts.items()}
        for counts in counted
    ]

    def of_check(counts: baseline.Counts) -> Answer:
        verdicts = compare(counts, accepted, whole=True)
        return "broken" if any(verdict.answer == "broken" for verdict in verdicts) else "holds"

    return [
        tally(SAME, 0.0, [of_check(c) for c in counted[1:]]),
        tally(DOUBLED, 0.0, [of_check(c) for c in doubled[1:]]),
    ]


def _counts(cases: Sequence[Case], executor: Executor) -> baseline.Counts:
    from linrec_bench.execution.worker import predict

    futures = {baseline.name_of(case): executor.call(predict, case) for case in cases}
    counts = {}
    for name, future in futures.items():
        prediction = future.result()
        assert prediction is not None, "a layer has a fixed shape"
        assert prediction.counted, "mechanisms of the package are counted"
        counts[name] = baseline.counts_in(prediction)
    return counts
