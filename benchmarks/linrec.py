"""LinRec against the same formula in plain eager torch: time and peak memory, side by side.

    python benchmarks/linrec.py [--rounds 3] [--points 4096x1 65536x1] [--forms native] [--out FILE.csv]

The yardsticks are written as a user would write them; autograd differentiates them:

    token norm, bidirectional     as the official code: elu, inverse norms by einsum, k^T v, q S, / sqrt(d)
    column norm, bidirectional    the paper's equation in the same manner
    causal, both norms            chunks of 64 in parallel, states by a cumulative sum

A point is N x B, with 8 heads of 16. Each round of a point is a fresh process that calls all forms by turns,
in an order that rotates, so that whatever slows one slows all. Ratios are to the yardstick, with a 95 %
interval over rounds: PASS where the whole interval is at most 0.5, open where it holds 0.5, short above. Live
bytes are exact. None are shown for `compile`: what a compiler allocates they cannot see. The peak of the
process, which sees it, stands last.

The causal direction at N = 65,536 is also the trial of the engine that all linear mechanisms share: `eager`
must hold at most half of the yardstick's bytes there, forward and backward, and take no longer; `--engine`
measures that alone.

`--allocator default` leaves glibc as it is: large tensors then cost page faults, of which a form that
allocates more has more. `steady` is what `linrec-bench run` uses. The form `compile` takes minutes to build.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from linrec_bench import attention
from linrec_bench.analysis.intervals import Interval, ratio_interval
from linrec_bench.execution.executors.local import LocalExecutor
from linrec_bench.execution.server import STEADY_ALLOCATOR
from linrec_bench.execution.trial import Trial
from linrec_bench.measures.instruments import memory
from linrec_bench.measures.instruments.operations import collector_paused
from linrec_bench.tasks import Emit
from linrec_bench.tasks.workloads import Workload

HEADS, HEAD_SIZE, CHUNK = 8, 16, 64
NAMES = {"token": "linrec", "column": "linrec-column"}
FORMS = ("native", "eager", "compile")
POINTS = ("4096x1", "4096x4", "4096x16", "16384x1", "65536x1")
ALLOCATORS = {"steady": dict(STEADY_ALLOCATOR), "default": {}}
TARGET = 0.5
BUDGET_S, MIN_SWEEPS, MAX_SWEEPS = 0.6, 4, 100

Setting = tuple[str, bool, str, int, int]
"""Norm, causal, phase, N, B."""
Found = dict[tuple[str, str], dict[int, list[float]]]
"""(form, measure) -> round -> samples."""


def official(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k = F.elu(q), F.elu(k)
    q = torch.einsum("bhnd,bhn->bhnd", q, 1 / q.norm(dim=3))
    k = torch.einsum("bhnd,bhn->bhnd", k, 1 / k.norm(dim=3))
    return q @ (k.transpose(-2, -1) @ v) / q.shape[-1] ** 0.5


def paper(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k = F.elu(q), F.elu(k)
    q = q / (q.shape[-1] ** 0.5 * q.norm(dim=3, keepdim=True))
    k = k / (k.shape[2] ** 0.5 * k.norm(dim=2, keepdim=True))
    return q @ (k.transpose(-2, -1) @ v)


def official_causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k = F.elu(q), F.elu(k)
    q = q / (q.shape[-1] ** 0.5 * q.norm(dim=3, keepdim=True))
    return _chunks(q, k / k.norm(dim=3, keepdim=True), v)


def paper_causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k = F.elu(q), F.elu(k)
    q = q / (q.shape[-1] ** 0.5 * q.norm(dim=3, keepdim=True))
    count = torch.arange(1, k.shape[2] + 1, dtype=k.dtype, device=k.device)[:, None]
    return _chunks(q / (count * k.square().cumsum(dim=2)).sqrt(), k, v)


def _chunks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    chunk = next(size for size in range(CHUNK, 0, -1) if q.shape[2] % size == 0)
    q, k, v = (x.unflatten(2, (-1, chunk)) for x in (q, k, v))
    states = F.pad((k.mT @ v).cumsum(dim=2), (0, 0, 0, 0, 1, 0))[:, :, :-1]
    return ((q @ k.mT).tril() @ v + q @ states).flatten(2, 3)


YARDSTICKS: dict[tuple[str, bool], Callable[..., Tensor]] = {
    ("token", False): official,
    ("column", False): paper,
    ("token", True): official_causal,
    ("column", True): paper_causal,
}


def workload(setting: Setting, form: str) -> Workload:
    norm, causal, phase, length, batch = setting
    torch.manual_seed(0)
    q, k, v, grad = (torch.randn(batch, HEADS, length, HEAD_SIZE) for _ in range(4))
    if form == "yardstick":
        mix = YARDSTICKS[norm, causal]
    else:
        mix = partial(attention.core, NAMES[norm], causal=causal, backend=form)
    device = torch.device("cpu")
    if phase == "forward":
        return Workload(torch.inference_mode()(partial(mix, q, k, v)), device, minimum_bytes=0)
    inputs = [x.requires_grad_() for x in (q, k, v)]

    def call() -> Tensor:
        out = mix(q, k, v)
        out.backward(grad)
        return out

    def reset() -> None:
        for x in inputs:
            x.grad = None

    return Workload(call, device, minimum_bytes=0, reset=reset)


def trial(setting: Setting, forms: tuple[str, ...], with_memory: bool, emit: Emit) -> None:
    works = {form: workload(setting, form) for form in forms}
    for form, work in works.items():
        emit(f"{form} first_call_s", seconds(work), "s")
    start = time.perf_counter()
    with collector_paused():
        for sweep in range(MAX_SWEEPS):
            if sweep >= MIN_SWEEPS and time.perf_counter() - start > BUDGET_S:
                break
            turn = sweep % len(forms)
            for form in forms[turn:] + forms[:turn]:
                emit(f"{form} time", seconds(works[form]), "s")
    for form, work in works.items() if with_memory else ():
        for reading in memory.peaks(work):
            emit(f"{form} {reading.measure}", reading.value, reading.unit)


def seconds(work: Workload) -> float:
    start = time.perf_counter()
    out = work.call()
    taken = time.perf_counter() - start
    del out
    work.reset()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--points", nargs="+", default=POINTS, metavar="NxB")
    parser.add_argument("--forms", nargs="+", default=FORMS[:2], choices=FORMS)
    parser.add_argument("--allocator", default="steady", choices=ALLOCATORS)
    parser.add_argument("--engine", action="store_true", help="the trial of the engine alone")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if asked.engine:
        asked.points, asked.forms = ["65536x1"], ["eager"]
    points = [tuple(int(number) for number in point.split("x")) for point in asked.points]
    rows: list[dict[str, object]] = []
    print("norm   direction     phase          N  B form     time                     bytes       process")
    with LocalExecutor(allocator=ALLOCATORS[asked.allocator]) as executor:
        for (length, batch), norm, causal, phase in itertools.product(
            points, NAMES, (False, True), ("forward", "forward_backward")
        ):
            if asked.engine and not (causal and phase == "forward_backward"):
                continue
            setting = (norm, causal, phase, length, batch)
            found = measure(executor, asked.rounds, setting, ("yardstick", *asked.forms))
            for form in asked.forms:
                rows.append({"allocator": asked.allocator} | row(setting, form, found))
                show(rows[-1])
    summarise(rows)
    if asked.out:
        with asked.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def measure(executor: LocalExecutor, rounds: int, setting: Setting, forms: tuple[str, ...]) -> Found:
    found: Found = {}
    for round in range(rounds):
        # Bytes are the same in every round.
        work = partial(trial, setting, forms, round == 0)
        result = executor.submit(Trial(work=work, seconds=300)).result()
        if result.status != "ok":
            raise SystemExit(f"{setting} ended as {result.status}: {result.detail}")
        for sample in result.samples:
            form, name = sample.measure.split(" ")
            found.setdefault((form, name), {}).setdefault(round, []).append(sample.value)
    return found


def row(setting: Setting, form: str, found: Found) -> dict[str, object]:
    norm, causal, phase, length, batch = setting
    ratio = ratio_interval(found[form, "time"], found["yardstick", "time"])
    live, process = (
        found[form, name][0][0] / max(found["yardstick", name][0][0], 1)
        for name in ("peak_live_bytes", "peak_process_bytes")
    )
    return {
        "norm": norm,
        "direction": "causal" if causal else "bidirectional",
        "phase": phase,
        "seq_len": length,
        "batch_size": batch,
        "form": form,
        "time_ratio": ratio.value,
        "time_ratio_low": ratio.low,
        "time_ratio_high": ratio.high,
        "time": judged(ratio),
        "peak_live_ratio": "" if form == "compile" else live,
        "bytes": "" if form == "compile" else "PASS" if live <= TARGET else "short",
        "peak_process_ratio": process,
        "first_call_s": max(found[form, "first_call_s"][0]),
    }


def judged(ratio: Interval) -> str:
    if ratio.high <= TARGET:
        return "PASS"
    return "short" if ratio.low > TARGET else "open"


def show(row: Mapping[str, object]) -> None:
    live = f"{row['peak_live_ratio']:5.2f} {row['bytes']:5s}" if row["bytes"] else f"{'-':>5s}      "
    print(
        f"{row['norm']:7s}{row['direction']:14s}{str(row['phase']).replace('_backward', '+b'):10s}"
        f"{row['seq_len']:6d}{row['batch_size']:3d} {row['form']:8s} "
        f"{row['time_ratio']:5.2f} [{row['time_ratio_low']:4.2f}, {row['time_ratio_high']:4.2f}] "
        f"{row['time']:5s}{live} {row['peak_process_ratio']:6.2f}",
        flush=True,
    )


def summarise(rows: list[dict[str, object]]) -> None:
    """How many settings each form brings to half of the yardstick, and what the causal engine does."""
    for form in dict.fromkeys(row["form"] for row in rows):
        own = [row for row in rows if row["form"] == form]
        counts = [
            f"{sum(row[what] == 'PASS' for row in own)} of {len(own)} settings in {what}"
            for what in ("time", "bytes")
            if own[0][what]
        ]
        print(f"{form}: at most {TARGET} of the yardstick in {', '.join(counts)}")
    for row in rows:
        engine = (row["form"], row["direction"], row["phase"]) == ("eager", "causal", "forward_backward")
        if engine and row["seq_len"] == 65536:
            kept = row["bytes"] == "PASS" and float(str(row["time_ratio_high"])) <= 1
            print(
                f"causal engine, {row['norm']} norm, N = 65536: half the bytes, no longer: "
                f"{'PASS' if kept else 'short'}"
            )


if __name__ == "__main__":
    main()
