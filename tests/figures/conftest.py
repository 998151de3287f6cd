"""Planted summaries and samples of a run, with what figures must cope with: failures, seeds, settings."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.results.rows import COLUMNS, TRIAL, row_of

LENGTHS = [128 * 2**k for k in range(8)]
COSTS = {
    "copy": (1e-5, 1e-9, 1),
    "softmax": (4e-5, 2e-10, 2),
    "sdpa": (3e-5, 5e-11, 2),
    "linrec": (9e-5, 2e-8, 1),
    "linrec-column": (9e-5, 2.1e-8, 1),
    "linear-transformer": (1e-4, 2.2e-8, 1),
}


def frame(rows):
    return pd.DataFrame([row.as_dict() for row in rows], columns=list(COLUMNS))


@pytest.fixture(scope="session")
def cost_samples():
    """Six mechanisms, eight lengths, four shapes, two phases; softmax fails at the two largest lengths."""
    rng = np.random.default_rng(0)
    rows = []
    shapes = product((1, 16), (64, 128), ("forward", "forward_backward"), LENGTHS, COSTS)
    for batch, hidden, phase, n, attention in shapes:
        case = Case(
            task="layer", phase=phase, attention=attention, seq_len=n, batch_size=batch, hidden_size=hidden
        )

        def add(measure, value, unit, case=case, **more):
            rows.append(row_of(case, run_id="r", suite="s", measure=measure, value=value, unit=unit, **more))

        if attention == "softmax" and n >= LENGTHS[-2]:
            add(TRIAL, 0.0, "s", status="oom" if n == LENGTHS[-2] else "skipped", detail="memory")
            continue
        floor, slope, power = COSTS[attention]
        for round in range(3):
            for repeat in range(3):
                value = (floor + slope * batch * n**power) * np.exp(rng.normal(0, 0.02))
                add("time", float(value), "s", round=round, repeat=repeat)
            add("peak_live_bytes", 40 * batch * hidden * n**power, "B", round=round)
            add(TRIAL, 1.0, "s", round=round)
    return frame(rows)


@pytest.fixture(scope="session")
def cost_summary(cost_samples):
    return summarise(cost_samples, reference="sdpa")


@pytest.fixture(scope="session")
def quality_samples():
    """Three mechanisms with three seeds each, ten validated epochs; one seed of softmax ran out of time."""
    rng = np.random.default_rng(0)
    rows = []
    for (attention, seconds), seed in product((("softmax", 900), ("linrec", 300), ("sdpa", 500)), range(3)):
        case = Case(
            task="recommend", phase="train_and_rank", attention=attention, seq_len=200, causal=True,
            model="sasrec", dataset="toy", seed=seed,
        )  # fmt: skip

        def add(measure, value, unit, case=case, **more):
            rows.append(row_of(case, run_id="r", suite="s", measure=measure, value=value, unit=unit, **more))

        for epoch in range(10):
            add("epoch_time", seconds / 10, "s", phase="train", repeat=epoch)
            add("ndcg@10", 0.2 * (1 - 0.7**epoch), "1", phase="validation", repeat=epoch)
        if attention == "softmax" and seed == 2:
            add(TRIAL, 1500.0, "s", status="timeout", detail="1500 s")
            continue
        add("ndcg@10", 0.18 + rng.normal(0, 0.003), "1", phase="test")
        add("train_time", seconds * np.exp(rng.normal(0, 0.1)), "s")
        add("peak_live_bytes", seconds * 1e6, "B")
        add(TRIAL, float(seconds), "s")
    return frame(rows)


@pytest.fixture(scope="session")
def quality_summary(quality_samples):
    return summarise(quality_samples, reference="softmax")
