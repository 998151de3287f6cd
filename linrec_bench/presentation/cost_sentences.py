"""Findings on cost -> sentences: which of two is faster at which lengths, and what no longer runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from linrec_bench.analysis.findings import Finding
from linrec_bench.presentation import numbers, words
from linrec_bench.presentation.case_names import setting

Varying = Mapping[str, frozenset[str]]

LONGEST = 160
"""Characters of a sentence; one that is longer goes without its last clause."""

HOPELESS = 10.0
"""A ratio that any run with enough rounds shows: intervals of two or three processes may be wider."""


def crossover_sentence(group: Sequence[Finding], varying: Varying) -> str:
    """One comparison in full, several in few words, by what is shown."""
    first = group[0]
    place = _cost_place(first, varying)
    if len(group) > 1:
        return f"Against {first.reference}, {place}. {'. '.join(_orders(group))}"
    return fitted(f"{order_text(first)}, {place}", (first.subject, str(first.reference)), _memory(first))


def _orders(group: Sequence[Finding]) -> Iterator[str]:
    """`Faster at every length from 256: fnet, sdpa`, then the other outcomes, the best first."""
    names: dict[str, dict[str, list[str]]] = {}
    for finding in sorted(group, key=_rank):
        names.setdefault(_title(finding), {}).setdefault(_where(finding), []).append(finding.subject)
    for title, places in names.items():
        yield f"{title}: {'; '.join(', '.join(same) + place for place, same in places.items())}"


def _rank(finding: Finding) -> int:
    """The best outcome first."""
    outcome = str(finding.evidence["outcome"])
    slower = outcome == "partly" and _partly_speed(finding) == "slower"
    return _BEST_FIRST.index("partly slower" if slower else outcome)


_BEST_FIRST = ("always", "crosses", "partly", "several", "none", "partly slower", "loses", "never")


def _title(finding: Finding) -> str:
    evidence = finding.evidence
    shortest, longest = (numbers.whole(as_number(evidence[end])) for end in ("shortest", "longest"))
    match evidence["outcome"]:
        case "always":
            return f"Faster at every length from {shortest}"
        case "crosses":
            return "Faster from a length on"
        case "partly":
            speed = _partly_speed(finding).capitalize()
            return f"{speed} {_partly_where(finding)}, no difference shown {_partly_elsewhere(finding)}"
        case "several":
            return "Faster and slower by turns"
        case "loses":
            return "Slower from a length on"
        case "never":
            return f"Slower at every length up to {longest}"
    return "No difference shown at any length"


def _where(finding: Finding) -> str:
    """At which lengths, for an outcome whose title does not say it."""
    match finding.evidence["outcome"]:
        case "crosses" | "loses":
            return f" {_at_length(finding)}"
        case "several":
            return f", {finding.evidence['changes']} changes {_between(finding)}"
        case "none":
            return _would_be_shown(finding)
    return ""


def order_text(finding: Finding) -> str:
    """Which of two is faster at which lengths, with `{}` for either name.

    `{} overtakes {} at N = 1,230 [1,100, 1,400]`, `{} is faster than {} at every length from 128`.
    """
    evidence = finding.evidence
    shortest, longest = (numbers.whole(as_number(evidence[end])) for end in ("shortest", "longest"))
    match evidence["outcome"]:
        case "always":
            return f"{{}} is faster than {{}} at every length from {shortest}"
        case "never":
            return f"{{}} is slower than {{}} at every length up to {longest}"
        case "crosses":
            return f"{{}} overtakes {{}} {_at_length(finding)}"
        case "loses":
            return f"{{}} falls behind {{}} {_at_length(finding)}"
        case "several":
            return _several(finding)
        case "partly":
            return _partly(finding)
    if evidence["rounds"] == 1:
        return "no difference between {} and {} shown: one round (process) shows none"
    return f"{_nothing_shown(finding)} between {{}} and {{}}, N = {shortest} to {longest}"


def _at_length(finding: Finding) -> str:
    at, low, high = (numbers.length(as_number(end)) for end in (finding.value, finding.low, finding.high))
    return f"at N = {at} [{low}, {high}]"


def _several(finding: Finding) -> str:
    evidence = finding.evidence
    if evidence["changes"] == 2:
        return f"{{}} is {_speed(evidence['first'], other=True)} than {{}} only {_between(finding)}"
    return f"{{}} and {{}} change places {evidence['changes']} times {_between(finding)}"


def _between(finding: Finding) -> str:
    ends = [numbers.length(as_number(end)) for end in (finding.evidence["first_change"], finding.value)]
    return f"between N = {ends[0]} and {ends[1]}"


def _partly(finding: Finding) -> str:
    """What is shown at either end of the range, and where nothing is."""
    shown = f"{{}} is {_partly_speed(finding)} than {{}} {_partly_where(finding)}"
    return f"{shown}, no difference shown {_partly_elsewhere(finding)}"


def _partly_elsewhere(finding: Finding) -> str:
    if finding.evidence["first"] and finding.evidence["last"]:
        return "between"
    return "beyond" if finding.evidence["first"] else "below"


def _partly_speed(finding: Finding) -> str:
    return _speed(finding.evidence["first"] or finding.evidence["last"])


def _partly_where(finding: Finding) -> str:
    """`up to N = 256 and from N = 4,096 on`."""
    evidence = finding.evidence
    parts = []
    if evidence["first"]:
        parts.append(f"up to N = {numbers.whole(as_number(evidence['until']))}")
    if evidence["last"]:
        parts.append(f"from N = {numbers.whole(as_number(evidence['since']))} on")
    return " and ".join(parts)


def _speed(sign: object, *, other: bool = False) -> str:
    return "faster" if (as_number(sign) < 0) != other else "slower"


def _nothing_shown(finding: Finding) -> str:
    """`no difference shown (21% would have been)`."""
    return f"no difference shown{_would_be_shown(finding)}"


def _would_be_shown(finding: Finding) -> str:
    """The least difference that would have been shown, where that is known."""
    detectable = as_number(finding.evidence.get("detectable"))
    if not detectable > 1:
        return ""
    if detectable > HOPELESS:
        return " (not even 10x would have been: measure more rounds)"
    least = numbers.percent(detectable - 1) if detectable < 2 else numbers.short_ratio(detectable)
    return f" ({least} would have been)"


def _memory(finding: Finding) -> str:
    """`; 10x less memory at 16,384`."""
    for what in ("state", "memory"):
        if f"{what}_ratio" in finding.evidence:
            ratio = as_number(finding.evidence[f"{what}_ratio"])
            at = f"at {finding.evidence['ratio_at']:,}"
            if 0.95 < ratio < 1.05:
                return f"; the same {'peak memory' if what == 'memory' else what} {at}"
            factor = numbers.short_ratio(max(ratio, 1 / ratio))
            return f"; {factor} {'less' if ratio < 1 else 'more'} {what} {at}"
    return ""


def stops_sentence(group: Sequence[Finding], varying: Varying) -> str:
    """What ended several mechanisms at the same length, in one sentence."""
    first, names = group[0], [finding.subject for finding in group]
    status = str(first.evidence["status"])
    place = f"at N = {numbers.whole(as_number(first.value))}, {_cost_place(first, varying)}"
    if len(group) > 1:
        return f"{', '.join(names)}: {words.status(status)} {place}"
    return fitted(f"{{}} {words.STATUS_VERB[status]} {place}", names)


def _cost_place(finding: Finding, varying: Varying) -> str:
    """`layer forward + backward, causal, batch 16, hidden 64`; task and direction where they vary."""
    where, differ = finding.where, varying.get("cost", frozenset())
    task, phase = str(where["task"]), str(where["phase"])
    work = words.work(task, phase) if "task" in differ else words.phase(task, phase)
    columns = [*(["causal"] if "causal" in differ else []), "batch_size", "hidden_size"]
    lengths = [f"lengths of {where['lengths_of']}"] if "lengths_of" in where else []
    return ", ".join([work, *(setting(column, where[column]) for column in columns), *lengths])


def fitted(text: str, names: Sequence[str], optional: str = "", end: str = "") -> str:
    """The text with its `{}` filled by `names`; beyond `LONGEST` characters without the optional clause."""
    whole, short = (f"{text.format(*names)}{clause}{end}" for clause in (optional, ""))
    return whole if len(whole) <= LONGEST else short


def as_number(value: object) -> float:
    """A number of a finding; NaN for None."""
    assert value is None or isinstance(value, int | float), f"{value!r} is no number"
    return float("nan") if value is None else float(value)
