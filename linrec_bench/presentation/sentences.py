"""Findings -> sentences that a person can quote. Pure: a sentence is made from findings alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from linrec_bench.analysis.findings import Finding
from linrec_bench.analysis.headline import findings as findings_of
from linrec_bench.presentation import numbers, words
from linrec_bench.presentation.case_names import setting
from linrec_bench.presentation.numbers import counted, metric, signed_metric

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 160
"""Characters of a sentence; one that is longer goes without its last clause."""

_JOINED = ("rank", "mean", "time_to_quality", "memorisation")
"""Kinds of which one sentence tells all findings of the same place."""

_RANKED = ("causal", "layers", "heads", "hidden_size", "batch_size", "dtype")


def headline(summary: pd.DataFrame, reference: str, differences: pd.DataFrame | None = None) -> list[str]:
    """The findings of a run (`analysis.headline.findings`) in sentences."""
    return sentences(findings_of(summary, reference, differences))


def sentences(findings: Sequence[Finding], *, among: Sequence[Finding] | None = None) -> list[str]:
    """The sentences of some findings, in their order.

    Settings in which the findings (or, where given, those `among`) do not differ are not named.
    """
    varying = _varying(findings if among is None else among)
    groups = [list(group) for _, group in groupby(findings, key=_group)]
    return [_SENTENCES[group[0].kind](group, varying) for group in groups]


def _group(finding: Finding) -> object:
    """What findings of one sentence share; itself for a finding that has its own."""
    if finding.kind not in _JOINED:
        return id(finding)
    own = ("distance",) if finding.kind == "memorisation" else ()
    where = tuple((key, value) for key, value in sorted(finding.where.items()) if key not in own)
    proof = ("target", "reached", "seeds") if finding.kind == "time_to_quality" else ()
    alone = finding.kind == "memorisation" or finding.value is None
    subject = finding.subject if alone else ""
    return finding.kind, subject, finding.reference, where, *(finding.evidence.get(key) for key in proof)


def _varying(findings: Iterable[Finding]) -> dict[str, frozenset[str]]:
    """For each family of kinds, the settings in which its findings differ."""
    values: dict[str, dict[str, set[object]]] = {}
    for finding in findings:
        for column, value in finding.where.items():
            values.setdefault(_family(finding), {}).setdefault(column, set()).add(value)
    return {
        kind: frozenset(column for column, seen in columns.items() if len(seen) > 1)
        for kind, columns in values.items()
    }


def _family(finding: Finding) -> str:
    families = {"crossover": "cost", "stops": "cost", "time_to_quality": "quality"}
    return families.get(finding.kind, finding.kind)


Varying = Mapping[str, frozenset[str]]


def _crossover(group: Sequence[Finding], varying: Varying) -> str:
    (finding,) = group
    text = f"{order_text(finding)}, {_cost_place(finding, varying)}"
    return _fitted(text, (finding.subject, str(finding.reference)), _memory(finding))


def order_text(finding: Finding) -> str:
    """Which of two is faster at which lengths, with `{}` for either name.

    `{} overtakes {} at N = 1,230 [1,100, 1,400]`, `{} is faster than {} at every length from 128`.
    """
    evidence = finding.evidence
    shortest, longest = (numbers.whole(_number(evidence[end])) for end in ("shortest", "longest"))
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
    at, low, high = (numbers.length(_number(end)) for end in (finding.value, finding.low, finding.high))
    return f"at N = {at} [{low}, {high}]"


def _several(finding: Finding) -> str:
    evidence = finding.evidence
    ends = [numbers.length(_number(end)) for end in (evidence["first_change"], finding.value)]
    between = f"between N = {ends[0]} and {ends[1]}"
    if evidence["changes"] == 2:
        return f"{{}} is {_speed(evidence['first'], other=True)} than {{}} only {between}"
    return f"{{}} and {{}} change places {evidence['changes']} times {between}"


def _partly(finding: Finding) -> str:
    """What is shown at either end of the range, and where nothing is."""
    evidence = finding.evidence
    parts = []
    if evidence["first"]:
        parts.append((evidence["first"], f"up to N = {numbers.whole(_number(evidence['until']))}"))
    if evidence["last"]:
        parts.append((evidence["last"], f"from N = {numbers.whole(_number(evidence['since']))} on"))
    elsewhere = "between" if len(parts) > 1 else "beyond" if evidence["first"] else "below"
    shown = " and ".join(where for _, where in parts)
    return f"{{}} is {_speed(parts[0][0])} than {{}} {shown}, no difference shown {elsewhere}"


def _speed(sign: object, *, other: bool = False) -> str:
    return "faster" if (_number(sign) < 0) != other else "slower"


def _nothing_shown(finding: Finding) -> str:
    """`no difference shown (21% would have been)`."""
    detectable = _number(finding.evidence.get("detectable"))
    if not detectable > 1:
        return "no difference shown"
    least = numbers.percent(detectable - 1) if detectable < 2 else numbers.short_ratio(detectable)
    return f"no difference shown ({least} would have been)"


def _memory(finding: Finding) -> str:
    """`; 10x less memory at 16,384`."""
    for what in ("state", "memory"):
        if f"{what}_ratio" in finding.evidence:
            ratio = _number(finding.evidence[f"{what}_ratio"])
            at = f"at {finding.evidence['ratio_at']:,}"
            if 0.95 < ratio < 1.05:
                return f"; the same {'peak memory' if what == 'memory' else what} {at}"
            factor = numbers.short_ratio(max(ratio, 1 / ratio))
            return f"; {factor} {'less' if ratio < 1 else 'more'} {what} {at}"
    return ""


def _stops(group: Sequence[Finding], varying: Varying) -> str:
    (finding,) = group
    verb = words.STATUS_VERB[str(finding.evidence["status"])]
    text = f"{{}} {verb} at N = {numbers.whole(_number(finding.value))}, {_cost_place(finding, varying)}"
    return _fitted(text, (finding.subject,))


def _cost_place(finding: Finding, varying: Varying) -> str:
    """`layer forward + backward, causal, batch 16, hidden 64`; task and direction where they vary."""
    where, differ = finding.where, varying.get("cost", frozenset())
    task, phase = str(where["task"]), str(where["phase"])
    work = words.work(task, phase) if "task" in differ else words.phase(task, phase)
    columns = [*(["causal"] if "causal" in differ else []), "batch_size", "hidden_size"]
    lengths = [f"lengths of {where['lengths_of']}"] if "lengths_of" in where else []
    return ", ".join([work, *(setting(column, where[column]) for column in columns), *lengths])


def _quality(group: Sequence[Finding], varying: Varying) -> str:
    (finding,) = group
    evidence, name = finding.evidence, words.metric(finding.unit)
    text = f"{{}}: test {name} {_with_interval(finding.value, finding.low, finding.high)}"
    proof, beside = _seeds(finding), ""
    if finding.reference is not None:
        share = evidence.get("train_time_ratio")
        beside = "" if share is None else f", trained in {numbers.short_ratio(_number(share))} its time"
        if "difference" in evidence:
            # One interval a sentence: that of the difference, which is the narrower question.
            text = f"{{}}: test {name} {metric(_number(finding.value))}, {_clause(finding)}"
            proof = _proof(finding)
        else:
            against = (evidence.get(f"reference_{end}") for end in ("value", "low", "high"))
            text += f" against {_with_interval(*against)} of {{}}"
    names = (finding.subject, *([finding.reference] if finding.reference is not None else []))
    return _fitted(text, names, beside, _place(proof, finding, varying["quality"]))


def _clause(finding: Finding) -> str:
    """`0.0123 [0.0090, 0.0156] below {}`."""
    evidence = finding.evidence
    difference = _number(evidence["difference"])
    low, high = (_number(evidence[f"difference_{end}"]) for end in ("low", "high"))
    size = f"{_size(difference, low, high)} {_side(difference)}"
    if evidence["seeds"] == 1:
        return f"{size} {{}}{_of_models(low, high)}"
    if evidence["shown"]:
        return f"{size} {{}}"
    return f"no difference from {{}} shown{_would_be_shown(finding)}, {size} it"


UNTESTED = "the mechanisms are untested"
"""What one seed says of mechanisms."""


def _of_models(low: float, high: float) -> str:
    """What an interval over users says of one training of either side."""
    differ = "these two trained models differ; " if low > 0 or high < 0 else ""
    return f": {differ}{UNTESTED}"


def _would_be_shown(finding: Finding) -> str:
    """` (0.0080 would have been)`."""
    detectable = _number(finding.evidence.get("detectable"))
    return f" ({metric(detectable)} would have been)" if detectable > 0 else ""


def _place(proof: str, finding: Finding, differ: Iterable[str]) -> str:
    """` (3 seeds, sasrec, causal, ml-1m, N = 200)`, of model and direction those that differ."""
    where = finding.where
    named = [name for name in ("model", "causal") if name in differ and name in where]
    own = [setting(name, where.get("model_name") if name == "model" else where[name]) for name in named]
    return f" ({', '.join([proof, *own, str(where['dataset']), setting('seq_len', where['seq_len'])])})"


def _difference(group: Sequence[Finding], varying: Varying) -> str:
    (finding,) = group
    where, evidence = finding.where, finding.evidence
    told = [
        setting(name, where[name]) if name == "seq_len" else str(where[name])
        for name in ("model", "dataset", "seq_len")
        if name in varying["difference"] and name in where
    ]
    place = f"{', '.join(told)}: " if told else ""
    own, against = _names(finding, both=where.get("causal") != where.get("reference_causal"))
    if evidence["users"] == 0:
        return f"{place}{own} and {against} have no seed and user in common, so that nothing is paired"
    if own == against:
        own, against = f"{own} in run B", "run A"
    difference, name = _number(finding.value), words.metric(finding.unit)
    if finding.low is None:
        size = metric(abs(difference))
        return f"{place}{own} is {size} {name} {_side(difference)} {against} (one user, no interval)"
    low, high = finding.low, _number(finding.high)
    size = _size(difference, low, high)
    text = f"{own} is {size} {name} {_side(difference)} {against} ({_proof(finding)})"
    if evidence["seeds"] == 1:
        return f"{place}{text}{_of_models(low, high)}"
    nothing = f"no difference shown{_would_be_shown(finding)}: "
    return f"{place}{'' if evidence['shown'] else nothing}{text}"


def _names(finding: Finding, *, both: bool) -> tuple[str, str]:
    """The names of both sides, with their directions where `both` need one."""
    sides = ((finding.subject, "causal"), (str(finding.reference), "reference_causal"))
    own, against = (
        f"{name} ({words.direction(finding.where.get(column))})" if both else name for name, column in sides
    )
    return own, against


def _rank(group: Sequence[Finding], varying: Varying) -> str:
    """`hstu: test NDCG@10 0.1720 (ml-1m, N = 50, 2 seeds, 943 users). Above it: recgrela +0.0056 [...]`."""
    first, differ = group[0], varying["rank"]
    paired = [finding for finding in group if finding.evidence["users"]]
    sides: dict[str, list[str]] = {"above it": [], "no difference shown": [], "below it": []}
    across = any(f.where.get("causal") != f.where.get("reference_causal") for f in group)
    for finding in paired:
        own, _ = _names(finding, both=finding.where.get("causal") != finding.where.get("reference_causal"))
        side = "no difference shown"
        if finding.evidence["seeds"] == 1:
            side = f"one seed, {UNTESTED}"
        elif finding.evidence["shown"]:
            side = f"{_side(_number(finding.value))} it"
        ends = numbers.interval(_number(finding.low), _number(finding.high), signed_metric)
        sides.setdefault(side, []).append(f"{own} {signed_metric(_number(finding.value))} {ends}".rstrip())
    sides["with no seed and user in common"] = [f.subject for f in group if not f.evidence["users"]]
    told = ". ".join(_capital(f"{side}: {'; '.join(names)}") for side, names in sides.items() if names)
    counts = [_range(paired, name) for name in ("seeds", "users")]
    where = ", ".join(filter(None, [_ranked_place(first, differ), *counts]))
    _, reference = _names(first, both=across or "reference_causal" in differ)
    model = f"{first.where['model_name']}, " if "model" in first.where else ""
    quality = metric(_number(first.evidence["reference_value"]))
    return f"{model}{reference}: test {words.metric(first.unit)} {quality} ({where}). {told}"


def _mean(group: Sequence[Finding], varying: Varying) -> str:
    first = group[0]
    told = "; ".join(f"{finding.subject} {metric(_number(finding.value))}" for finding in group)
    where = f"{_ranked_place(first, varying['mean'])}, {_range(group, 'seeds')}"
    return f"test {words.metric(first.unit)}, the best first ({where}): {told}"


def _ranked_place(finding: Finding, differ: Iterable[str]) -> str:
    """`ml-1m, N = 50, causal`: data set and length, and what else differs between places."""
    columns = [name for name in _RANKED if name in differ and name in finding.where]
    return ", ".join(setting(name, finding.where[name]) for name in ("dataset", "seq_len", *columns))


def _time_to_quality(group: Sequence[Finding], varying: Varying) -> str:
    first = group[0]
    target = f"validation {words.metric('ndcg@10')} {metric(_number(first.evidence['target']))}"
    end = _place(_seeds(first), first, varying["quality"])
    if first.value is None:
        reached, seeds = first.evidence["reached"], first.evidence["seeds"]
        text = f"{{}} reaches {target} with {reached} of {seeds} seeds, {{}} with all"
        return _fitted(text, (first.subject, str(first.reference)), "", end)
    sides: dict[str, list[str]] = {"": [], "no difference shown: ": []}
    for finding in group:
        shown = finding.evidence["shown"] or finding.evidence["seeds"] == 1
        ratio = f"{finding.subject} {_ratio_text(finding)}"
        sides["" if shown else "no difference shown: "].append(ratio)
    ratios = "; ".join(f"{side}{', '.join(names)}" for side, names in sides.items() if names)
    return _fitted(f"training time to {target} over that of {{}}: {ratios}", (str(first.reference),), "", end)


def _ratio_text(finding: Finding) -> str:
    """`1.4x [1.2, 1.6]`."""
    low, high = _number(finding.low), _number(finding.high)
    ends = numbers.interval(low, high, numbers.two_digits)
    return f"{numbers.short_ratio(_number(finding.value))} {ends}".rstrip()


def _memorisation(group: Sequence[Finding], varying: Varying) -> str:
    del varying
    near, far = group[0], group[-1]
    text = (
        f"{near.subject} ranks a planted target in the first {near.evidence['k']} for {_share(near)} of the "
        f"questions at distance {near.where['distance']}"
    )
    if far is not near:
        text += f", {_share(far)} at {far.where['distance']}"
    clean = max(_number(end.evidence["clean"]) for end in (near, far))
    place = f"{near.where['dataset']}, {setting('seq_len', near.where['seq_len'])}"
    return f"{text} (clean model {numbers.percent(clean)}; {place})"


def _fitted(text: str, names: Sequence[str], optional: str = "", end: str = "") -> str:
    """The text with its `{}` filled by `names`; beyond `LONGEST` characters without the optional clause."""
    whole, short = (f"{text.format(*names)}{clause}{end}" for clause in (optional, ""))
    return whole if len(whole) <= LONGEST else short


def _with_interval(value: object, low: object, high: object) -> str:
    ends = "" if low is None else numbers.interval(_number(low), _number(high), metric)
    return f"{metric(_number(value))} {ends}".rstrip()


def _seeds(finding: Finding) -> str:
    seeds = int(_number(finding.evidence["seeds"]))
    return f"1 seed, {UNTESTED}" if seeds == 1 else f"{seeds} seeds"


def _proof(finding: Finding) -> str:
    """`3 seeds, 6,040 users, Holm-corrected p = 0.0006`; one seed has no p."""
    seeds, users = (int(_number(finding.evidence[name])) for name in ("seeds", "users"))
    if seeds == 1:
        return f"1 seed, {users:,} users"
    p = numbers.p_equals(_number(finding.evidence["p_holm"]))
    return f"{seeds} seeds, {users:,} users, Holm-corrected {p}"


def _size(number: float, low: float, high: float) -> str:
    """A difference without its sign, with its interval."""
    ends = sorted((low, high) if number >= 0 else (-low, -high))
    return f"{metric(abs(number))} {numbers.interval(ends[0], ends[1], metric)}"


def _side(number: float) -> str:
    return "below" if number < 0 else "above"


def _range(group: Sequence[Finding], name: str) -> str:
    """`2 seeds`, `1 to 3 seeds`, `943 users`; nothing of no findings."""
    values = [int(_number(finding.evidence[name])) for finding in group]
    if not values:
        return ""
    low, high = min(values), max(values)
    return counted(high, name[:-1]) if low == high else f"{low:,} to {counted(high, name[:-1])}"


def _share(finding: Finding) -> str:
    value = numbers.percent(_number(finding.value))
    if finding.low is None:
        return value
    ends = max(finding.low, 0.0), min(_number(finding.high), 1.0)
    return f"{value} {numbers.interval(*ends, numbers.percent)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _number(value: object) -> float:
    """A number of a finding; NaN for None."""
    assert value is None or isinstance(value, int | float), f"{value!r} is no number"
    return float("nan") if value is None else float(value)


_SENTENCES: Mapping[str, Callable[[Sequence[Finding], Varying], str]] = {
    "crossover": _crossover,
    "stops": _stops,
    "quality": _quality,
    "difference": _difference,
    "rank": _rank,
    "mean": _mean,
    "time_to_quality": _time_to_quality,
    "memorisation": _memorisation,
}
