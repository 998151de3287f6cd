"""Facts about a log -> the paragraph that `answer` ends with. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from linrec_bench.analysis.answer import MOST_ROUNDS, TOLERATED, Facts, Share, tolerated
from linrec_bench.analysis.findings import Finding
from linrec_bench.analysis.naming import FLOORS
from linrec_bench.presentation import numbers, words
from linrec_bench.presentation.cost_sentences import as_number, order_text
from linrec_bench.presentation.numbers import metric, signed_metric

WIDEST = 10
"""An interval that reaches further than this factor to either side says nothing but that rounds are few."""


def paragraph(facts: Sequence[Facts], findings: Sequence[Finding]) -> list[str]:
    """Sentences on quality, floors, break-even, cost and serving; `findings` are those of both runs.

    The costs are those of the mechanism with the best quality, `facts[0]`.
    """
    told = [*_quality(facts), *_floors(findings)]
    if facts:
        told += [*_break_even(facts[0]), *_costs(facts[0])]
    return told


def _quality(facts: Sequence[Facts]) -> Iterator[str]:
    known = [each for each in facts if each.quality is not None]
    if not known:
        yield "Quality: nothing was trained that can be compared."
        return
    first = known[0].quality
    assert first is not None
    evidence = first.evidence
    name, seeds = words.metric(first.unit), int(as_number(evidence["seeds"]))
    reference = (
        f"softmax attention ({first.reference}, {name} {metric(as_number(evidence['against_quality']))}"
    )
    reference += f", {numbers.counted(seeds, 'seed')}, {int(as_number(evidence['users'])):,} users)"
    if seeds == 1:
        yield f"Quality is not decided: one seed of {reference} tells nothing of mechanisms; train three."
        return
    for verdict, text in _VERDICTS.items():
        same = [_difference(each) for each in known if each.verdict == verdict]
        if same:
            yield text.format(names="; ".join(same), reference=reference, share=f"{TOLERATED:.0%}")
            reference = "it"
    undecided = [each for each in known if each.verdict == "undecided"]
    for needed in dict.fromkeys(each.seeds_needed for each in undecided):
        yield _what_decides([each for each in undecided if each.seeds_needed == needed])


_VERDICTS = {
    "better": "Ranks better than {reference}: {names}.",
    "kept": "Keeps the quality of {reference}, a loss of {share} being ruled out: {names}.",
    "undecided": "Not decided whether the quality of {reference} is kept within {share}: {names}.",
    "lost": "Loses quality against {reference}: {names}.",
}


def _difference(facts: Facts) -> str:
    """`linrec -0.0123 [-0.0156, -0.0090]`."""
    assert facts.quality is not None
    evidence = facts.quality.evidence
    low, high = (as_number(evidence[f"difference_{end}"]) for end in ("low", "high"))
    size = signed_metric(as_number(evidence["difference"]))
    return f"{facts.subject} {size} {numbers.interval(low, high, signed_metric)}"


def _what_decides(alike: Sequence[Facts]) -> str:
    """Of mechanisms that as many seeds would decide: what could have been shown of each."""
    findings = [each.quality for each in alike if each.quality is not None]
    least = [
        f"{metric(as_number(finding.evidence['detectable']))} ({each.subject})"
        for each, finding in zip(alike, findings, strict=True)
    ]
    loss, needed = metric(tolerated(findings[0])), alike[0].seeds_needed
    text = f"A difference of {', '.join(least)} would have been shown, and a loss of {loss} counts"
    if needed is None:
        return f"{text}: more seeds do not decide that, more users would."
    return f"{text}: about {needed} seeds would decide it."


def _floors(findings: Sequence[Finding]) -> Iterator[str]:
    """Whether attention is worth anything on this log at all."""
    for finding in findings:
        evidence = finding.evidence
        if finding.kind == "quality" and finding.subject in FLOORS and "difference" in evidence:
            lost = evidence["shown"] and as_number(evidence["difference"]) < 0
            text = "Attention is worth something here" if lost else "That attention helps here is not shown"
            difference = signed_metric(as_number(evidence["difference"]))
            yield f"{text}: without any ({finding.subject}) the quality changes by {difference}."


def _break_even(facts: Facts) -> Iterator[str]:
    layer = facts.layer
    if layer is None:
        return
    text = order_text(layer).format(facts.subject, layer.reference)
    yield f"Time, training one attention layer: {text}."
    if facts.beyond is not None:
        yield f"{_share(facts.beyond)} of the histories are that long."
        return
    longest = numbers.whole(as_number(layer.evidence["longest"]))
    more = ""
    if not layer.evidence["last"]:
        rounds = facts.rounds_needed
        more = f"; about {rounds} rounds would decide it" if rounds else f"; {MOST_ROUNDS} rounds would not"
    yield f"No length up to {longest} is shown from which {facts.subject} pays{more}."


def _share(share: Share) -> str:
    """`12% [5%, 21%]`."""
    if share.low is None or share.high is None:
        return numbers.percent(share.value)
    return f"{numbers.percent(share.value)} {numbers.interval(share.low, share.high, numbers.percent)}"


def _costs(facts: Facts) -> Iterator[str]:
    for what, finding in (
        ("a training step on batches of these histories", facts.training),
        ("serving one event", facts.serving),
    ):
        if finding is None:
            continue
        evidence = finding.evidence
        kind = "state" if "state_ratio" in evidence else "memory"
        parts = [f"{_ratio(finding)} the time"]
        if f"{kind}_ratio" in evidence:
            parts.append(f"{numbers.short_ratio(as_number(evidence[f'{kind}_ratio']))} the {kind}")
        length = numbers.whole(as_number(evidence["longest"]))
        yield f"At N = {length}, {what} takes {' and '.join(parts)} of {finding.reference}."


def _ratio(finding: Finding) -> str:
    evidence = finding.evidence
    low, high = (as_number(evidence.get(f"ratio_{end}")) for end in ("low", "high"))
    value = numbers.short_ratio(as_number(evidence.get("ratio")))
    if high > WIDEST**2 * low:
        return f"{value} (interval wider than {WIDEST}x: measure more rounds)"
    return f"{value} {numbers.interval(low, high, numbers.two_digits)}".rstrip()
