"""What `linrec-bench answer` will do: a log and a budget of time -> two suites that fit into it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linrec_bench.commands.answer_probe import ADVICE, Probe, busy, probe
from linrec_bench.commands.answer_suites import (
    LINEAR,
    SOFTMAX,
    Log,
    cost_text,
    quality_text,
)
from linrec_bench.commands.predict import forecast, measure_ceilings
from linrec_bench.commands.run import Plan, start_executor
from linrec_bench.execution.devices import Located
from linrec_bench.execution.schedule import Ceilings
from linrec_bench.execution.trial import Executor
from linrec_bench.presentation import numbers
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand
from linrec_bench.whole_file import replaced

QUALITY, COST = "quality", "cost"
"""The suites, in the order in which they are run."""

COST_SHARE = 0.3
"""The part of the budget that measuring cost may take; training has what it leaves."""

WANTED_STEPS = 2_000
"""Optimiser steps after which SASRec on MovieLens-1M came to its best validation."""

FEWEST_SEEDS, MOST_SEEDS = 3, 10
FEWEST_EPOCHS = 2

START_S = 0.6
"""Seconds of a trial beside its calls."""

CALLS_BESIDE_SAMPLES, ABOVE_LEAST = 4, 2
"""A call takes about so many times the least that the device's ceilings allow."""

MOST_ROUNDS, FEWEST_ROUNDS = 5, 3


def files_of(log: Log, results: Path) -> dict[str, Path]:
    """Where the suites of a log are written, by what they are of."""
    return {kind: results / f"{log.name}-{kind}.yaml" for kind in (QUALITY, COST)}


def planned(name: str, text: str, located: Located) -> Plan:
    """A suite, made ready to run; `name` is that of its file."""
    suite = load.parse(text, name=name, stem=Path(name).stem, device=located.kind)
    return Plan(suite, expand(suite, device=located.kind), located.kind, (), located)


def check_same_log(log: Log, file: Path, plan: Plan) -> None:
    """Raise `ValueError` where a suite that is there already trains on another log; how the log is read may
    have been edited."""

    def told(dataset: Mapping[str, object]) -> str:
        return str(dataset.get("path", dataset["name"]))

    trained = {sweep.dataset for sweep in plan.suite.sweeps if sweep.dataset is not None}
    names = {told({"name": own.name, **dict(own.params)}) for own in trained} - {told(log.dataset)}
    if names:
        raise ValueError(
            f"{file}: trains on {', '.join(sorted(names))} and not on {told(log.dataset)}; remove it, or "
            "choose another folder with --results"
        )


@dataclass(frozen=True, kw_only=True)
class Size:
    """Seeds and epochs of the trainings and how long they take; the epochs that make `WANTED_STEPS` steps,
    and how long all takes with these."""

    seeds: int
    epochs: int
    seconds: float
    wanted_epochs: int
    wanted_s: float


