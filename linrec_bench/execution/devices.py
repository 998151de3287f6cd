"""The devices of a run, asked in processes of their own: whoever asked CUDA cannot fork workers after it.

Where only the CPU is asked for, torch is not imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from linrec_bench.execution import executors
from linrec_bench.execution.trial import Executor, Sample, Trial
from linrec_bench.measures.device.names import CPU, numbered
from linrec_bench.measures.device.refusal import NO_DEVICE, NO_DRIVER, Refusal, refusal
from linrec_bench.results.torch_facts import torch_facts
from linrec_bench.tasks import Report

AUTO = "auto"

SECONDS = 120.0
"""The limit of trials that ask about a device."""


@dataclass(frozen=True)
class Located:
    """Where to measure: the `kind` that cases name, and the devices of it by the names that were asked for.

    `facts` are those of environment.json, the same for each of them; `state` is what changes meanwhile: other
    processes on the first of them, and why a fact is missing.
    """

    kind: str = CPU
    names: tuple[str, ...] = (CPU,)
    facts: Mapping[str, object] = field(default_factory=lambda: {"kind": CPU})
    state: Mapping[str, object] = field(default_factory=dict)


ON_CPU = Located()


def locate(asked: str, *, plugins: Sequence[Path] = ()) -> Located:
    """The devices of `--device`: `cpu`, `cuda`, `cuda:1`, `cuda:0,cuda:1` or `auto`, which is the accelerator
    of this build of torch where there is one and else the CPU.

    Raises `ValueError`, one line, for a device that is not there or cannot be used.
    """
    names = tuple(name.strip() for name in asked.split(","))
    if asked == AUTO:
        names = (torch_facts()["accelerator"] or CPU,)
    kinds = {numbered(name)[0] for name in names}
    if len(kinds) > 1 or len(set(names)) < len(names) or (len(names) > 1 and names[0] == CPU):
        raise ValueError(f"--device {asked}: expected one device, or several of one kind, each once")
    if kinds == {CPU}:
        return ON_CPU
    built_for = torch_facts()["accelerator"]
    if built_for not in kinds:
        text = f"this torch is not compiled with {kinds.pop()}; it has {built_for or CPU}"
        raise ValueError(refusal(asked, text).line)
    return _described(asked, names, plugins)


def _described(asked: str, names: tuple[str, ...], plugins: Sequence[Path]) -> Located:
    kind = numbered(names[0])[0]
    found = []
    for name in names:
        told = describe(name, plugins)
        if isinstance(told, Refusal):
            # Nobody asked for this one, and there is none.
            if asked == AUTO and told.kind in (NO_DRIVER, NO_DEVICE):
                return ON_CPU
            raise ValueError(told.line)
        found.append(told)
    facts, state = found[0]
    for name, (others, _) in zip(names, found, strict=True):
        if others != facts:
            raise ValueError(
                f"--device {asked}: {names[0]} is {facts.get('name')} and {name} is {others.get('name')}, or "
                "they are set up differently; expected devices that are alike"
            )
    return Located(kind, names, facts, state)


def describe(
    name: str, plugins: Sequence[Path]
) -> tuple[Mapping[str, object], Mapping[str, object]] | Refusal:
    """Facts and state of one device, by a process that ends with its answer."""
    from linrec_bench.execution import worker

    with closing(executors.start(plugins=plugins, devices=(name,))) as executor:
        samples = ask(executor, partial(worker.describe_device, numbered(name)[0]))
    told = json.loads(samples[0].detail)
    return refusal(name, told["refused"]) if "refused" in told else (told["facts"], told["state"])


def ask(executor: Executor, work: Callable[[Report], None]) -> tuple[Sample, ...]:
    """What a trial about the device reports; raises `ValueError` where its process could not do it."""
    result = executor.submit(Trial(work=work, seconds=SECONDS)).result()
    if result.status != "ok":
        raise ValueError(
            f"a worker could not start or was ended: {result.detail or result.status}; its reason is above. "
            "Expected every plugin to be importable in a process of its own"
        )
    return result.samples
