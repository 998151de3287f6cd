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


class _Counted(BaseModel):
    """What was accepted with one release of torch."""

    torch: str
    counts: dict[str, dict[str, int]]
    ratios: dict[str, Interval] = {}


class _Stored(_Counted):
    """The file, but for its schema version; `also` holds what was accepted with other releases."""

    also: list[_Counted] = []

    def of_release(self, version: str) -> _Counted | None:
        return next((each for each in (self, *self.also) if release(each.torch) == release(version)), None)


def read(path: Path, *, torch_version: str) -> Baseline:
    """The baseline in `path` for a release of torch; `ValueError`, with what to do, where there is none, and
    for a damaged file or another schema."""
    stored = _stored(path)
    found = stored.of_release(torch_version)
    if found is None:
        known = ", ".join(each.torch for each in (stored, *stored.also))
        raise ValueError(
            f"{path}: counted with torch {known}, this is torch {torch_version}, whose kernels "
            "may count otherwise; check with that version, or accept this one too with --update-baseline"
        )
    return Baseline(found.torch, found.counts, found.ratios)


def _stored(path: Path) -> _Stored:
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
        return _Stored.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"{path}: {place}: {first['msg']}; restore it or make it anew with --update-baseline"
        ) from error


def write(path: Path, baseline: Baseline) -> None:
    """Replace the file whole, but for other releases of torch that it holds; cases in alphabetical order, a
    count on a line of its own."""
    content = {"schema_version": SCHEMA_VERSION, **_content(baseline)}
    others = _others(path, baseline.torch)
    if others:
        content["also"] = [_content(Baseline(each.torch, each.counts, each.ratios)) for each in others]
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _content(baseline: Baseline) -> dict[str, object]:
    content: dict[str, object] = {"torch": baseline.torch, "counts": baseline.counts}
    if baseline.ratios:
        content["ratios"] = {name: asdict(ratio) for name, ratio in baseline.ratios.items()}
    return content


def _others(path: Path, version: str) -> list[_Counted]:
    """What a file that can be read holds of other releases; a damaged one is made anew."""
    try:
        stored = _stored(path)
    except ValueError:
        return []
    return [each for each in (stored, *stored.also) if release(each.torch) != release(version)]
