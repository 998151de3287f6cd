"""Which trials, in which order, and which of them are not worth starting. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from linrec_bench.case import Case
from linrec_bench.declarations import tasks
from linrec_bench.presentation.numbers import memory
from linrec_bench.results.store import Trial
from linrec_bench.suite.expand import Job

_CALLS_BESIDE_SAMPLES = 4
"""Calls of a trial that yield no time sample: warm-up, the memory pass and its own warm-up."""


FAR_BEYOND_PRODUCTS, FAR_BEYOND_COPIES = 10, 40
"""A call that is so many times faster than the ceilings allow cannot have been made."""


@dataclass(frozen=True)
class Planned:
    """One trial: a job in one round, in a process of its own."""

    job: Job
    round: int

    @property
    def key(self) -> Trial:
        return (self.job.case.id, self.round)

    @property
    def alone(self) -> bool:
        """Whether its times would tell of what runs beside it; a whole training is long enough not to."""
        return not tasks()[self.job.case.task].whole_training


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What is known of a case before it runs: exact counts on fake tensors, or why there are none.

    `operations` are the FLOPs of products and one for each element that anything else touches, `dispatches`
    the operations that torch is asked for, `double_elements` those of results in float64, and `left_bytes`
    what a further call leaves alive; `facts` are those of the workload, such as the events of its batch.
    `beyond_live_bytes` is what the process may take beyond live tensors: scratch of kernels and holes of the
    heap. `opaque` are operations of unknown cost, which the counts lack. `compiles`: whether its first call
    may compile kernels. `unsupported` says why the case cannot run, `error` what its code raised on fake
    tensors.
    """

    flops: int = 0
    operations: int = 0
    dispatches: int = 0
    double_elements: int = 0
    left_bytes: int = 0
    peak_live_bytes: int = 0
    saved_bytes: int = 0
    minimum_bytes: int = 0
    state_bytes: int | None = None
    setup_bytes: int = 0
    beyond_live_bytes: int = 0
    opaque: tuple[str, ...] = ()
    facts: Mapping[str, int] = field(default_factory=dict, hash=False)
    compiles: bool = False
    unsupported: str = ""
    error: str = ""

    @property
    def counted(self) -> bool:
        """Whether there are counts."""
        return not (self.unsupported or self.error)

    @property
    def needed_bytes(self) -> int:
        """Inputs and outputs beside the peak of what a call holds in between, tensors or not, or what
        building them needs."""
        return max(self.peak_live_bytes + self.beyond_live_bytes + self.minimum_bytes, self.setup_bytes)


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """What the device can do: bytes copied a second and floating-point operations a second."""

    copy_bandwidth: float
    matmul_rate: float

    def seconds(self, prediction: Prediction) -> float:
        """A yardstick for the time of one call: its products and one pass over its peak of live bytes."""
        return (
            prediction.flops / self.matmul_rate
            + 2 * (prediction.peak_live_bytes + prediction.minimum_bytes) / self.copy_bandwidth
        )

    def least_seconds(self, prediction: Prediction) -> float:
        """What no implementation can beat: its products, or the bytes that must move, whichever is longer."""
        return max(
            prediction.flops / self.matmul_rate,
            prediction.minimum_bytes / self.copy_bandwidth,
        )

    def beaten_by(self, prediction: Prediction, call_seconds: float) -> str | None:
        """Why a call that mixes tokens cannot have taken as little as `call_seconds`; None where it can.

        The ceilings are those of one large product and of a copy through memory. Caches are faster than
        memory, and kernels may leave out what a causal form does not need, so they are beaten by far only.
        """
        arithmetic = prediction.flops / self.matmul_rate / FAR_BEYOND_PRODUCTS
        traffic = prediction.minimum_bytes / self.copy_bandwidth / FAR_BEYOND_COPIES
        least = max(arithmetic, traffic) if prediction.flops else 0.0
        if call_seconds >= least:
            return None
        return (
            f"a call took {call_seconds:.1e} s, less than {least:.1e} s, by which it would be "
            f"{FAR_BEYOND_PRODUCTS} times faster than the products that this device was measured to make, or "
            f"{FAR_BEYOND_COPIES} times faster than its copies: a fault of the measurement"
        )


