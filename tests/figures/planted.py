"""Planted rows of whole runs, as workers would make them, with the mechanisms of a large suite."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
import pandas as pd

from linrec_bench.case import Case
from linrec_bench.results.case_table import frame_of
from linrec_bench.results.rows import TRIAL, Row, row_of
from linrec_bench.settings import TrainingSettings

LENGTHS = [128 * 2**k for k in range(8)]

# Floor and slope of the time in seconds, and its power of N.
COSTS = {
    "copy": (1e-5, 1e-9, 1.0),
    "softmax": (4e-5, 2e-10, 2.0),
    "sdpa": (3e-5, 5e-11, 2.0),
    "linrec": (9e-5, 2e-8, 1.0),
    "linrec-column": (9e-5, 2.1e-8, 1.0),
    "linear-transformer": (1e-4, 2.2e-8, 1.0),
}

ZOO = COSTS | {
    "aft-simple": (6e-5, 9e-9, 1.0),
    "based": (2e-4, 6e-8, 1.0),
    "cosformer": (1.2e-4, 3e-8, 1.0),
    "deltanet": (4e-4, 9e-8, 1.0),
    "efficient": (1e-4, 1.9e-8, 1.0),
    "fnet": (5e-5, 8e-9, 1.1),
    "gated-deltanet": (5e-4, 1.1e-7, 1.0),
    "gla": (3e-4, 7e-8, 1.0),
    "hedgehog": (2e-4, 5e-8, 1.0),
    "hstu": (8e-5, 1.5e-10, 2.0),
    "lightsans": (1e-4, 4e-8, 1.0),
    "lightsans-linear": (1e-4, 2.6e-8, 1.0),
    "linformer": (1.1e-4, 2.4e-8, 1.0),
    "mamba2": (3e-4, 8e-8, 1.0),
    "nystromformer": (6e-4, 6.5e-8, 1.0),
    "performer": (2.5e-4, 5.5e-8, 1.0),
    "rebased": (2e-4, 6.3e-8, 1.0),
    "retnet": (2e-4, 4.5e-8, 1.0),
    "sliding-window": (7e-5, 3.5e-8, 1.0),
}


class Rows:
    """Collects rows; `frame()` gives them as the store would."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.cases: dict[str, Case] = {}

    def add(self, case: Case, measure: str, value: float | None, unit: str, **more: object) -> None:
        self.cases[case.id] = case
        self.rows.append(row_of(case, run_id="r", suite="s", measure=measure, value=value, unit=unit, **more))

    def frame(self) -> pd.DataFrame:
        return frame_of(self.rows, self.cases.values())


def costs(
    mechanisms: dict[str, tuple[float, float, float]] = COSTS,
    *,
    batches: Iterable[int] = (1, 16),
    widths: Iterable[int] = (64, 128),
    phases: Iterable[str] = ("forward", "forward_backward"),
    lengths: Iterable[int] = tuple(LENGTHS),
    rounds: int = 3,
) -> pd.DataFrame:
    """Layers whose truth is `mechanisms`; softmax fails at the two largest lengths."""
    rng = np.random.default_rng(0)
    rows = Rows()
    lengths = list(lengths)
    for batch, hidden, phase, n, attention in product(batches, widths, phases, lengths, mechanisms):
        case = Case(
            task="layer", phase=phase, attention=attention, seq_len=n, batch_size=batch, hidden_size=hidden
        )
        if attention == "softmax" and n >= lengths[-2]:
            status = "oom" if n == lengths[-2] else "skipped"
            rows.add(case, TRIAL, 0.0, "s", status=status, detail="memory")
            continue
        floor, slope, power = mechanisms[attention]
        live = 40 * batch * hidden * (n**power if power == 2 else n * (1 + 3 * slope / 2e-8))
        for round in range(rounds):
            for repeat in range(3):
                value = (floor + slope * batch * hidden / 64 * n**power) * np.exp(rng.normal(0, 0.02))
                rows.add(case, "time", float(value), "s", round=round, repeat=repeat)
            if round == 0:
                rows.add(case, "peak_live_bytes", live, "B")
                saved = 0.0 if phase == "forward" else 0.6 * live
                rows.add(case, "saved_bytes", saved, "B")
                rows.add(case, "peak_process_bytes", 1.2 * live + 2e5, "B")
            rows.add(case, TRIAL, 1.0, "s", round=round)
    return rows.frame()


