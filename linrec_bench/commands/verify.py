"""`linrec-bench verify`: the semantics card of a mechanism, probed against what its SPEC declares."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from linrec_bench import attention
from linrec_bench.analysis.measurements import of_samples
from linrec_bench.attention.contract import (
    CHECKS,
    Check,
    applicable,
    applies,
    directions,
    limits,
    unprobed,
)
from linrec_bench.attention.spec import Spec
from linrec_bench.case import Case, Params, freeze, label, read_name
from linrec_bench.error_text import ANYTHING, in_a_line
from linrec_bench.execution import devices
from linrec_bench.gate.exact_counts import count
from linrec_bench.gate.questions import contracts, verdicts
from linrec_bench.measures.device.names import CPU
from linrec_bench.presentation import words
from linrec_bench.presentation.verdicts import claim_text, found_text
from linrec_bench.suite.expand import Job
from linrec_bench.suite.limits import Limits, Sampling
from linrec_bench.suite.source_map import assignment

EXPONENTS = "declared exponents"
REFUSAL = "refusal"
RAISES = "raises "
PROPERTIES = (*CHECKS, EXPONENTS)

T = TypeVar("T")

_LENGTHS = (16_384, 65_536, 262_144)
_BATCH = 16
"""Large enough that every mechanism has reached the largest number of blocks it will ever use."""


@dataclass(frozen=True)
class Card:
    """One mechanism in one direction: property -> why it does not hold, None where it does.

    `name` is the label of `attention` with its parameters. Properties that mean nothing for it are not among
    them, nor those that could not be probed here, for which `unprobed` says why; `limits` says what else was
    not probed, and why.
    """

    name: str
    attention: str
    params: Params
    causal: bool
    found: Mapping[str, str | None]
    unprobed: str = ""
    limits: tuple[str, ...] = ()

    @property
    def contradictions(self) -> list[str]:
        return [f"{name}: {reason}" for name, reason in self.found.items() if reason is not None]

    def as_record(self) -> dict[str, object]:
        """Ready for JSON."""
        direction, found = words.direction(self.causal), dict(self.found)
        return {
            "name": self.name,
            "direction": direction,
            "contradicts": found,
            "unprobed": self.unprobed,
            "limits": list(self.limits),
        }


def cards(
    names: Sequence[str],
    *,
    plugins: Sequence[Path] = (),
    device: str = CPU,
    on_card: Callable[[int, int], None] = lambda *_: None,
) -> list[Card]:
    """A card for each named mechanism and direction that it declares; of every mechanism without names.

    A name may carry parameters, as labels do: `linrec(padding=ignore)`. Probes run on the first device that
    `device` names (`execution.devices.locate`), exponents are counted anywhere. `on_card` is told how many
    cards are done, of how many. Raises `ValueError` for unknown names and parameters, and for a device that
    is not there.
    """
    loaded = [attention.load_plugin(plugin).name for plugin in plugins]
    if "," in device:
        raise ValueError(f"--device {device}: expected one device")
    (place,) = devices.locate(device, plugins=plugins).names
    parsed = [_parse(name) for name in names or loaded or attention.registry()]
    asked = [(spec, params, causal) for spec, params in parsed for causal in directions(spec)]
    found = []
    for done, (spec, params, causal) in enumerate(asked, start=1):
        found.append(probe_card(spec, params, causal, device=place))
        on_card(done, len(asked))
    return found


def cards_of(
    cases: Iterable[Case],
    known: Sequence[Mapping[str, object]] = (),
    *,
    on_card: Callable[[int, int], None] = lambda *_: None,
) -> list[Mapping[str, object]]:
    """A card of each mechanism and parameters in each direction that the cases ask for and it has; for JSON.

    One that is among `known`, the cards of runs with the current fingerprint, is not probed again, unless
    something could not be probed then or the fingerprint does not tell of all its code.
    """
    earlier = {
        (card.get("name"), card.get("direction")): card for card in known if not card.get("unprobed", "?")
    }
    asked = dict.fromkeys((case.attention, case.attention_params, case.causal) for case in cases)
    found: list[Mapping[str, object]] = []
    for done, (name, params, causal) in enumerate(asked, start=1):
        spec = attention.registry()[name]
        if causal in directions(spec):
            card = earlier.get((label(name, params), words.direction(causal)))
            if card is None or not _is_of_the_package(spec, params):
                card = probe_card(spec, dict(params), causal).as_record()
            found.append(card)
        on_card(done, len(asked))
    return found


def _is_of_the_package(spec: Spec, params: Params) -> bool:
    """Whether the fingerprint covers all of its code: not that of entry points and backends."""
    modules = [module for name, module in sys.modules.items() if name.startswith(f"{attention.__name__}.")]
    return any(getattr(module, "SPEC", None) is spec for module in modules) and "backend" not in dict(params)


def _parse(text: str) -> tuple[Spec, dict[str, object]]:
    name, given = read_name(text)
    spec = attention.registry()[name]
    params = dict(assignment(f"{key}={value}", flag=spec.name) for key, value in given.items())
    spec.check_params(params)
    return spec, params


def probe_card(spec: Spec, params: dict[str, object], causal: bool, *, device: str = CPU) -> Card:
    """The card of one mechanism; what its code raises stands as a contradiction."""
    found: dict[str, str | None] = {}
    with torch.device(device):
        probes, raised = _asked(lambda: applicable(spec, params))
        why_not = unprobed(spec, params) if raised is None else None
        if raised is not None:
            found[REFUSAL] = raised
        for name, probe in (probes or {}).items():
            answers, raised = _asked(partial(_answers, name, probe, spec, params, causal))
            if answers is None or answers:
                found[name] = answers[0] if answers else raised
        left_out = _asked(lambda: limits(spec, causal=causal))[0] or ()
    # Code that fails on short rows may take long to fail on those of counts.
    raises = any((reason or "").startswith(RAISES) for reason in found.values())
    found[EXPONENTS] = "not counted, because it raises" if raises else check_exponents(spec, params, causal)
    given = freeze(params)
    return Card(label(spec.name, given), spec.name, given, causal, found, why_not or "", tuple(left_out))


def _asked(ask: Callable[[], T]) -> tuple[T | None, str | None]:
    """What it gives, and None; None, and what it raises, as the code of a mechanism may."""
    try:
        return ask(), None
    except ANYTHING as error:
        return None, f"{RAISES}{in_a_line(error, place=True)}"


def _answers(
    name: str, probe: Check, spec: Spec, params: Mapping[str, object], causal: bool
) -> list[str | None]:
    """The answer of a probe; none where it means nothing for the mechanism."""
    return [probe(spec, causal=causal, params=params)] if applies(name, spec, causal=causal) else []


def check_exponents(spec: Spec, params: dict[str, object], causal: bool) -> str | None:
    """The first declared exponent that exact counts contradict."""
    jobs = [
        Job(
            case=Case(
                task="core",
                phase="forward_backward",
                attention=spec.name,
                attention_params=freeze(params),
                seq_len=length,
                batch_size=_BATCH,
                causal=causal,
            ),
            measures=("flops", "peak_memory"),
            rounds=1,
            limits=Limits(),
            sampling=Sampling(),
        )
        for length in _LENGTHS
    ]
    for verdict in verdicts(contracts(jobs), of_samples(count(jobs))):
        if verdict.answer != "holds":
            return f"{claim_text(verdict.claim)}, found {found_text(verdict)}"
    return None
