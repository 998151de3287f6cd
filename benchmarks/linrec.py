"""LinRec against the same formula in plain eager torch: time and peak memory, side by side.

    python benchmarks/linrec.py [--rounds 3] [--seq-len 4096 16384] [--out FILE.csv]
    python benchmarks/linrec.py --seq-len 65536 --rounds 1      # the memory of long sequences

The yardsticks are written as a user would write them; autograd differentiates them:

    token norm, bidirectional     as the official code: elu, inverse norms by einsum, k^T v, q S, / sqrt(d)
    column norm, bidirectional    the paper's equation in the same manner
    causal, both norms            chunks of 64 in parallel, states by a cumulative sum

Every trial is a fresh process; the three forms of a round run one after another, so that ratios compare what
ran side by side. Ratios are to the yardstick, with a 95 % interval over rounds. Times are taken under both
settings of glibc's allocator: with its defaults large tensors cost page faults, which a yardstick that
allocates more pays more of; `steady` is what `linrec-bench run` uses. Live bytes are exact; what a compiler
allocates they cannot see, so the peak of the process stands beside them.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from linrec_bench import attention
from linrec_bench.analysis.intervals import ratio_interval
from linrec_bench.execution.local import STEADY_ALLOCATOR, LocalExecutor, Sample
from linrec_bench.measures import memory, time
from linrec_bench.tasks import Emit, Workload

HEADS, HEAD_SIZE, CHUNK = 8, 16, 64
NAMES = {"token": "linrec", "column": "linrec-column"}
FORMS = ("yardstick", "eager", "compile")
ALLOCATORS = {"steady": dict(STEADY_ALLOCATOR), "default": {}}


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
    q, k, v = (x.unflatten(2, (-1, CHUNK)) for x in (q, k, v))
    states = F.pad((k.mT @ v).cumsum(dim=2), (0, 0, 0, 0, 1, 0))[:, :, :-1]
    return ((q @ k.mT).tril() @ v + q @ states).flatten(2, 3)


YARDSTICKS: dict[tuple[str, bool], Callable[..., Tensor]] = {
    ("token", False): official,
    ("column", False): paper,
    ("token", True): official_causal,
    ("column", True): paper_causal,
}


def workload(norm: str, causal: bool, phase: str, length: int, form: str) -> Workload:
    torch.manual_seed(0)
    q, k, v, grad = (torch.randn(1, HEADS, length, HEAD_SIZE) for _ in range(4))
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


def trial(norm: str, causal: bool, phase: str, length: int, form: str, emit: Emit) -> None:
    work = workload(norm, causal, phase, length, form)
    samples = time.sample(work, budget_s=1.0, min_samples=5, max_samples=200, cache="cold")
    emit("first_call_time", samples.first_call_s, "s")
    for value in samples.seconds:
        emit("time", value, "s")
    for reading in memory.peaks(work):
        emit(reading.measure, reading.value, reading.unit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seq-len", type=int, nargs="+", default=[4096, 16384])
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rows: list[dict[str, object]] = []
    print(f"{'':45s} {'time':>22s}   {'live':>5s} {'process':>7s}")
    for allocator, settings in ALLOCATORS.items():
        with LocalExecutor(allocator=settings) as executor:
            for length, norm, causal, phase in itertools.product(
                asked.seq_len, NAMES, (False, True), ("forward", "forward_backward")
            ):
                found = measure(executor, asked.rounds, (norm, causal, phase, length))
                direction = "causal" if causal else "bidirectional"
                for form in FORMS[1:]:
                    ratio = ratio_interval(found[form, "time"], found["yardstick", "time"])
                    peaks = {
                        name: _median(found[form, name]) / max(_median(found["yardstick", name]), 1)
                        for name in ("peak_live_bytes", "peak_process_bytes")
                    }
                    rows.append(
                        {
                            "allocator": allocator,
                            "norm": norm,
                            "direction": direction,
                            "phase": phase,
                            "seq_len": length,
                            "form": form,
                            "time_ratio": ratio.value,
                            "time_ratio_low": ratio.low,
                            "time_ratio_high": ratio.high,
                            "peak_live_ratio": peaks["peak_live_bytes"] if form == "eager" else "",
                            "peak_process_ratio": peaks["peak_process_bytes"],
                            "first_call_s": _median(found[form, "first_call_time"]),
                        }
                    )
                    live = f"{peaks['peak_live_bytes']:5.2f}" if form == "eager" else "    -"
                    print(
                        f"{allocator:8s}{norm:7s}{direction:14s}{phase.replace('_backward', '+b'):10s}"
                        f"{length:6d} {form:8s} {ratio.value:5.2f} [{ratio.low:4.2f}, {ratio.high:4.2f}]"
                        f"   {live} {peaks['peak_process_bytes']:7.2f}",
                        flush=True,
                    )
    if asked.out:
        with asked.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def measure(
    executor: LocalExecutor, rounds: int, point: tuple[str, bool, str, int]
) -> dict[tuple[str, str], dict[int, list[float]]]:
    """(form, measure) -> round -> samples."""
    found: dict[tuple[str, str], dict[int, list[float]]] = {}
    for round in range(rounds):
        for form in FORMS:

            def keep(sample: Sample, form: str = form, round: int = round) -> None:
                found.setdefault((form, sample.measure), {}).setdefault(round, []).append(sample.value)

            outcome = executor.run(
                partial(trial, *point, form), seconds=300, memory_bytes=None, on_sample=keep
            )
            if outcome.status != "ok":
                raise SystemExit(f"{point} {form} ended as {outcome.status}: {outcome.detail}")
    return found


def _median(rounds: dict[int, list[float]]) -> float:
    values = sorted(value for samples in rounds.values() for value in samples)
    return values[len(values) // 2]


if __name__ == "__main__":
    main()