def order(jobs: Sequence[Job], *, seed: int = 0) -> list[Planned]:
    """Every trial. Rounds are outermost, so that a case's processes are spread over the whole run; within
    one grid point the mechanisms run side by side in an order drawn anew for each round."""
    draw = random.Random(seed)
    trials: list[Planned] = []
    for round in range(max((job.rounds for job in jobs), default=0)):
        for _, group in groupby((job for job in jobs if round < job.rounds), key=lambda job: job.grid_point):
            beside = [Planned(job, round) for job in group]
            draw.shuffle(beside)
            trials.extend(beside)
    return trials


def remaining(trials: Sequence[Planned], stored: Collection[Trial]) -> list[Planned]:
    """The trials that a resumed run still owes."""
    return [trial for trial in trials if trial.key not in stored]


def may_start(trial: Planned, running: Collection[Planned], *, slots: int, apart: int = 1) -> bool:
    """Whether a trial may begin beside those that run: some run alone on one of the devices, of which there
    are `apart`, and a case one round after another."""
    alone = trial.alone or any(other.alone for other in running)
    if len(running) >= (apart if alone else slots):
        return False
    return all(other.job.case != trial.job.case for other in running)


def memory_bytes(limit: int | str, free_bytes: int) -> int:
    """An amount, or a share such as `80%` of what is free."""
    return limit if isinstance(limit, int) else int(free_bytes * float(limit.rstrip("%")) / 100)


@dataclass
class Pace:
    """Learns how long calls take, and predicts the next one of the same mechanism from the nearest."""

    ceilings: Ceilings
    _known: dict[Case, list[tuple[float, float, int]]] = field(default_factory=dict)

    def learn(self, case: Case, prediction: Prediction, call_seconds: float) -> None:
        yardstick = self.ceilings.seconds(prediction)
        self._known.setdefault(_curve(case), []).append((yardstick, call_seconds, case.seq_len))

    def predict(self, case: Case, prediction: Prediction) -> tuple[float, int] | None:
        """Seconds a call, and the sequence length they are extrapolated from; None before any is known."""
        known = self._known.get(_curve(case))
        yardstick = self.ceilings.seconds(prediction)
        if not known or yardstick <= 0:
            return None
        nearest, seconds, seq_len = min(known, key=lambda point: abs(point[0] - yardstick))
        return seconds * yardstick / nearest, seq_len


def _curve(case: Case) -> Case:
    return replace(case, seq_len=0, batch_size=0, hidden_size=0, heads=1, layers=0, seed=0)


class Skip(NamedTuple):
    """Why a trial is not started: `memory`, `time` or `earlier_round`, and the same in words."""

    reason: str
    detail: str


def skip_reason(
    job: Job, prediction: Prediction | None, *, pace: Pace | None, memory_limit_bytes: int
) -> Skip | None:
    """Why the trial is not worth starting; None when it is, or when nothing is known of it."""
    if prediction is None:
        return None
    needed = prediction.needed_bytes
    if needed > memory_limit_bytes:
        detail = f"predicted to need {memory(needed)}; the limit is {memory(memory_limit_bytes)}"
        return Skip("memory", detail)
    guess = pace.predict(job.case, prediction) if pace else None
    if guess is not None:
        call_seconds, seq_len = guess
        total = call_seconds * (job.sampling.min + _CALLS_BESIDE_SAMPLES)
        if total > job.limits.case_seconds:
            return Skip(
                "time",
                f"predicted to take {total:.0f} s (from seq_len {seq_len}); "
                f"the limit is {job.limits.case_seconds:g} s",
            )
    return None
