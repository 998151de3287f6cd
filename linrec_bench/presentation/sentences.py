"""Findings -> sentences that a person can quote. Pure: a sentence is made from findings alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from linrec_bench.analysis.findings import Finding
from linrec_bench.analysis.headline import findings as findings_of
from linrec_bench.presentation import numbers, words
from linrec_bench.presentation.case_names import setting
from linrec_bench.presentation.cost_sentences import (
    Varying,
    as_number,
    crossover_sentence,
    fitted,
    stops_sentence,
)
from linrec_bench.presentation.numbers import counted, metric, signed_metric

if TYPE_CHECKING:
    import pandas as pd

_JOINED = ("rank", "mean", "time_to_quality", "memorisation", "crossover", "stops")
"""Kinds of which one sentence tells all findings of the same place."""

MANY = 5
"""So many mechanisms compared at one place are told in one sentence; fewer have one each."""

_RANKED = ("causal", "layers", "heads", "hidden_size", "batch_size", "dtype")


def headline(summary: pd.DataFrame, reference: str, differences: pd.DataFrame | None = None) -> list[str]:
    """The findings of a run (`analysis.headline.findings`) in sentences."""
    return sentences(findings_of(summary, reference, differences))


def sentences(findings: Sequence[Finding], *, among: Sequence[Finding] | None = None) -> list[str]:
    """The sentences of some findings, in their order.

    Settings in which the findings (or, where given, those `among`) do not differ are not named.
    """
    varying = _varying(findings if among is None else among)
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(_group(finding), []).append(finding)
    told: list[str] = []
    for group in groups.values():
        apart = group[0].kind == "crossover" and len(group) < MANY
        parts = [[finding] for finding in group] if apart else [group]
        told += [_SENTENCES[group[0].kind](part, varying) for part in parts]
    return told


def _group(finding: Finding) -> object:
    """What findings of one sentence share; itself for a finding that has its own."""
    if finding.kind not in _JOINED:
        return id(finding)
    own = ("distance",) if finding.kind == "memorisation" else ()
    where = tuple((key, value) for key, value in sorted(finding.where.items()) if key not in own)
    subject = ""
    proof: tuple[object, ...] = ()
    if finding.kind == "memorisation" or (finding.value is None and finding.kind != "crossover"):
        subject = finding.subject
    if finding.kind == "time_to_quality":
        proof = tuple(finding.evidence.get(key) for key in ("target", "reached", "seeds"))
    elif finding.kind == "stops":
        proof = (finding.value, finding.evidence["status"])
    return finding.kind, subject, finding.reference, where, *proof


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


def _quality(group: Sequence[Finding], varying: Varying) -> str:
    (finding,) = group
    evidence, name = finding.evidence, words.metric(finding.unit)
    text = f"{{}}: test {name} {_with_interval(finding.value, finding.low, finding.high)}"
    proof, beside = _seeds(finding), ""
    if finding.reference is not None:
        share = evidence.get("train_time_ratio")
        beside = "" if share is None else f", trained in {numbers.short_ratio(as_number(share))} its time"
        if "difference" in evidence:
            # One interval a sentence: that of the difference, which is the narrower question.
            text = f"{{}}: test {name} {metric(as_number(finding.value))}, {_clause(finding)}"
            proof = _proof(finding)
        else:
            against = (evidence.get(f"reference_{end}") for end in ("value", "low", "high"))
            text += f" against {_with_interval(*against)} of {{}}"
    names = (finding.subject, *([finding.reference] if finding.reference is not None else []))
    return fitted(text, names, beside, _place(proof, finding, varying["quality"]))


def _clause(finding: Finding) -> str:
    """`0.0123 [0.0090, 0.0156] below {}`."""
    evidence = finding.evidence
    difference = as_number(evidence["difference"])
    low, high = (as_number(evidence[f"difference_{end}"]) for end in ("low", "high"))
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
    detectable = as_number(finding.evidence.get("detectable"))
    return f" ({metric(detectable)} would have been)" if detectable > 0 else ""


def _place(proof: str, finding: Finding, differ: Iterable[str]) -> str:
    """` (3 seeds, sasrec, causal, ml-1m, N = 200)`, of model and direction those that differ."""
    where = finding.where
    named = [name for name in ("model", "causal") if name in differ and name in where]
    own = [setting(name, where.get("model_name") if name == "model" else where[name]) for name in named]
    at = [str(where["dataset"]), setting("seq_len", where["seq_len"])]
    return f" ({', '.join([proof, *_budget(finding), *own, *at])})"


def _budget(finding: Finding) -> list[str]:
    """What a budget of seconds means for quality; nothing where training had none."""
    if "budget_s" not in finding.evidence:
        return []
    seconds = numbers.duration(as_number(finding.evidence["budget_s"]))
    return [f"{seconds} of training, quality depends on the machine"]


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
    difference, name = as_number(finding.value), words.metric(finding.unit)
    if finding.low is None:
        size = metric(abs(difference))
        return f"{place}{own} is {size} {name} {_side(difference)} {against} (one user, no interval)"
    low, high = finding.low, as_number(finding.high)
    size = _size(difference, low, high)
    proof = ", ".join([_proof(finding), *_budget(finding)])
    text = f"{own} is {size} {name} {_side(difference)} {against} ({proof})"
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
            side = f"{_side(as_number(finding.value))} it"
        ends = numbers.interval(as_number(finding.low), as_number(finding.high), signed_metric)
        told = f"{own} {signed_metric(as_number(finding.value))} {ends}".rstrip()
        least = _would_be_shown(finding) if side == "no difference shown" else ""
        sides.setdefault(side, []).append(told + least)
    sides["with no seed and user in common"] = [f.subject for f in group if not f.evidence["users"]]
    told = ". ".join(_capital(f"{side}: {'; '.join(names)}") for side, names in sides.items() if names)
    counts = [_range(paired, name) for name in ("seeds", "users")]
    where = ", ".join(filter(None, [_ranked_place(first, differ), *counts, *_budget(first)]))
    _, reference = _names(first, both=across or "reference_causal" in differ)
    model = f"{first.where['model_name']}, " if "model" in first.where else ""
    quality = metric(as_number(first.evidence["reference_value"]))
    return f"{model}{reference}: test {words.metric(first.unit)} {quality} ({where}). {told}"


def _mean(group: Sequence[Finding], varying: Varying) -> str:
    first = group[0]
    told = "; ".join(f"{finding.subject} {metric(as_number(finding.value))}" for finding in group)
    where = ", ".join([_ranked_place(first, varying["mean"]), _range(group, "seeds"), *_budget(first)])
    return f"test {words.metric(first.unit)}, the best first ({where}): {told}"


def _ranked_place(finding: Finding, differ: Iterable[str]) -> str:
    """`ml-1m, N = 50, causal`: data set and length, and what else differs between places."""
    columns = [name for name in _RANKED if name in differ and name in finding.where]
    return ", ".join(setting(name, finding.where[name]) for name in ("dataset", "seq_len", *columns))


def _time_to_quality(group: Sequence[Finding], varying: Varying) -> str:
    first = group[0]
    target = f"validation {words.metric('ndcg@10')} {metric(as_number(first.evidence['target']))}"
    end = _place(_seeds(first), first, varying["quality"])
    if first.value is None:
        reached, seeds = first.evidence["reached"], first.evidence["seeds"]
        text = f"{{}} reaches {target} with {reached} of {seeds} seeds, {{}} with all"
        return fitted(text, (first.subject, str(first.reference)), "", end)
    sides: dict[str, list[str]] = {"": [], "no difference shown: ": []}
    for finding in group:
        shown = finding.evidence["shown"] or finding.evidence["seeds"] == 1
        ratio = f"{finding.subject} {_ratio_text(finding)}"
        least = as_number(finding.evidence.get("detectable"))
        if not shown and least > 1:
            ratio += f" ({numbers.short_ratio(least)} would have been)"
        sides["" if shown else "no difference shown: "].append(ratio)
    ratios = "; ".join(f"{side}{', '.join(names)}" for side, names in sides.items() if names)
    return fitted(f"training time to {target} over that of {{}}: {ratios}", (str(first.reference),), "", end)


def _ratio_text(finding: Finding) -> str:
    """`1.4x [1.2, 1.6]`."""
    low, high = as_number(finding.low), as_number(finding.high)
    ends = numbers.interval(low, high, numbers.two_digits)
    return f"{numbers.short_ratio(as_number(finding.value))} {ends}".rstrip()


def _memorisation(group: Sequence[Finding], varying: Varying) -> str:
    del varying
    near, far = group[0], group[-1]
    text = (
        f"{near.subject} ranks a planted target in the first {near.evidence['k']} for {_share(near)} of the "
        f"questions at distance {near.where['distance']}"
    )
    if far is not near:
        text += f", {_share(far)} at {far.where['distance']}"
    clean = max(as_number(end.evidence["clean"]) for end in (near, far))
    place = f"{near.where['dataset']}, {setting('seq_len', near.where['seq_len'])}"
    return f"{text} (clean model {numbers.percent(clean)}; {place})"


def _with_interval(value: object, low: object, high: object) -> str:
    ends = "" if low is None else numbers.interval(as_number(low), as_number(high), metric)
    return f"{metric(as_number(value))} {ends}".rstrip()


def _seeds(finding: Finding) -> str:
    seeds = int(as_number(finding.evidence["seeds"]))
    return f"1 seed, {UNTESTED}" if seeds == 1 else f"{seeds} seeds"


def _proof(finding: Finding) -> str:
    """`3 seeds, 6,040 users, Holm-corrected p = 0.0006`; one seed has no p."""
    seeds, users = (int(as_number(finding.evidence[name])) for name in ("seeds", "users"))
    if seeds == 1:
        return f"1 seed, {users:,} users"
    p = numbers.p_equals(as_number(finding.evidence["p_holm"]))
    return f"{seeds} seeds, {users:,} users, Holm-corrected {p}"


def _size(number: float, low: float, high: float) -> str:
    """A difference without its sign, with its interval."""
    ends = sorted((low, high) if number >= 0 else (-low, -high))
    return f"{metric(abs(number))} {numbers.interval(ends[0], ends[1], metric)}"


def _side(number: float) -> str:
    return "below" if number < 0 else "above"


def _range(group: Sequence[Finding], name: str) -> str:
    """`2 seeds`, `1 to 3 seeds`, `943 users`; nothing of no findings."""
    values = [int(as_number(finding.evidence[name])) for finding in group]
    if not values:
        return ""
    low, high = min(values), max(values)
    return counted(high, name[:-1]) if low == high else f"{low:,} to {counted(high, name[:-1])}"


def _share(finding: Finding) -> str:
    value = numbers.percent(as_number(finding.value))
    if finding.low is None:
        return value
    ends = max(finding.low, 0.0), min(as_number(finding.high), 1.0)
    return f"{value} {numbers.interval(*ends, numbers.percent)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_SENTENCES: Mapping[str, Callable[[Sequence[Finding], Varying], str]] = {
    "crossover": crossover_sentence,
    "stops": stops_sentence,
    "quality": _quality,
    "difference": _difference,
    "rank": _rank,
    "mean": _mean,
    "time_to_quality": _time_to_quality,
    "memorisation": _memorisation,
}