def size_of(log: Log, softmax: Probe, linear: Probe, budget_s: float, *, beside_s: float) -> Size:
    """As many epochs as are wanted, in three to ten seeds; fewer epochs where the budget is too short.

    `beside_s` of the budget are for the suite of costs. Raises `ValueError` for a budget in which hardly
    anything is learnt.
    """
    several = [softmax, *[linear] * (len(LINEAR) + 1)]

    def seconds(epochs: float) -> float:
        return sum(each.training(epochs) for each in several)

    wanted = max(FEWEST_EPOCHS, math.ceil(WANTED_STEPS / log.steps))
    left_s = budget_s - beside_s
    seeds = int(np.clip(left_s // seconds(wanted), FEWEST_SEEDS, MOST_SEEDS))
    epochs = wanted
    while epochs >= FEWEST_EPOCHS and seeds * seconds(epochs) > left_s:
        epochs -= 1
    if epochs < FEWEST_EPOCHS:
        least = FEWEST_SEEDS * seconds(FEWEST_EPOCHS) + beside_s
        raise ValueError(
            f"--budget {numbers.time_left(budget_s)} is too short: {FEWEST_SEEDS} seeds of {len(several)} "
            f"mechanisms with {FEWEST_EPOCHS} epochs, and the costs, need about {numbers.time_left(least)} "
            f"at the speed of now ({busy()}); expected a longer one, {ADVICE}"
        )
    return Size(
        seeds=seeds,
        epochs=epochs,
        seconds=seeds * seconds(epochs),
        wanted_epochs=wanted,
        wanted_s=FEWEST_SEEDS * seconds(wanted) + beside_s,
    )


def cost_seconds(planned: Plan, ceilings: Ceilings, executor: Executor) -> float:
    """Seconds of the suite of costs: what each trial samples, or its calls where these take longer.

    Predicted for softmax and the first of `LINEAR`, from exact counts; the others take as long as that.
    """
    asked = [job for job in planned.jobs if job.case.attention in (SOFTMAX, LINEAR[0])]
    found = forecast(asked, memory_bytes=2**62, ceilings=ceilings, executor=executor)
    total = 0.0
    for each, job in zip(found, asked, strict=True):
        call_s = ABOVE_LEAST * (each.least_time_s or 0.0)
        sampled_s = max(job.sampling.seconds, job.sampling.min * call_s) + CALLS_BESIDE_SAMPLES * call_s
        if sampled_s < job.limits.case_seconds:
            same = 1 if job.case.attention == SOFTMAX else len(LINEAR)
            total += same * job.rounds * (START_S + sampled_s)
    return total


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Two suites that can be run, by what they are of, and their texts.

    `seconds` are predicted and `size` is what the budget came to; both empty where the files were there.
    """

    log: Log
    texts: Mapping[str, str]
    plans: Mapping[str, Plan]
    seconds: Mapping[str, float]
    size: Size | None = None

    def as_record(self) -> dict[str, object]:
        """Ready for JSON: of each suite its trials, predicted seconds (null where unknown) and text."""
        return {
            kind: {
                "trials": len(plan.trials),
                "predicted_s": self.seconds.get(kind),
                "suite": self.texts[kind],
            }
            for kind, plan in self.plans.items()
        }


def existing(log: Log, files: Mapping[str, Path], located: Located) -> Answer | None:
    """The suites of this log that an earlier call wrote, as they stand now; None where one is not there.

    Raises `ValueError` for a suite that cannot be read, or that is of another log.
    """
    if not all(file.is_file() for file in files.values()):
        return None
    texts = {kind: file.read_text(encoding="utf-8") for kind, file in files.items()}
    plans = {kind: planned(str(files[kind]), text, located) for kind, text in texts.items()}
    check_same_log(log, files[QUALITY], plans[QUALITY])
    return Answer(log=log, texts=texts, plans=plans, seconds={})


def plan(
    log: Log, files: Mapping[str, Path], located: Located, *, budget_s: float, say: Callable[[str], None]
) -> Answer:
    """The suites for a budget. Costs are predicted from exact counts, the trainings from one epoch of softmax
    and of a linear mechanism, which are measured here.

    Raises `ValueError` for a budget that is too short, with one that is not.
    """
    device = located.kind
    cost = planned(str(files[COST]), cost_text(log, device, rounds=1), located)
    once = planned(str(files[QUALITY]), quality_text(log, seeds=1, epochs=1), located)
    jobs = {job.case.attention: job for job in once.jobs}
    with closing(start_executor(once)) as executor:
        say("predicting the cost of each length from exact counts")
        round_s = cost_seconds(cost, measure_ceilings(cost, executor), executor)
        say("measuring one epoch of a training with softmax and with a linear mechanism")
        softmax, linear = (
            probe(executor, log, jobs[name], budget_s=budget_s) for name in (SOFTMAX, LINEAR[0])
        )
    rounds = int(np.clip(COST_SHARE * budget_s // round_s, FEWEST_ROUNDS, MOST_ROUNDS))
    size = size_of(log, softmax, linear, budget_s, beside_s=rounds * round_s)
    texts = {
        QUALITY: quality_text(log, seeds=size.seeds, epochs=size.epochs),
        COST: cost_text(log, device, rounds=rounds),
    }
    # What somebody has edited is never overwritten.
    texts |= {kind: file.read_text(encoding="utf-8") for kind, file in files.items() if file.is_file()}
    plans = {kind: planned(str(files[kind]), text, located) for kind, text in texts.items()}
    seconds = {QUALITY: size.seconds, COST: rounds * round_s}
    return Answer(log=log, texts=texts, plans=plans, seconds=seconds, size=size)


def write(answer: Answer, files: Mapping[str, Path]) -> None:
    """The files of both suites that are not there yet, each whole."""
    for kind, file in ((kind, file) for kind, file in files.items() if not file.exists()):
        with replaced(file, make_folder=True) as temporary:
            temporary.write_text(answer.texts[kind], encoding="utf-8")
