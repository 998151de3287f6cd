"""How the rows of a run are cut into the parts that a reader looks at one by one. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from linrec_bench.analysis.padding import lengths_from
from linrec_bench.figures import facets

SETTINGS = ("model", "dataset", "batch_size", "hidden_size", "heads", "layers", "dtype", "device", "seed")
"""What, beside N and the mechanism, sets one panel of a part apart from another."""

PHASES = {"forward": "forward", "forward_backward": "forward + backward", "step": "training step"}

FAILED = {
    "oom": "out of memory",
    "timeout": "out of time",
    "killed": "killed",
    "error": "failed",
    "unsupported": "unsupported",
    "skipped": "skipped",
}
"""The words for a status; `ok` needs none."""


_STOPS = re.compile(r"\S+ (is skipped|is killed|fails|runs out of \w+) at N = ")


@dataclass(frozen=True)
class Part:
    """The cost rows of one task and direction."""

    task: str
    causal: bool
    rows: pd.DataFrame

    @property
    def name(self) -> str:
        direction = "causal" if self.causal else "bidirectional"
        return f"{self.task.replace('_', ' ').capitalize()}, {direction}"

    @property
    def slug(self) -> str:
        return f"{self.task}-{'causal' if self.causal else 'bidirectional'}".replace("_", "-")


def cost_parts(summary: pd.DataFrame) -> list[Part]:
    """The rows of every task but `recommend`, by task and direction, in the order of the run."""
    costs = summary[summary["task"] != "recommend"]
    costs = costs.assign(dataset=lengths_from(costs))
    keys = costs[["task", "causal"]].drop_duplicates().sort_values(["task", "causal"])
    return [
        Part(str(task), bool(causal), costs[(costs["task"] == task) & (costs["causal"] == causal)])
        for task, causal in keys.itertuples(index=False, name=None)
    ]


def phase_words(task: str, phase: str) -> str:
    """A phase in words: that of decoding is a decoding step."""
    return "decoding step" if task == "decode" else PHASES.get(phase, phase)


def phases(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Each phase with its words and its rows, the lightest first."""
    order = list(PHASES)
    for phase in sorted(rows["phase"].unique(), key=lambda name: order.index(name) if name in order else 99):
        own = rows[rows["phase"] == phase]
        yield str(phase), phase_words(str(own["task"].iloc[0]), str(phase)), own


def panels(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Each shape with its words; first the one with the most measured cases, of those the largest."""
    settings = facets.settings(rows, SETTINGS)
    found = [(facets.named(setting), facets.select(rows, setting)) for setting in settings]
    return sorted(reversed(found), key=lambda panel: -int((panel[1]["status"] == "ok").sum()))


def shared(rows: pd.DataFrame) -> str:
    """The settings that all rows share, in words: `batch 1, hidden 64, float32`."""
    names = [name for name in SETTINGS if name != "seed" or (rows["task"] == "recommend").any()]
    return facets.named(facets.fixed(rows, names))


def varying(rows: pd.DataFrame) -> list[str]:
    """The settings in which the rows differ."""
    return [name for name in SETTINGS if rows[name].nunique(dropna=False) > 1]


def records(rows: pd.DataFrame) -> list[dict[str, object]]:
    """A mapping a row, column -> value."""
    return [{str(column): value for column, value in row.items()} for row in rows.to_dict("records")]


def told_apart(findings: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The findings that compare mechanisms, and those that tell from which length on one no longer ran."""
    stops = [_STOPS.match(sentence) is not None for sentence in findings]
    return (
        tuple(sentence for sentence, stop in zip(findings, stops, strict=True) if not stop),
        tuple(sentence for sentence, stop in zip(findings, stops, strict=True) if stop),
    )


def outcome(summary: pd.DataFrame) -> str:
    """`288 cases: 255 measured, 27 skipped, 6 out of time`."""
    counts = Counter(str(status) for status in summary["status"])
    said = [f"{counts['ok']:,} measured"] if counts["ok"] else ["none measured"]
    said += [f"{counts[status]:,} {word}" for status, word in FAILED.items() if counts[status]]
    cases = f"{len(summary):,} case" + ("" if len(summary) == 1 else "s")
    return f"{cases}: {', '.join(said)}"


def reason(status: str, detail: str) -> str:
    """Why a case has no number: `out of time: stopped after its limit of 8 s`; empty for ok."""
    if status == "ok":
        return ""
    word = FAILED.get(status, status)
    return f"{word}: {detail}" if detail else word
