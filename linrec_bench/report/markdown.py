"""Runs -> a short summary in Markdown for a pull request: findings, a compact table, no links."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from linrec_bench.analysis.headline import findings
from linrec_bench.analysis.seeds import across_seeds
from linrec_bench.analysis.systems import compares_systems, named
from linrec_bench.declarations import trainings
from linrec_bench.presentation import case_names, numbers, words
from linrec_bench.presentation.sentences import sentences
from linrec_bench.report import environment_view
from linrec_bench.report.cards import contradictions
from linrec_bench.report.expectations import expectations, paper_claims
from linrec_bench.report.frames import (
    Part,
    cost_parts,
    number,
    outcome,
    panels,
    phases,
    records,
    shared,
    varying,
)
from linrec_bench.report.ledger import counted
from linrec_bench.report.sources import Source

_SIGNS = re.compile(r"([\\`*_|<>\[\]~&])")
_AUTOLINKS = re.compile(r"(@(?=[A-Za-z])|\B@|#(?=\d)|:(?=//)|(?<=\bwww)\.)")
"""What GitHub would make a mention, a reference to an issue or a link of, even where it is escaped."""


def markdown(sources: Sequence[Source], notes: Sequence[str] = ()) -> str:
    """The summary of some runs; `notes` tell of those that were left out."""
    blocks = [block for source in sources for block in _run(source)]
    if notes:
        blocks.append("\n".join(["Left out:", "", *(f"- {_code(note)}" for note in notes)]))
    return "\n\n".join(blocks) + "\n"


def _run(source: Source) -> Iterator[str]:
    summary = source.summary
    yield f"### {_text(source.title)}"
    yield f"{outcome(summary)}. {_text(environment_view.machine(source.environment))}."
    found = findings(summary, source.reference, source.quality)
    found.sort(key=lambda finding: finding.kind == "stops")
    if found:
        yield "\n".join(f"- {_text(sentence)}" for sentence in sentences(found))
    for part in cost_parts(summary):
        yield from _costs(part, source.reference)
    yield from _quality(summary)
    claimed = paper_claims(source)
    if claimed:
        yield f"Claims of papers: {counted(claimed)}."
        rows = [
            [_text(each.claim), _text(each.source), _text(each.theirs), _text(each.ours), each.ruling]
            for each in claimed
        ]
        yield _table(["claim", "paper", "stated", "found here", "verdict"], rows, numbers=False)
    entries = expectations(source)
    if entries:
        yield f"Expectations of the suite: {counted(entries)}."
        failed = [entry for entry in entries if entry.ruling != "holds"]
        if failed:
            rows = [[_text(each.claim), _text(each.place), _text(each.ours), each.ruling] for each in failed]
            yield _table(["claim", "where", "found here", "verdict"], rows, numbers=False)
    broken = contradictions(source.cards or ())
    if broken:
        yield "\n".join(["Contradicted semantics:", "", *(f"- {_code(each)}" for each in broken)])
    if source.notes:
        yield "\n".join(["Notes:", "", *(f"- {_code(note)}" for note in source.notes)])
    if source.environment.get("command"):
        yield f"Measured by {_code(str(source.environment['command']))}"


def _costs(part: Part, reference: str) -> Iterator[str]:
    """A row a mechanism: heaviest phase of the fullest shape, at the longest length of the reference."""
    name, rows = panels(part.rows)[0]
    _, work, rows = list(phases(rows))[-1]
    done = rows[rows["status"] == "ok"]
    if done.empty:
        return
    compared = done[done["attention"] == reference]
    length = int((compared if len(compared) else done)["seq_len"].max())
    yield f"**{_text(part.titled(work))}, N = {length:,}** ({_text(shared(rows) or name)})"
    cells = [
        [_text(str(label)), *_cells(own[own["seq_len"] == length]), _reach(own)]
        for label, own in rows.groupby("attention", sort=False)
    ]
    yield _table(["mechanism", "time", "time ratio", "peak memory", "memory ratio", "longest N"], cells)


def _cells(at: pd.DataFrame) -> list[str]:
    """Time, its ratio, memory and its ratio of the case at one length; why not, where it did not run."""
    if at.empty:
        return [numbers.MISSING] * 4
    row: Mapping[str, object] = {str(key): value for key, value in at.iloc[0].items()}
    status = str(row["status"])
    if status != "ok":
        return [words.status(status), *[numbers.MISSING] * 3]
    time = number(row, "time_s")
    ends = [number(row, f"time_s_{end}") for end in ("low", "high")]
    below, above = (number(row, f"time_ratio_{end}") for end in ("low", "high"))
    ratio = numbers.ratio(number(row, "time_ratio"))
    return [
        _text(f"{numbers.duration(time)} {numbers.duration_interval(time, *ends)}".strip()),
        _text(f"{ratio} {numbers.interval(below, above) if below != above else ''}".strip()),
        numbers.memory(number(row, "memory_bytes")),
        numbers.ratio(number(row, "memory_ratio")),
    ]


def _reach(own: pd.DataFrame) -> str:
    """The longest length measured, and what stopped the next one."""
    ordered = own.sort_values("seq_len")
    done = ordered.loc[ordered["status"] == "ok", "seq_len"]
    longest = f"{int(done.max()):,}" if len(done) else "none"
    beyond = ordered[ordered["seq_len"] > (done.max() if len(done) else -math.inf)]
    if beyond.empty or beyond.iloc[0]["status"] == "ok":
        return longest
    status = str(beyond.iloc[0]["status"])
    return f"{longest}, then {words.status(status)}"


def _quality(summary: pd.DataFrame) -> Iterator[str]:
    recommend = summary[summary["task"].isin(trainings())]
    rows = named(recommend)
    variants = across_seeds(rows)
    if variants.empty or "ndcg@10" not in variants:
        return
    what = "system" if compares_systems(recommend) else "mechanism"
    directions = ["causal"] if variants["causal"].nunique() > 1 else []
    settings = [name for name in varying(rows) if name in variants and variants[name].nunique() > 1]
    yield f"**Ranking on test** ({_text(shared(rows))})"
    metrics = [name for name in ("ndcg@10", "recall@10", "mrr@10") if name in variants]
    matched = "to_target_s" in variants and bool(variants["quality_target"].notna().any())
    cells = []
    for row in records(variants):
        cells.append(
            [
                _text(str(row["system"])),
                *(words.direction(row[name]) for name in directions),
                f"{row['seq_len']:,}",
                *(_text(str(row[name])) for name in settings),
                *(_metric(row, name) for name in metrics),
                numbers.duration(number(row, "train_time_s")),
                *([_to_target(row)] if matched else []),
                f"{row['seeds']}" + (f", {row['failed']} failed" if row["failed"] else ""),
            ]
        )
    cost = [_target_name(variants)] if matched else []
    heads = [what, *("direction" for _ in directions), "N", *(case_names.axis(name) for name in settings)]
    yield _table([*heads, *map(words.metric, metrics), "training", *cost, "seeds"], cells)


def _target_name(variants: pd.DataFrame) -> str:
    targets = variants["quality_target"].dropna().unique()
    return f"to validation NDCG@10 {numbers.metric(targets[0]) if len(targets) == 1 else 'of the target'}"


def _to_target(row: Mapping[str, object]) -> str:
    """Mean seconds over seeds; where a seed never got there, how many did instead of a number."""
    cost = number(row, "to_target_s")
    return f"{row['reached']} of {row['seeds']} seeds" if math.isnan(cost) else numbers.duration(cost)


def _metric(row: Mapping[str, object], name: str) -> str:
    value, low, high = (number(row, f"{name}{end}") for end in ("", "_low", "_high"))
    return _text(f"{numbers.metric(value)} {numbers.interval(low, high, numbers.metric)}".strip())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    """A table; columns of `numbers`, all but the first, are flush right."""
    lines = [head, ["---", *["---:" if numbers else "---"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Escaped: no sign of Markdown or HTML, no mention and no reference to an issue is left in it."""
    return _AUTOLINKS.sub(r"\1&#8203;", _SIGNS.sub(r"\\\1", " ".join(text.split())))


def _code(text: str) -> str:
    """As code, in which nothing is a link, a mention or a sign."""
    plain = " ".join(text.split())
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"
