"""Runs of valid, improbable rows: values of 0, of no number and beyond all others, any outcome, gaps."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st

from benchmarks.fuzz.examples import made
from benchmarks.fuzz.oracle import Found, Place
from benchmarks.fuzz.stored import CASES, new_run
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.results import store
from linrec_bench.results.rows import STATUSES, TRIAL, Row, row_of

TRAINED = [
    Case(
        task="recommend",
        phase="train_and_rank",
        attention=name,
        seq_len=8,
        hidden_size=8,
        causal=True,
        seed=seed,
        model="sasrec",
        dataset="synthetic",
    )
    for name in ("linrec", "softmax")
    for seed in (0, 1)
]
MEASURES = {
    "core": [("time", "s"), ("peak_live_bytes", "B"), ("flops", "FLOP"), ("predicted_peak_bytes", "B")],
    "recommend": [("ndcg@10", "1"), ("recall@10", "1"), ("train_time", "s"), ("epochs", "1")],
}
VALUES = st.one_of(
    *[st.floats(1e-6, 1e6)] * 3,
    st.sampled_from([0.0, -1.0, 1e-300, 1e300, float("nan"), float("inf"), 1.0]),
    st.none(),
)
ROUNDS = 3


@st.composite
def trials(draw: st.DrawFn) -> list[list[Row]]:
    """Rows of the trials of a run, some of which are missing or ended badly."""
    cases = CASES if draw(st.booleans()) else TRAINED
    written = []
    for case in cases:
        for round in range(draw(st.integers(0, ROUNDS))):
            status = draw(st.sampled_from(["ok"] * 6 + list(STATUSES)))
            detail = "" if status == "ok" else draw(st.text(max_size=12))
            closing = _row(case, TRIAL, "s", 1.0, round)
            rows = [replace(closing, status=status, detail=" ".join(detail.split()))]
            for measure, unit in MEASURES[case.task]:
                count = draw(st.integers(0, 3)) if measure == "time" else draw(st.integers(0, 1))
                values = [draw(VALUES) for _ in range(count)] if status in ("ok", "suspect") else []
                rows += [_row(case, measure, unit, value, round, at) for at, value in enumerate(values)]
            written.append([*rows[1:], rows[0]])
    return written


def _row(case: Case, measure: str, unit: str, value: float | None, round: int, repeat: int = 0) -> Row:
    return row_of(
        case, run_id="r", suite="s", measure=measure, unit=unit, value=value, round=round, repeat=repeat
    )


def made_rows(place: Place, rng: random.Random, count: int, found: Found) -> None:
    verbs = [
        ["export", "results", "--out", "out.csv"],
        ["compare", "results/s", "--attention", "linrec", "--against", "softmax"],
        ["check", "suite.yaml", "--from", "results/s"],
        ["report", "results/s", "--markdown", "out.md"],
        ["history", "--times", "results/s"],
        ["run", "suite.yaml", "--dry-run", "--device", "cpu"],
    ]

    def probe(written: object) -> None:
        run = new_run(Path(), [*CASES, *TRAINED])

        def summarised() -> None:
            with store.Writer(run) as writer:
                for rows in written:  # type: ignore[attr-defined]
                    writer.append(rows)
            run.write_summary(summarise(run.samples(), reference="softmax"))
            run.write_cards([])

        place.judge(found, "made rows: summary", summarised)
        place.call(found, "made rows", *rng.choice(verbs))
        if rng.random() < 0.05:
            place.call(found, "made rows", "plot", "results/s", "--format", "svg")
        shutil.rmtree("results")

    made(trials(), probe, count=count // 2, seed=rng.getrandbits(32))
