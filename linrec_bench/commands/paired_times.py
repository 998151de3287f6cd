"""Times of this commit and of another, in turn: in every round a process of each, and their ratio."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from linrec_bench.analysis.intervals import Array, ratio_interval
from linrec_bench.analysis.verdict import Basis, Bound, Claim, Verdict, answer
from linrec_bench.commands import serve_trials
from linrec_bench.declarations import trainings
from linrec_bench.execution import schedule
from linrec_bench.gate.baseline import name_of
from linrec_bench.gate.other_commit import Tree, arguments_of
from linrec_bench.gate.remeasure import Timed, doubled, settle
from linrec_bench.suite.expand import Job

NOW, BEFORE = "now", "before"

NO_CLAIM = ("unsupported", "not in the suite")
"""Cases that end so are told by the exact counts."""


def timed(jobs: Sequence[Job]) -> list[Job]:
    """Those that measure the time of a call."""
    return [job for job in jobs if "time" in job.measures and job.case.task not in trainings()]


def verdicts(
    jobs: Sequence[Job],
    suite: str,
    device: str,
    settings: Sequence[str],
    plugins: Sequence[Path],
    tree: Tree,
    *,
    margin: float,
    budget_s: float,
    on_trial: Callable[[int, int], None] = lambda *_: None,
) -> list[Verdict]:
    """For each of the jobs, which measure time: no slower than at the commit of `tree`, but for `margin`.

    The suite and its options are those of now, for both. Raises `ValueError`, one line, where the code of
    either cannot run it.
    """
    arguments = (suite, device, settings)
    with (
        _Server("now", arguments_of(*arguments, plugins), Path(), os.environ) as now,
        _Server(tree.asked, arguments_of(*arguments, tree.plugins), tree.folder, tree.environment) as before,
    ):
        for server in (now, before):
            server.wait()
        rounds = _Rounds({NOW: now, BEFORE: before}, on_trial)
        found = settle(
            [Timed(frozenset({job.case.id}), partial(_verdict, job, margin)) for job in jobs],
            jobs,
            is_open=lambda verdict: verdict.answer == "undecided",
            measure=rounds.measure,
            budget_s=budget_s,
            rounds_at=doubled,
        )
    return [verdict for verdict in found if verdict.basis.facts.get("status") not in NO_CLAIM]


@dataclass
class _Rounds:
    """What both sides measured: case -> side -> round -> seconds of each call; how cases ended that cannot
    go on."""

    sides: Mapping[str, _Server]
    on_trial: Callable[[int, int], None]
    times: dict[str, dict[str, dict[int, Array]]] = field(default_factory=dict)
    ended: dict[str, dict[str, str]] = field(default_factory=dict)

    def measure(self, jobs: Sequence[Job]) -> _Rounds:
        """At least the rounds that the jobs ask for, each a process a side; which is first alternates."""
        trials = schedule.order(jobs)
        for done, trial in enumerate(trials, start=1):
            case = trial.job.case
            of_case = self.times.setdefault(case.id, {side: {} for side in self.sides})
            for side in sorted(self.sides, reverse=trial.round % 2 == 1):
                if case.id in self.ended or trial.round in of_case[side]:
                    continue
                told = self.sides[side].trial(name_of(case), trial.round)
                if told["status"] == "ok":
                    of_case[side][trial.round] = np.array(told["times"])
                else:
                    self.ended[case.id] = {"status": told["status"], "detail": f"{told['detail']} ({side})"}
            self.on_trial(done, len(trials))
        return self


def _verdict(job: Job, margin: float, rounds: _Rounds) -> Verdict:
    nan, case = math.nan, job.case.id
    times = rounds.times[case]
    if case in rounds.ended:
        found, low, high = nan, nan, nan
        basis = Basis("missing", {"measure": "time", **rounds.ended[case]})
    else:
        ratio = ratio_interval(times[NOW], times[BEFORE])
        basis = Basis("paired_rounds", {"rounds": ratio.rounds})
        found, low, high = ratio.value, ratio.low, ratio.high
        if ratio.over != "rounds":
            # One process a side does not tell how much processes differ.
            low = high = nan
    bound = Bound(-math.inf, 1 + margin, f"at most {margin:.0%} slower")
    return Verdict(
        claim=Claim(measure="time", quantity="baseline", bound=bound, source="baseline"),
        where={"case": name_of(job.case)},
        answer=answer(bound, low, high),
        found=found,
        low=low,
        high=high,
        basis=basis,
    )


class _Server:
    """A process of `serve_trials` in the folder of a commit; use it as a context."""

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        # -P: the folder of a script is no place to import from.
        command = [sys.executable, "-P", serve_trials.__file__, *arguments]
        self._name, self._log = name, tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed at exit
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def __enter__(self) -> _Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._process.kill()
        with self._log, self._process:
            pass

    def wait(self) -> None:
        """Return once nothing of it runs but on demand."""
        self._answer()

    def trial(self, case: str, round: int) -> dict[str, Any]:
        """What `serve_trials` answers."""
        assert self._process.stdin is not None, "it is a pipe"
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"case": case, "round": round}) + "\n")
            self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._answer())
        return answer

    def _answer(self) -> str:
        assert self._process.stdout is not None, "it is a pipe"
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._log.seek(0)
            reason = (self._log.read().strip() or f"exit {self._process.returncode}").splitlines()[-1]
            raise ValueError(f"--timed: {self._name}: trials cannot run: {reason}")
        return line
