"""The C++ back ends against torch, with the vectors of this processor and with those of AVX2.

    python -m benchmarks.vector_widths [--rounds 12] [--points 200x64x2x32] [--out FILE.csv]

A point is N x B x heads x head size. Each round of a point is a fresh process that calls all forms by turns,
in an order that rotates. A line has the ratio of two forms with a 95 % interval over rounds, and whether the
whole interval keeps its bound:

    linrec native to its formula in plain eager torch    at most 0.5 from N = 200 on
    linrec native, causal, to torch's fused kernel       at most 1 from N = 200 on, head size at most 32
    sdpa native to torch's fused kernel                  at most 1 wherever it is offered

The processes of `native` use all that this processor has; in those of `x86-64-v3` the back ends are built
for AVX2 and torch and MKL are told to use no more (ATEN_CPU_CAPABILITY, MKL_ENABLE_INSTRUCTIONS).
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.linrec import MAX_SWEEPS, MIN_SWEEPS, official, official_causal, seconds
from linrec_bench import attention
from linrec_bench.analysis.intervals import Interval, ratio_interval
from linrec_bench.attention.backends.native_build import PROCESSOR
from linrec_bench.attention.spec import Request
from linrec_bench.execution.executors.local import LocalExecutor
from linrec_bench.execution.trial import Trial
from linrec_bench.measures.instruments.operations import collector_paused
from linrec_bench.tasks import Emit
from linrec_bench.tasks.workloads import Workload

WIDTHS: Mapping[str, Mapping[str, str]] = {
    "native": {},
    "x86-64-v3": {
        PROCESSOR: "x86-64-v3",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}
"""Variables of the processes."""

POINTS = (
    "50x64x2x32",
    "200x64x2x32",
    "200x64x8x16",
    "1000x8x2x32",
    "1000x8x2x64",
    "4096x1x4x16",
    "65536x1x8x16",
)
BUDGET_S = 0.4
LONGEST_SQUARE = 8192
"""Beyond it softmax attention takes seconds a call, and no bound names it."""


class Setting(NamedTuple):
    length: int
    batch: int
    heads: int
    head_size: int
    causal: bool
    phase: str


class Target(NamedTuple):
    """`form` over `to`, at most `bound`."""

    form: str
    to: str
    bound: float


FORMULA, TORCH = "formula", "torch"


def targets(setting: Setting) -> list[Target]:
    found = []
    if setting.length >= 200:
        found.append(Target("linrec", FORMULA, 0.5))
        if setting.causal and setting.head_size <= 32 and setting.length <= LONGEST_SQUARE:
            found.append(Target("linrec", TORCH, 1))
    if setting.length <= LONGEST_SQUARE and _offered(setting):
        found.append(Target("sdpa", TORCH, 1))
    return found


def _offered(setting: Setting) -> bool:
    backward = setting.phase != "forward"
    request = Request("cpu", torch.float32, backward, setting.causal, setting.head_size, setting.length)
    return attention.registry()["sdpa"].backends["native"].refusal(request) is None


def forms(setting: Setting) -> list[str]:
    return list(dict.fromkeys(name for each in targets(setting) for name in (each.to, each.form)))


def mixing(setting: Setting, form: str) -> Callable[..., Tensor]:
    if form == FORMULA:
        return official_causal if setting.causal else official
    if form == TORCH:
        return partial(attention.core, "sdpa", causal=setting.causal)
    return partial(attention.core, form, causal=setting.causal, backend="native")


def workload(setting: Setting, form: str) -> Workload:
    torch.manual_seed(0)
    shape = (setting.batch, setting.heads, setting.length, setting.head_size)
    q, k, v, grad = (torch.randn(shape) for _ in range(4))
    inputs = [x.requires_grad_(setting.phase != "forward") for x in (q, k, v)]
    mix = mixing(setting, form)

    def call() -> Tensor:
        with torch.inference_mode(setting.phase == "forward"):
            out = mix(*inputs)
            if setting.phase != "forward":
                out.backward(grad)
        return out

    def reset() -> None:
        for x in inputs:
            x.grad = None

    return Workload(call, torch.device("cpu"), minimum_bytes=0, reset=reset)


def trial(setting: Setting, emit: Emit) -> None:
    names = forms(setting)
    works = {form: workload(setting, form) for form in names}
    for work in works.values():
        seconds(work)
    start = time.perf_counter()
    with collector_paused():
        for sweep in range(MAX_SWEEPS):
            if sweep >= MIN_SWEEPS and time.perf_counter() - start > BUDGET_S:
                break
            turn = sweep % len(names)
            for form in names[turn:] + names[:turn]:
                emit(form, seconds(works[form]), "s")


def judged(ratio: Interval, bound: float) -> str:
    if ratio.high <= bound:
        return "kept"
    return "broken" if ratio.low > bound else "undecided"


def compared(executor: LocalExecutor, setting: Setting, rounds: int) -> Iterator[dict[str, object]]:
    times: dict[str, dict[int, list[float]]] = {}
    for round in range(rounds):
        result = executor.submit(Trial(work=partial(trial, setting), seconds=300)).result()
        if result.status != "ok":
            raise SystemExit(f"{setting} ended as {result.status}: {result.detail}")
        for sample in result.samples:
            times.setdefault(sample.measure, {}).setdefault(round, []).append(sample.value)
    for form, to, bound in targets(setting):
        ratio = ratio_interval(times[form], times[to])
        yield setting._asdict() | {
            "form": form,
            "to": to,
            "ratio": f"{ratio.value:.3f}",
            "low": f"{ratio.low:.3f}",
            "high": f"{ratio.high:.3f}",
            "bound": bound,
            "answer": judged(ratio, bound),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--points", nargs="+", default=POINTS, metavar="NxBxHxd")
    parser.add_argument("--widths", nargs="+", default=list(WIDTHS), choices=WIDTHS)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    grid = list(itertools.product(given.points, (False, True), ("forward", "forward_backward")))
    lines = []
    for width in given.widths:
        os.environ |= WIDTHS[width]
        with LocalExecutor() as executor:
            for point, causal, phase in grid:
                setting = Setting(*map(int, point.split("x")), causal=causal, phase=phase)
                for line in compared(executor, setting, given.rounds) if targets(setting) else ():
                    lines.append({"vectors": width} | line)
                    print(*lines[-1].values(), sep=", ", flush=True)
    for width, answer in itertools.product(given.widths, ("kept", "undecided", "broken")):
        of_width = [line["answer"] for line in lines if line["vectors"] == width]
        print(f"{width}: {answer} {of_width.count(answer)} of {len(of_width)}")
    if given.out:
        with given.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, lines[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)


if __name__ == "__main__":
    main()
