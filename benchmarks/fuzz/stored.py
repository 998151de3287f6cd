"""Files that the program stored itself, damaged: runs, baselines, calibrations, checkpoints, caches."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.fuzz.damage import damaged
from benchmarks.fuzz.oracle import Found, Place
from linrec_bench.analysis.paired_quality import COLUMNS
from linrec_bench.analysis.power import SAME, tally
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.data_folders import cache_folder
from linrec_bench.gate import baseline, calibration
from linrec_bench.results import scratch, store
from linrec_bench.results.case_table import CASES as CASES_FILE
from linrec_bench.results.kept import kept
from linrec_bench.results.rows import TRIAL, row_of
from linrec_bench.training.checkpoint import Checkpoint

SUITE = """\
task: core
attention: [linrec, softmax]
grid: {seq_len: [8, 16]}
fixed: {hidden_size: 8, heads: 2, batch_size: 2}
phases: [forward]
rounds: 2
sampling: {seconds: 0.001, min: 2, max: 3}
limits: {memory: 1GiB, case_seconds: 20}
expect:
  - {attention: linrec, measure: flops, ratio: "<= 9", to: softmax}
claims:
  - {paper: P, text: is linear, attention: linrec, measure: flops, exponent: "<= 2"}
"""

CASES = [
    Case(task="core", phase="forward", attention=name, seq_len=n, hidden_size=8, heads=2, batch_size=2)
    for n in (8, 16)
    for name in ("linrec", "softmax")
]
ENVIRONMENT = Path(__file__).parents[2] / "results" / "reference" / "cpu" / "quick" / "environment.json"
CARD = {"name": "linrec", "direction": "causal", "contradicts": {"causal": None, "padding": "a reason"}}


def new_run(folder: Path, cases: list[Case]) -> store.Run:
    """An empty run of these cases in folder/results/s, and folder/suite.yaml."""
    (folder / "suite.yaml").write_text(SUITE)
    return store.create(
        folder / "results",
        suite="s",
        suite_text=SUITE,
        environment=json.loads(ENVIRONMENT.read_text()),
        now=datetime.now(UTC),
        cases=cases,
    )


def store_run(folder: Path) -> Path:
    """A finished run in folder/results/s, with every file that a run may have, and folder/suite.yaml."""
    run = new_run(folder, CASES)
    with store.Writer(run) as writer:
        for case in CASES:
            for round in range(2):
                row = partial(row_of, case, run_id=run.id, suite="s", round=round, unit="s")
                value = 1e-3 * case.seq_len * (1 + 0.1 * round)
                samples = [row(measure="time", repeat=at, value=value + 1e-5 * at) for at in range(4)]
                writer.append([*samples, row(measure=TRIAL, value=1.0)], {"ranks": ranks()})
    run.write_summary(summarise(run.samples(), reference="softmax"))
    run.write_cards([CARD])
    of_a_model = dict.fromkeys(COLUMNS, "0.5") | {"metric": "ndcg@10", "model": "sasrec", "dataset": "log"}
    (run.folder / store.QUALITY).write_text(
        "".join(f"{','.join(row)}\n" for row in (COLUMNS, of_a_model.values()))
    )
    calibration.write(folder / "results" / "calibration.json", _calibration(run.environment()))
    return run.folder


def ranks() -> bytes:
    """Of five users, as a trial that trains hands them over."""
    file = io.BytesIO()
    np.savez(file, user=np.arange(5), rank=np.arange(1, 6), history=np.arange(5))
    return file.getvalue()


def _calibration(environment: dict[str, object]) -> calibration.Calibration:
    tallies = (tally(SAME, 0.1, ["holds", "broken", "undecided"]),)
    return calibration.Calibration(
        linrec_bench="1",
        made="2026-01-01T00:00:00",
        machine={part: environment[part] for part in ("machine", "device", "threads", "allocator")},
        lines=("a / b",),
        suite="",
        rounds=5,
        looks=(5, 10),
        margins={"time": 0.1} | dict.fromkeys(baseline.UNITS, 0.0),
        timed=tallies,
        exact=tallies,
    )


def damaged_runs(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """A file of a run, or the calibration beside it."""
    run = str(store_run(Path()))
    verbs: list[list[str]] = [
        ["export", "results", "--out", "out.csv"],
        ["export", "results", "--out", "out.parquet", "--table", "summary"],
        ["compare", "results/s", "--attention", "linrec", "--against", "softmax"],
        ["check", "suite.yaml", "--from", run],
        ["convert", run],
        ["history", "--times", "results/s"],
        ["run", "suite.yaml", "--dry-run", "--device", "cpu"],
    ]
    slow = [["report", "results"], ["plot", "results", "--format", "svg"]]
    whole = {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()}
    for at in range(count):
        path = rng.choice(list(whole))
        path.write_bytes(damaged(rng, whole[path]))
        place.call(found, "damaged run", *rng.choice(slow if at % 25 == 0 else verbs))
        shutil.rmtree("results")
        for file, content in whole.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def damaged_old_runs(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """A run of schema 1, which had other columns and no cases.jsonl, to be converted."""
    run = store_run(Path())
    samples, added = pd.read_csv(run / store.SAMPLES, dtype=str), ["host", "group_by", "group"]
    samples.drop(columns=added).to_csv(run / store.SAMPLES, index=False)
    environment = json.loads((run / store.ENVIRONMENT).read_text()) | {"schema_version": 1}
    (run / store.ENVIRONMENT).write_text(json.dumps(environment))
    (run / CASES_FILE).unlink()
    whole = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    for _ in range(count):
        path = rng.choice(list(whole))
        path.write_bytes(damaged(rng, whole[path]))
        place.call(found, "damaged old run", "convert", str(run))
        shutil.rmtree(run.parent)
        run.mkdir(parents=True)
        for file, content in whole.items():
            file.write_bytes(content)


def damaged_states(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """What a run needs beside its samples, and a gate beside its suite, given to their readers."""
    run = store.Run(store_run(Path()))
    environment = run.environment()
    state, baseline_file, cards = (
        Checkpoint(Path("state.pt"), identity="a", on_damage=str),
        Path("b.json"),
        store.CARDS,
    )
    state.save({"weights": torch.zeros(4), "step": 3})  # type: ignore[typeddict-item]
    counts = {"flops": 1, "operations": 2, "peak_live_bytes": 3, "saved_bytes": 4}
    baseline.write(baseline_file, baseline.Baseline(torch.__version__, {baseline.name_of(CASES[0]): counts}))
    calibrated = Path("results/calibration.json")
    readers: dict[Path, Callable[[], object]] = {
        state.path: state.load,
        baseline_file: lambda: baseline.read(baseline_file, torch_version=torch.__version__),
        calibrated: lambda: (
            calibration.read(calibrated).entries(),
            calibration.read(calibrated).differs(environment),
        ),
        run.folder / "ranks" / f"{CASES[0].id}-0.npz": lambda: scratch.ranks(run.folder),
        run.folder / cards: lambda: store.cards(Path("results"), fingerprint=str(environment["fingerprint"])),
        run.folder / store.QUALITY: run.quality,
        run.folder / store.SUMMARY: run.is_summarised,
    }
    whole = {path: path.read_bytes() for path in readers}
    for _ in range(count):
        path = rng.choice(list(readers))
        path.write_bytes(damaged(rng, whole[path]))
        place.judge(found, f"damaged {path.name}", readers[path])
        path.write_bytes(whole[path])


def damaged_caches(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """Prepared data, used by `data describe`, and catalogues, which say what they said or are made anew."""
    records = [{"name": name, "title": f"about {name}"} for name in ("linrec", "softmax")]
    Path("log.csv").write_text(
        "user_id,item_id,timestamp\n" + "".join(f"u{at % 4},i{at % 5},{at}\n" for at in range(60))
    )
    describe = ("data", "describe", "log.csv", "--set", "min_interactions=1")
    place.call(found, "whole cache", *describe)

    def catalogue() -> None:
        # What is read must be what was written.
        assert kept("catalogue-attention", lambda: records) == records

    catalogue()
    whole = {path: path.read_bytes() for path in cache_folder().rglob("*") if path.is_file()}
    for _ in range(count - 1):
        path = rng.choice(list(whole))
        path.write_bytes(damaged(rng, whole[path]))
        if path.name.startswith("catalogue"):
            place.judge(found, "damaged catalogue", catalogue)
        else:
            place.call(found, f"damaged {path.name}", *describe)
        path.write_bytes(whole[path])
