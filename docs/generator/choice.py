"""What the reference runs find of each mechanism: the blocks of the page "Which mechanism should I use?"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from docs.generator.markdown import code, joined, prose, table
from linrec_bench.analysis.answer import break_even
from linrec_bench.analysis.findings import Finding
from linrec_bench.analysis.headline import findings
from linrec_bench.presentation import numbers
from linrec_bench.presentation.sentences import sentences
from linrec_bench.report.sources import Source, gather

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "cpu"
TRAINING, SERVING, QUALITY = "zoo", "decode", "ml1m"

MEMORY_AT, STATE_AT = 4_096, 16_384
"""Lengths of the columns of bytes: the longest at which softmax fits in training, and the longest."""


@cache
def _run(name: str) -> tuple[Source, Sequence[Finding]]:
    (source,), _ = gather([REFERENCE / name])
    return source, findings(source.summary, source.reference, source.quality)


def overview() -> str:
    """A row for each causal mechanism: from which length it pays, in training and serving, and its bytes."""
    (trained, _), (served, _) = _run(TRAINING), _run(SERVING)
    trainings = trained.summary[trained.summary["causal"] & (trained.summary["status"] == "ok")]
    names = dict.fromkeys(trainings["attention"])
    memory = _at(trainings, MEMORY_AT, "memory_ratio")
    state = _at(served.summary, STATE_AT, "state_bytes")
    training, serving = _from(TRAINING), _from(SERVING)

    def row(name: str) -> tuple[str, ...]:
        ratio, held = memory.get(name), state.get(name)
        return (
            code(name),
            training.get(name, ""),
            "" if ratio is None else numbers.two_digits(ratio),
            serving.get(name, ""),
            "" if held is None else numbers.memory(held),
        )

    return table(("mechanism", "training", "memory", "serving", "state"), map(row, names))


def _at(summary: pd.DataFrame, seq_len: int, column: str) -> dict[str, float]:
    """Mechanism -> its value at one length, where it has one."""
    values = summary[summary["seq_len"] == seq_len].set_index("attention")[column].dropna()
    return {str(name): float(value) for name, value in values.items()}


def _from(run: str) -> dict[str, str]:
    """Mechanism -> the length from which it is shown to be faster than softmax, or that it is not."""
    found = {}
    for each in _run(run)[1]:
        if each.kind == "crossover" and each.where["causal"]:
            at = break_even(each)
            slower = each.evidence["outcome"] == "never" or float(str(each.evidence["last"])) > 0
            # A crossing lies between measured lengths; any other is one of them.
            text = numbers.length if each.evidence["outcome"] in ("crosses", "several") else numbers.whole
            found[each.subject] = text(at) if at is not None else ("slower" if slower else "not shown")
    return found


def training() -> str:
    """The sentences on one causal layer, forward and backward."""
    return _told(TRAINING, causal=True)


def serving() -> str:
    """The sentences on one more event."""
    return _told(SERVING)


def quality() -> str:
    """The sentences on ranking quality."""
    return _told(QUALITY)


def _told(run: str, *, causal: bool | None = None) -> str:
    source, found = _run(run)
    shown = [each for each in found if causal is None or each.where["causal"] == causal]
    lines = [f"- {prose(sentence)}" for sentence in sentences(shown)]
    return joined([f"{prose(source.title)}, on {_machine(source)}:", "\n".join(lines)])


def _machine(source: Source) -> str:
    """`2 cores of AMD EPYC with AVX512, torch 2.13.0+cpu`."""
    machine, torch = source.environment["machine"], source.environment["torch"]
    assert isinstance(machine, dict)
    assert isinstance(torch, dict)
    cores = numbers.counted(machine["cores"], "core")
    return prose(
        f"{cores} of {machine['processor']} with {torch['cpu_capability']}, torch {torch['version']}"
    )
