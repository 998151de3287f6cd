"""`backend: best` of a mechanism: the fastest back end with which all of its cases run on this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from linrec_bench.case import Case, Params, label
from linrec_bench.declarations import tasks
from linrec_bench.measures.device.names import ByKind
from linrec_bench.parameters import BEST, EAGER
from linrec_bench.suite.base_models import Named
from linrec_bench.suite.expand import expand
from linrec_bench.suite.expectation import Expectation
from linrec_bench.suite.schema import Suite

FASTEST_FIRST = ByKind(cpu=("native", "compile"), accelerator=("triton", "fla", "compile"))
"""Back ends in the order in which they are tried. Those of other names, which somebody wrote for one
mechanism, come first, and `eager` last."""

Written = tuple[str, Params]
Line = TypeVar("Line", bound=Expectation)


def named(suite: Suite, *, device: str, stored: Collection[Case] | None = None) -> tuple[Suite, list[str]]:
    """The suite with the back end that is used in place of each `best`, and a line that tells each.

    One back end serves all cases of a mechanism, so that they stay comparable; of a run whose cases are
    `stored`, it is the one that they have. Expectations and claims that name it with `best` follow. A
    mechanism that then stands twice in a sweep comes once.
    """
    asked = [
        entry for sweep in suite.sweeps for entry in sweep.attention if ("backend", BEST) in entry.params
    ]
    if not asked:
        return suite, []
    planned = [job.case for job in expand(suite, device=device)]
    chosen: dict[Written, Named] = {}
    notes = []
    for entry in _once(asked):
        if stored is None:
            cases = [case for case in planned if _written(case) == _key(entry)]
            backend, reasons = _fastest(entry.name, cases, device)
        else:
            backend, reasons = _stored(entry, stored, device), []
        chosen[_key(entry)] = _with(entry, backend)
        shown = label(*_key(entry))
        notes.append("; ".join([f"{shown} is backend {backend} here", *reasons]))
    return _replaced(suite, chosen), notes


def _replaced(suite: Suite, chosen: Mapping[Written, Named]) -> Suite:
    labels = {label(*written): label(*_key(entry)) for written, entry in chosen.items()}
    sweeps = [
        sweep.model_copy(
            update={"attention": _once(chosen.get(_key(each), each) for each in sweep.attention)}
        )
        for sweep in suite.sweeps
    ]

    def follow(lines: Iterable[Line]) -> tuple[Line, ...]:
        return tuple(
            line.model_copy(
                update={
                    "attention": labels.get(line.attention, line.attention),
                    "to": labels.get(line.to, line.to),
                }
            )
            for line in lines
        )

    return suite.model_copy(
        update={
            "sweeps": tuple(sweeps),
            "reference": labels.get(suite.reference, suite.reference),
            "expect": follow(suite.expect),
            "claims": follow(suite.claims),
        }
    )


def _written(case: Case) -> Written:
    return case.attention, case.attention_params


def _with(entry: Named, backend: str) -> Named:
    settings = dict(entry.params) | {"backend": backend}
    if backend == EAGER:
        del settings["backend"]
    return Named.model_validate({"name": entry.name, **settings})


def _stored(entry: Named, stored: Collection[Case], device: str) -> str:
    written = set(map(_written, stored))
    names = _order(entry.name, device)
    return next((name for name in names if _key(_with(entry, name)) in written), EAGER)


def _order(mechanism: str, device: str) -> list[str]:
    from linrec_bench import attention

    there = attention.registry()[mechanism].backends
    known = {*FASTEST_FIRST.cpu, *FASTEST_FIRST.accelerator}
    return [
        *(name for name in there if name not in known),
        *(name for name in FASTEST_FIRST.on(device) if name in there),
    ]


def _fastest(mechanism: str, cases: Sequence[Case], device: str) -> tuple[str, list[str]]:
    """A back end, and why no faster one."""
    import torch

    from linrec_bench import attention
    from linrec_bench.attention.spec import Request

    backends = attention.registry()[mechanism].backends
    reasons: list[str] = []
    if backends and any(tasks()[case.task].carries_state for case in cases):
        return EAGER, ["a decoding step has no other"]
    for name in _order(mechanism, device):
        refused = [
            backends[name].refusal(
                Request(
                    device,
                    getattr(torch, case.dtype),
                    backward=case.phase != "forward",
                    causal=case.causal,
                    head_size=case.head_size,
                    length=case.seq_len,
                )
            )
            for case in cases
        ]
        reason = next(filter(None, refused), None)
        if reason is None:
            return name, reasons
        reasons.append(reason)
    return EAGER, reasons


def _key(entry: Named) -> Written:
    return entry.name, entry.params


def _once(entries: Iterable[Named]) -> tuple[Named, ...]:
    return tuple({_key(entry): entry for entry in entries}.values())
