"""What changed against a baseline, one line a measure: how it grew with N before, and how now. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from linrec_bench.analysis.polynomial import polynomial
from linrec_bench.analysis.scaling import exact_exponent
from linrec_bench.analysis.verdict import Verdict
from linrec_bench.presentation.verdicts import change_text

_LENGTH = re.compile(r" N=(\d+)")


def is_change(verdict: Verdict) -> bool:
    """Whether a count differs from the accepted one."""
    return verdict.basis.kind == "changed"


def changes(verdicts: Sequence[Verdict]) -> dict[str, list[str]]:
    """Name of a case without its length -> a line for each measure that changed at some length.

    `operations: 8,706 N -> 8,770 N, +0.74%, exponent unchanged`: verdicts that hold tell the other lengths.
    """
    pairs: dict[tuple[str, str], dict[int, tuple[int, int]]] = {}
    changed = set()
    for verdict in verdicts:
        if verdict.claim.quantity != "baseline" or verdict.basis.kind not in ("", "changed"):
            continue
        name = str(verdict.where["case"])
        length = _LENGTH.search(name)
        key = (_LENGTH.sub("", name), verdict.claim.measure)
        now = int(verdict.found)
        before = verdict.basis.facts.get("accepted", now)
        accepted = before if isinstance(before, int) else now
        pairs.setdefault(key, {})[int(length[1]) if length else 0] = (accepted, now)
        if is_change(verdict):
            changed.add(key)
    lines: dict[str, list[str]] = {}
    for name, measure in pairs:
        if (name, measure) in changed:
            lines.setdefault(name, []).append(f"{measure}: {_told(pairs[name, measure])}")
    return lines


def _told(pairs: Mapping[int, tuple[int, int]]) -> str:
    before, after = ({n: pair[side] for n, pair in pairs.items()} for side in (0, 1))
    largest = max(n for n, (accepted, now) in pairs.items() if accepted != now)
    forms = [polynomial(counts) for counts in (before, after)]
    if None in forms:
        texts = [f"{counts[largest]:,}" for counts in (before, after)]
        place = f" at N = {largest:,}" if largest else ""
    else:
        texts, place = [str(form) for form in forms], ""
    told = f"{texts[0]} -> {texts[1]}{place}, {change_text(*pairs[largest])}"
    if len(pairs) < 2 or min(min(pair) for pair in pairs.values()) <= 0:
        return told
    was, now = (f"{exact_exponent(counts):.3g}" for counts in (before, after))
    return f"{told}, exponent unchanged" if was == now else f"{told}, exponent {was} -> {now}"
