"""The baseline: exact counts and timed ratios that were accepted, in a file that reads well in a review."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from linrec_bench.analysis.intervals import Interval
from linrec_bench.case import Case
from linrec_bench.whole_file import replaced

SCHEMA_VERSION = 1
UNITS = {
    "flops": "FLOP",
    "operations": "FLOP",
    "peak_live_bytes": "B",
    "saved_bytes": "B",
    "state_bytes": "B",
}
"""The counts that are compared, with their units."""


def counts_in(prediction: object) -> dict[str, int]:
    """The counts that a prediction holds, by measure; one that does not decode has no state."""
    counts = {name: getattr(prediction, name) for name in UNITS}
    return {name: count for name, count in counts.items() if count is not None}


Counts = Mapping[str, Mapping[str, int]]
"""Name of a case -> measure -> count."""

Ratios = Mapping[str, Interval]
"""Name of a case -> its time over that of the reference mechanism in the same run."""


@dataclass(frozen=True)
class Baseline:
    """Counts, the torch version whose kernels they were counted on, and timed ratios."""

    torch: str
    counts: Counts
    ratios: Ratios = field(default_factory=dict)


def name_of(case: Case) -> str:
    """A case as a person would say it; it stays the same when fields with new names join the case."""
    direction = "causal" if case.causal else "bidirectional"
    shape = f"N={case.seq_len} B={case.batch_size} D={case.hidden_size} H={case.heads}"
    model = f" {case.model_label} L={case.layers}" if case.model else ""
    lengths = f" {case.dataset_label}" if case.lengths else ""
    return f"{case.attention_label} {case.task} {case.phase} {direction} {shape} {case.dtype}{model}{lengths}"


def release(version: str) -> str:
    """Major and minor version: what decides which kernels torch has."""
    return ".".join(version.split(".")[:2])


class _Stored(BaseModel):
    """The file, but for its schema version."""

    torch: str
    counts: dict[str, dict[str, int]]
    ratios: dict[str, Interval] = {}


def read(path: Path, *, torch_version: str) -> Baseline:
    """The baseline in `path`; `ValueError`, with what to do, for a damaged one, another schema or release."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read ({error.strerror}); make it with --update-baseline"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON; restore it or make it with --update-baseline") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{path}: baseline schema_version is {version!r}; expected {SCHEMA_VERSION}; "
            "make it anew with --update-baseline"
        )
    try:
        stored = _Stored.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"{path}: {place}: {first['msg']}; restore it or make it anew with --update-baseline"
        ) from error
    if release(stored.torch) != release(torch_version):
        raise ValueError(
            f"{path}: counted with torch {stored.torch}, this is torch {torch_version}, whose kernels "
            "may count otherwise; check with that version, or accept this one with --update-baseline"
        )
    return Baseline(stored.torch, stored.counts, stored.ratios)


def write(path: Path, baseline: Baseline) -> None:
    """Replace the file whole; cases in alphabetical order, a count on a line of its own."""
    content = {"schema_version": SCHEMA_VERSION, "torch": baseline.torch, "counts": baseline.counts}
    if baseline.ratios:
        content["ratios"] = {name: asdict(ratio) for name, ratio in baseline.ratios.items()}
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