def steps(mechanisms: Iterable[str] = ("softmax", "linrec", "copy")) -> pd.DataFrame:
    """Training steps: attention's share grows with N and falls with the catalogue; softmax runs out once."""
    rng = np.random.default_rng(1)
    rows = Rows()
    for attention, n, hidden, catalogue in product(mechanisms, LENGTHS[:6], (64, 128), (2000, 100_000)):
        case = Case(
            task="train_step", phase="step", attention=attention, seq_len=n, hidden_size=hidden, causal=True,
            batch_size=8, model="sasrec", training=TrainingSettings(catalogue_size=catalogue),
        )  # fmt: skip
        rows.add(case, "catalogue_size", catalogue, "1")
        if attention == "softmax" and n == LENGTHS[5] and catalogue == 100_000:
            rows.add(case, TRIAL, 0.0, "s", status="oom", detail="memory")
            continue
        floor, slope, power = ZOO[attention]
        inside = floor + slope * n**power
        share = inside / (inside + 1e-4 + 2e-12 * n * hidden / 64 * catalogue)
        for round, repeat in product(range(3), range(5)):
            rows.add(
                case, "attention_share", share * np.exp(rng.normal(0, 0.03)), "1", round=round, repeat=repeat
            )
        for round in range(3):
            rows.add(case, "time", inside * 3, "s", round=round)
            rows.add(case, TRIAL, 1.0, "s", round=round)
    return rows.frame()


def decoding_cases(mechanisms: Iterable[str] = ("softmax", "sdpa", "linrec", "copy")) -> list[Case]:
    return [
        Case(task="decode", phase="step", attention=attention, seq_len=n, batch_size=batch, causal=True)
        for attention, n, batch in product(mechanisms, [256 * 4**k for k in range(5)], (1, 16))
    ]


def decoding(mechanisms: Iterable[str] = ("softmax", "sdpa", "linrec", "copy")) -> pd.DataFrame:
    """Steps after a history: a cache grows with it, a recurrent state does not, `copy` has none."""
    rng = np.random.default_rng(2)
    rows = Rows()
    for case in decoding_cases(mechanisms):
        attention, n, batch = case.attention, case.seq_len, case.batch_size
        grows = ZOO[attention][2] == 2
        seconds = (2e-5 + ZOO[attention][0] / 5) * (1 + (batch * n / 3e3 if grows else 0))
        state = 0 if attention == "copy" else 512 * batch * n if grows else 4096 * batch * (1 + seconds * 1e4)
        for round in range(3):
            for repeat in range(5):
                value = float(seconds * np.exp(rng.normal(0, 0.005)))
                rows.add(case, "time", value, "s", round=round, repeat=repeat)
            if round == 0:
                rows.add(case, "state_bytes", float(round_to(state)), "B")
            rows.add(case, TRIAL, 1.0, "s", round=round)
    return rows.frame()


def round_to(value: float) -> int:
    return int(value) // 64 * 64


def trainings(
    mechanisms: Iterable[tuple[str, float, float]] = (
        ("softmax", 900, 0.18), ("linrec", 300, 0.176), ("sdpa", 500, 0.181),
    ),
    *,
    seeds: int = 3,
    groups: bool = False,
    energy: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Trainings of so many seconds to such a test NDCG@10; the last seed of softmax runs out of time."""
    rng = np.random.default_rng(0)
    rows = Rows()
    for (attention, seconds, quality), seed in product(mechanisms, range(seeds)):
        case = Case(
            task="recommend", phase="train_and_rank", attention=attention, seq_len=200, causal=True,
            model="sasrec", dataset="toy", seed=seed,
        )  # fmt: skip
        pace = seconds * np.exp(rng.normal(0, 0.05))
        reached = quality + rng.normal(0, 0.002)
        for epoch in range(10):
            rows.add(case, "epoch_time", pace / 10, "s", phase="train", repeat=epoch)
            learnt = reached * 1.02 * (1 - 0.5 * 0.6**epoch)
            rows.add(case, "ndcg@10", learnt, "1", phase="validation", repeat=epoch)
        if attention == "softmax" and seed == 2:
            rows.add(case, TRIAL, 1500.0, "s", status="timeout", detail="1500 s")
            continue
        rows.add(case, "ndcg@10", reached, "1", phase="test")
        rows.add(case, "train_time", float(pace), "s")
        rows.add(case, "peak_live_bytes", seconds * 1e6, "B")
        if energy:
            rows.add(case, "energy", seconds * 150 * np.exp(rng.normal(0, 0.03)), "J")
        if groups:
            for index, (name, queries) in enumerate(
                (("5-19", 900), ("20-49", 700), ("50-199", 400), ("200+", 120))
            ):
                value = reached * (1.1 - 0.08 * index * (1 + 0.3 * (attention == "linrec")))
                rows.add(case, "ndcg@10", value, "1", group_by="history", group=name)
                rows.add(case, "queries", queries, "1", group_by="history", group=name)
            for index, name in enumerate(("light", "regular", "heavy")):
                rows.add(case, "ndcg@10", reached * (0.9 + 0.1 * index), "1", group_by="users", group=name)
        rows.add(case, TRIAL, float(seconds), "s")
    return rows.frame()


def zoo_trainings(**more: bool) -> pd.DataFrame:
    """All mechanisms of the zoo: what costs more is a little better, with exceptions."""
    rng = np.random.default_rng(3)
    plan = [
        (name, 200 + 2e10 * slope * (300 if power == 2 else 1), 0.16 + 0.02 * rng.random())
        for name, (_, slope, power) in ZOO.items()
    ]
    return trainings(plan, **more)
