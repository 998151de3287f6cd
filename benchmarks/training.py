"""Training and ranking beside RecBole: SASRec, the same data, the same cores, one after the other.

    python benchmarks/training.py --peer-python PEER/bin/python [--out FOLDER]
    python benchmarks/training.py --parts ranking                 # ours alone

    prefixes  one row a prefix, the same model and batch on ml-100k: examples a second
    quality   seconds of training until validation NDCG@10 is what the peer has after --peer-epochs epochs on
              ml-100k; ours learns at all positions of windows, both are ranked alike
    ranking   the 6,040 test users of ml-1m in the whole catalogue: seconds of the forward, and beside it

Every trial is a fresh process with a steady allocator; the rounds of the two sides alternate. The peer's
anomaly mode is off unless --as-shipped. Histories come from the folder LINREC_BENCH_DATA. FOLDER gets
`samples.csv`, every number, and `summary.json`: ratios, what was wanted, settings and environment. What is
made equal, and how to make the peer's environment: benchmarks/peers/recbole/README.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import training_trials as ours
from training_trials import METRIC, Setting

from linrec_bench import data
from linrec_bench.analysis.intervals import Interval, ratio_interval
from linrec_bench.execution.executors.local import LocalExecutor
from linrec_bench.execution.server import STEADY_ALLOCATOR
from linrec_bench.execution.trial import Trial
from linrec_bench.results.environment import describe
from linrec_bench.tasks import Emit

PEER = Path(__file__).parent / "peers" / "recbole"
PARTS = ("prefixes", "quality", "ranking")
LOG = "histories"
PREFIXES = Setting(hidden_size=128, heads=8)
QUALITY = Setting(hidden_size=64, heads=2)
RANKING = Setting(hidden_size=64, heads=2, seq_len=200)
WINDOWS, LEARNING_RATE = 64, 2e-3
"""Of our training at all positions; the peer has its own batch and its default rate of 1e-3."""


@dataclass
class Benchmark:
    """What was asked for, the means to measure it, and what has been found."""

    asked: argparse.Namespace
    executor: LocalExecutor
    folder: Path
    rows: list[dict[str, object]] = field(default_factory=list)

    def ours(self, part: str, round: int, work: Callable[[Emit], None]) -> None:
        result = self.executor.submit(Trial(work=work, seconds=900)).result()
        if result.status != "ok":
            sys.exit(f"{part}, ours, round {round} ended as {result.status}: {result.detail}")
        for sample in result.samples:
            self.add(part, "ours", round, sample.measure, sample.value, sample.unit)

    def peer(self, part: str, round: int, what: str, setting: Setting, **counts: int) -> None:
        options = {**asdict(setting), **counts, "threads": self.asked.threads, "seed": round}
        options |= {"attention_dropout": self.asked.attention_dropout, "data": self.folder, "name": LOG}
        words = [
            word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))
        ]
        shipped = ["--as-shipped"] if self.asked.as_shipped else []
        child = subprocess.Popen(
            [str(self.asked.peer_python), str(PEER / "launch.py"), what, *words, *shipped],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **STEADY_ALLOCATOR, "OMP_NUM_THREADS": str(self.asked.threads)},
        )
        printed, said = child.communicate()
        if child.returncode:
            last = (said.strip().splitlines() or ["without a word"])[-1]
            sys.exit(f"{part}, peer, round {round} ended with exit code {child.returncode}: {last}")
        for line in printed.splitlines():
            told = json.loads(line)
            for measure, (key, unit) in _PEER_MEASURES[told["kind"]].items():
                self.add(part, "peer", round, measure, float(told[key]), unit)

    def add(self, part: str, side: str, round: int, measure: str, value: float, unit: str) -> None:
        given = (part, side, round, measure, value, unit)
        self.rows.append(dict(zip(("part", "side", "round", "measure", "value", "unit"), given, strict=True)))

    def found(self, part: str, side: str, measure: str) -> dict[int, list[float]]:
        """Round -> values in their order."""
        values: dict[int, list[float]] = {}
        for row in self.rows:
            if (row["part"], row["side"], row["measure"]) == (part, side, measure):
                values.setdefault(int(str(row["round"])), []).append(float(str(row["value"])))
        return values


_PEER_MEASURES: dict[str, dict[str, tuple[str, str]]] = {
    "about": {"parameters": ("parameters", "1"), "items": ("items", "1"), "queries": ("queries", "1")},
    "step": {"step_time": ("seconds", "s"), "examples": ("rows", "1")},
    "epoch": {
        "epoch_time": ("train_s", "s"),
        "validation_time": ("validate_s", "s"),
        METRIC: ("ndcg10", "1"),
    },
}


def prefixes(bench: Benchmark) -> dict[str, object]:
    for round in range(bench.asked.rounds):
        bench.peer("prefixes", round, "steps", PREFIXES, batches=bench.asked.batches)
        trial = partial(ours.prefixes, PREFIXES, bench.asked.threads, bench.asked.batches, round)
        bench.ours("prefixes", round, trial)
    rates = {}
    for side in ("ours", "peer"):
        examples, seconds = (bench.found("prefixes", side, name) for name in ("examples", "step_time"))
        rates[side] = {round: [sum(examples[round]) / sum(seconds[round])] for round in examples}
    ratio = ratio_interval(rates["ours"], rates["peer"])
    print(f"\none row a prefix, ml-100k, {PREFIXES}: examples a second")
    for side, values in rates.items():
        print(f"  {side}  {np.median(list(values.values())):8.1f}")
    told(ratio, wanted=3)
    return {"setting": asdict(PREFIXES), "ratio": asdict(ratio), "wanted": 3}


def quality(bench: Benchmark) -> dict[str, object]:
    bench.peer("quality", 0, "epochs", QUALITY, epochs=bench.asked.peer_epochs)
    target = bench.found("quality", "peer", METRIC)[0][-1]
    spent_s = sum(bench.found("quality", "peer", "epoch_time")[0])
    for seed in range(bench.asked.rounds):
        trial = partial(ours.quality, QUALITY, bench.asked.threads, WINDOWS, LEARNING_RATE, target, seed)
        bench.ours("quality", seed, trial)
    needed = {seed: values[-1:] for seed, values in bench.found("quality", "ours", "train_time").items()}
    # The peer runs once: its minutes are what they are in each of our rounds.
    ratio = ratio_interval({seed: [spent_s] for seed in needed}, needed)
    print(f"\nml-100k, {QUALITY}: seconds of training to validation {METRIC} {target:.4f}")
    print(f"  peer  {spent_s:8.1f}   ({bench.asked.peer_epochs} epochs)")
    print(f"  ours  {np.median(list(needed.values())):8.1f}   (windows, batches of {WINDOWS})")
    told(ratio, wanted=20)
    return {
        "setting": asdict(QUALITY) | {"windows": WINDOWS, "learning_rate": LEARNING_RATE},
        "target": target,
        "ratio": asdict(ratio),
        "wanted": 20,
    }


def ranking(bench: Benchmark) -> dict[str, object]:
    for round in range(bench.asked.rounds):
        bench.ours("ranking", round, partial(ours.ranking, RANKING, bench.asked.threads))
    measures = ("forward_time", "ranking_time", "ranking_time_seen_excluded")
    medians = {
        name: float(np.median(list(bench.found("ranking", "ours", name).values()))) for name in measures
    }
    print(f"\nml-1m, {RANKING}: seconds to rank all test users in the whole catalogue")
    for name, value in medians.items():
        print(f"  {name.replace('_', ' '):28s} {value:8.2f}")
    print("  wanted: under 5 beside the forward")
    return {"setting": asdict(RANKING), "medians_s": medians, "wanted_s": 5}


def told(ratio: Interval, *, wanted: float) -> None:
    print(f"  ratio {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}], wanted {wanted:g}", flush=True)


def write_histories(folder: Path) -> None:
    """ml-100k as RecBole reads it; the time of an event is its position, which float32 keeps exactly."""
    histories = data.load("ml-100k")
    path = folder / LOG / f"{LOG}.inter"
    path.parent.mkdir()
    users = np.repeat(np.arange(histories.n_users), histories.lengths)
    positions = np.arange(histories.n_events) - np.repeat(histories.offsets[:-1], histories.lengths)
    with path.open("w", encoding="utf-8") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for row in zip(users, histories.items, positions, strict=True):
            file.write("\t".join(map(str, row)) + "\n")


def make_peer(folder: Path) -> Path:
    """The Python of the peer's environment, which is made with pip where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        for words in (
            ["python3.11", "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "torch==2.13.0"],
            [str(python), "-m", "pip", "install", "--quiet", "-r", str(PEER / "requirements.txt")],
        ):
            subprocess.run(words, check=True)
    return python


