"""Exact counts of the jobs of a gate; nothing is allocated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench import allotment
from linrec_bench.execution.schedule import Prediction
from linrec_bench.gate import baseline
from linrec_bench.gate.baseline import UNITS, Counts, name_of
from linrec_bench.results.case_table import frame_of
from linrec_bench.results.rows import TRIAL, Row, Status, row_of
from linrec_bench.suite.expand import Job

if TYPE_CHECKING:
    import pandas as pd

CONTRACT_UNITS = {"dispatches": "1", "double_elements": "1", "left_bytes": "B"}
"""Counts that are held to SPECs alone: no baseline has them."""

JOBS_WORTH_A_PROCESS = 24
"""A process takes some seconds to start and counts about as many cases in that time."""


def count(
    jobs: Sequence[Job],
    *,
    plugins: Sequence[Path] = (),
    on_count: Callable[[int, int], None] = lambda *_: None,
) -> pd.DataFrame:
    """Exact counts of every job but those of task `recommend`, as tidy rows; nothing is allocated.

    A case that its mechanism cannot do closes as `unsupported`; one whose code fails, takes too long to count
    or uses operations of unknown cost closes as `error`, with the reason. Many jobs are counted on all cores,
    in processes that load `plugins`; `on_count` is told how many are done, of how many.
    """
    rows: list[Row] = []
    for job, prediction in zip(jobs, _predictions(jobs, plugins, on_count), strict=True):
        if prediction is None:
            continue
        row = partial(row_of, job.case, run_id="exact", suite="")
        if prediction.counted and not prediction.opaque:
            for name, value in baseline.counts_in(prediction).items():
                rows.append(row(measure=name, unit=UNITS[name], value=value))
            for name, unit in CONTRACT_UNITS.items():
                rows.append(row(measure=name, unit=unit, value=getattr(prediction, name)))
        error = prediction.error or _unknown_cost(prediction)
        status: Status = "unsupported" if prediction.unsupported else "error" if error else "ok"
        reason = prediction.unsupported or error
        rows.append(row(measure=TRIAL, unit="s", value=0.0, status=status, detail=reason))
    return frame_of(rows, [job.case for job in jobs])


def _unknown_cost(prediction: Prediction) -> str:
    """Why there is no count where operations cannot be looked into; empty where there are none."""
    if not prediction.opaque:
        return ""
    names = ", ".join(prediction.opaque)
    return f"opaque, cost unknown: {names}; expected operations of torch, which can be counted"


def _predictions(
    jobs: Sequence[Job], plugins: Sequence[Path], on_count: Callable[[int, int], None]
) -> Iterator[Prediction | None]:
    from linrec_bench.execution.executors.local import LocalExecutor
    from linrec_bench.execution.worker import predict

    cases = [job.case for job in jobs]
    processes = min(allotment.cpus(), len(cases) // JOBS_WORTH_A_PROCESS)
    if processes < 2:
        for done, case in enumerate(cases, start=1):
            yield predict(case)
            on_count(done, len(cases))
        return
    with LocalExecutor(plugins=plugins, callers=processes) as executor:
        futures = [executor.call(predict, case) for case in cases]
        for done, future in enumerate(futures, start=1):
            yield future.result()
            on_count(done, len(cases))


def failures(jobs: Sequence[Job], counted: pd.DataFrame) -> dict[str, str]:
    """Name of a case, as in a baseline -> what its code raised when it was counted."""
    names = {job.case.id: name_of(job.case) for job in jobs}
    failed = counted[counted["status"] == "error"]
    return {names[case]: detail for case, detail in zip(failed["case_id"], failed["detail"], strict=True)}


def counts_of(jobs: Sequence[Job], counted: pd.DataFrame) -> Counts:
    """The exact counts in the form of a baseline."""
    names = {job.case.id: name_of(job.case) for job in jobs}
    by_case: dict[str, dict[str, int]] = {}
    counts = counted[counted["measure"].isin(UNITS)]
    for case_id, measure, value in zip(counts["case_id"], counts["measure"], counts["value"], strict=True):
        by_case.setdefault(names[case_id], {})[measure] = int(value)
    return by_case
