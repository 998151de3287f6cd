"""Planted runs: rows whose truth is known, made as a worker would make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pytest

from linrec_bench.case import Case
from linrec_bench.results.case_table import frame_of
from linrec_bench.results.rows import TRIAL, Row, row_of


class Planted:
    """Collects rows of cases; `frame()` gives them as the store would."""

    def __init__(self, seed: int = 0, run_id: str = "r1") -> None:
        self.rng = np.random.default_rng(seed)
        self.run_id = run_id
        self.rows: list[Row] = []
        self.cases: dict[str, Case] = {}

    def add(self, case: Case, measure: str, value: float | None, unit: str, **more: object) -> None:
        self.cases[case.id] = case
        self.rows.append(
            row_of(case, run_id=self.run_id, suite="planted", measure=measure, value=value, unit=unit, **more)
        )

    def close(
        self, case: Case, *, round: int = 0, status: str = "ok", detail: str = "", reason: str = ""
    ) -> None:
        group_by = "reason" if reason else ""
        more = {"status": status, "detail": detail, "group_by": group_by, "group": reason}
        self.add(case, TRIAL, 1.0, "s", round=round, **more)

    def cost(
        self,
        case: Case,
        seconds: float,
        *,
        memory: float = 0,
        rounds: int = 3,
        repeats: int = 9,
        between: float = 0.02,
        within: float = 0.02,
        drift: Iterable[float] = (1, 1, 1, 1, 1, 1, 1, 1),
    ) -> None:
        """Trials that ended ok: log-normal times between and within processes, `drift` a factor a round."""
        for round, factor in zip(range(rounds), drift, strict=False):
            centre = seconds * factor * np.exp(self.rng.normal(0, between))
            for repeat, value in enumerate(centre * np.exp(self.rng.normal(0, within, repeats))):
                self.add(case, "time", float(value), "s", round=round, repeat=repeat)
            if memory and round == 0:
                self.add(case, "peak_live_bytes", memory, "B")
            self.close(case, round=round)

    def ceiling(self, *, copy_bandwidth: float, matmul_rate: float, dtype: str = "float32") -> None:
        blank = Case(task="layer", phase="forward", attention="", seq_len=0, batch_size=0, dtype=dtype)
        for measure, value, unit in (
            ("copy_bandwidth", copy_bandwidth, "bytes/s"),
            ("matmul_rate", matmul_rate, "FLOP/s"),
            (TRIAL, 1.0, "s"),
        ):
            row = row_of(
                blank, run_id=self.run_id, suite="planted", measure=measure, value=value, unit=unit
            ).as_dict()
            device = {"case_id": "", "task": "device", "phase": "device", "group_by": "dtype", "group": dtype}
            self.rows.append(Row(**row | device))

    def frame(self) -> pd.DataFrame:
        return frame_of(self.rows, self.cases.values())


@pytest.fixture
def planted() -> Planted:
    return Planted()


@pytest.fixture
def layer_case() -> Callable[..., Case]:
    """`layer_case("linrec", 128, batch_size=2)`: a case of task layer."""

    def make(attention: str, seq_len: int = 128, **more: object) -> Case:
        return Case(
            **{"task": "layer", "phase": "forward", "attention": attention, "seq_len": seq_len} | more
        )

    return make


@pytest.fixture
def recommend_case() -> Callable[..., Case]:
    def make(attention: str, seed: int = 0, **more: object) -> Case:
        base = {"task": "recommend", "phase": "train_and_rank", "seq_len": 50, "causal": True}
        return Case(
            **base | {"attention": attention, "seed": seed, "model": "sasrec", "dataset": "toy"} | more
        )

    return make


LENGTHS = [128 * 2**k for k in range(8)]
"""Of planted pairs."""


def plant_pair(planted, layer_case, *, cross, rounds=3, **more):
    """sdpa ~ N^2 and linrec ~ N that cost the same at N = cross."""
    for n in LENGTHS:
        planted.cost(layer_case("sdpa", n, **more), 1e-9 * n**2, memory=n * 1000, rounds=rounds)
        planted.cost(layer_case("linrec", n, **more), 1e-9 * cross * n, memory=n * 100, rounds=rounds)


def plant_quality(planted, recommend_case, attention, values):
    for seed, value in enumerate(values):
        case = recommend_case(attention, seed)
        planted.add(case, "ndcg@10", value, "1", phase="test")
        planted.add(case, "train_time", 10.0, "s")
        planted.close(case)