def main() -> None:
    asked = arguments()
    if asked.make_peer is not None:
        asked.peer_python = make_peer(asked.make_peer)
    if asked.peer_python is None and asked.parts != ["ranking"]:
        sys.exit("prefixes and quality run the peer: give --peer-python or --make-peer, or --parts ranking")
    summary: dict[str, object] = {"environment": describe(device={"kind": "cpu"}, allocator=STEADY_ALLOCATOR)}
    with tempfile.TemporaryDirectory() as folder, LocalExecutor() as executor:
        bench = Benchmark(asked, executor, Path(folder))
        write_histories(bench.folder)
        for part, work in zip(PARTS, (prefixes, quality, ranking), strict=True):
            if part in asked.parts:
                summary[part] = work(bench)
                # After each part: what has been measured is kept should a later one fail.
                if asked.out is not None:
                    write(asked.out, bench, summary)


def write(folder: Path, bench: Benchmark, summary: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    options = {"attention_dropout": bench.asked.attention_dropout, "as_shipped": bench.asked.as_shipped}
    with (folder / "samples.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, bench.rows[0])
        writer.writeheader()
        writer.writerows(bench.rows)
    text = json.dumps({**summary, "peer": {"name": "RecBole 1.2.1", **options}}, indent=2)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer-python", type=Path, help="Python of an environment that has the peer")
    parser.add_argument("--make-peer", type=Path, help="folder of such an environment, made if missing")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=4, help="timed in a round of prefixes")
    parser.add_argument("--peer-epochs", type=int, default=3)
    parser.add_argument("--attention-dropout", type=float, default=0.0, help="the peer's; ours has none")
    parser.add_argument("--as-shipped", action="store_true", help="leave the peer's anomaly mode on")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
