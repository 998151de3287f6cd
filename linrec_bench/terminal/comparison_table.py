"""A comparison in a terminal: differences of environment, tables of what changed, what is missing, a sum."""

from __future__ import annotations

import json
import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.table import Table
from rich.text import Text

from linrec_bench.analysis.case_pairing import Place
from linrec_bench.analysis.compare import COUNTED
from linrec_bench.analysis.comparison import Comparison, Line, Reached, Verdict
from linrec_bench.analysis.quality_findings import difference_findings
from linrec_bench.commands.compare import Compared
from linrec_bench.declarations import trainings
from linrec_bench.presentation import numbers as say
from linrec_bench.presentation import words
from linrec_bench.presentation.case_names import case_name
from linrec_bench.presentation.sentences import sentences
from linrec_bench.terminal.streams import listed, out

MOST_NAMES = 20
"""Names listed of cases without a partner, and of failures; JSON holds them all."""

_PEAKS = ("peak_live_bytes", "peak_allocated_bytes")
_BESIDE = tuple(name for name in COUNTED if name not in (*_PEAKS, "flops"))
"""Counts that a table has no column for."""


def show_comparison(found: Compared) -> None:
    """Differences of environment first, then a table a curve that has any difference, then the sum."""
    _show_sides(found)
    shown = 0
    reached = {each.place: each for each in found.comparison.reached}
    curves: dict[Place, list[Line]] = {place: [] for place in reached} | _curves(found.comparison.lines)
    for place, lines in curves.items():
        if place in reached or any(line.verdict != "same" for line in lines):
            shown += 1
            if place.task in trainings():
                _show_training(place, lines, reached.get(place))
            else:
                _show_curve(place, lines)
    if curves and shown < len(curves):
        out.print(f"curves without any difference, not shown: {len(curves) - shown} of {len(curves)}\n")
    for sentence in sentences(difference_findings(found.quality)):
        listed(sentence)
    _show_missing(found.comparison)
    _show_sum(found.comparison)


def _show_sides(found: Compared) -> None:
    if found.against:
        out.print(f"A {found.against}, B {found.attention}, both in {found.a}", soft_wrap=True)
    else:
        out.print(f"A {found.a}\nB {found.b}", soft_wrap=True)
    for difference in found.differences:
        listed(f"differs: {difference.key}: {_value(difference.a)} -> {_value(difference.b)}")
    if found.other_machine:
        listed(f"times are shown and not judged: {found.other_machine}")
    out.print()


def _value(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _curves(lines: Iterable[Line]) -> dict[Place, list[Line]]:
    """Lines of places that differ in length alone, under the place of length 0; trainings one by one."""
    curves: dict[Place, list[Line]] = {}
    for line in lines:
        place = line.place if line.place.task in trainings() else replace(line.place, seq_len=0)
        curves.setdefault(place, []).append(line)
    return curves


def _name(place: Place) -> str:
    return case_name(vars(place))


def _show_title(text: str) -> None:
    wrapped = textwrap.wrap(text, width=max(20, out.width), break_on_hyphens=False)
    out.print("\n".join(wrapped), style="bold")


def _show_curve(place: Place, lines: Sequence[Line]) -> None:
    _show_title(_name(place))
    table = Table(box=None, pad_edge=False)
    for name in ("N", "time B/A", "95 % interval", "p (Holm)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for name in ("memory", "FLOPs"):
        table.add_column(name, justify="right", no_wrap=True)
    by_length: dict[int, dict[str, Line]] = {}
    for line in lines:
        by_length.setdefault(line.place.seq_len, {})[line.measure] = line
    for seq_len, measures in sorted(by_length.items()):
        time = measures.get("time")
        cells: list[str | Text] = ["-", "-", "-", ""]
        if time is not None:
            cells = [say.three_digits(time.change), _interval(time), say.p_value(time.p), _verdict(time)]
        memory = next((measures[name] for name in _PEAKS if name in measures), None)
        table.add_row(str(seq_len), *cells, _count(memory), _count(measures.get("flops")))
    out.print(table)
    for measure in _BESIDE:
        changed = [line for line in lines if line.measure == measure and line.verdict != "same"]
        if changed:
            lengths = ", ".join(str(line.place.seq_len) for line in changed)
            low, high = min(line.change for line in changed), max(line.change for line in changed)
            span = say.ratio(low) if low == high else f"{say.ratio(low)} to {say.ratio(high)}"
            listed(f"{measure}: {span} at N {lengths}")
    out.print()


def _show_training(place: Place, lines: Sequence[Line], reached: Reached | None) -> None:
    seeds = max([line.replicates for line in lines] + ([reached.seeds] if reached else []))
    _show_title(f"{_name(place)}, {say.counted(seeds, 'seed')}, p after Holm")
    table = Table(box=None, pad_edge=False)
    table.add_column("measure", overflow="fold")
    for name in ("A", "B", "change", "95 % interval", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for line in lines:
        signed = say.signed_metric(line.change) if line.family == "quality" else say.ratio(line.change)
        cells = (_amount(line, line.a), _amount(line, line.b), signed, _interval(line), say.p_value(line.p))
        table.add_row(words.measure(line.measure), *cells, _verdict(line))
    if lines:
        out.print(table)
    if reached is not None:
        _show_reached(reached)
    out.print()


def _show_reached(found: Reached) -> None:
    """Training until both sides were as good, not judged: seconds, and joules where they are known."""
    table = Table(box=None, pad_edge=False)
    table.add_column(f"to validation NDCG@10 {say.metric(found.target)}", overflow="fold")
    for name in ("A", "B", "B/A", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    a, b = (
        f"{'' if count == found.seeds else '>'}{say.duration(value)}"
        for count, value in ((found.a_reached, found.a_s), (found.b_reached, found.b_s))
    )
    sign = {"": "", "at least": ">", "at most": "<", "unknown": ""}[found.bound]
    change = f"{sign}{say.ratio(found.change)}"
    interval = say.interval(found.low, found.high) or say.MISSING
    table.add_row("seconds of training", a, b, change, interval)
    if not math.isnan(found.a_j) and not math.isnan(found.b_j):
        table.add_row(
            "joules of training",
            say.energy(found.a_j),
            say.energy(found.b_j),
            say.ratio(found.b_j / found.a_j),
            "-",
        )
    out.print(table)
    if not found.a_reached == found.b_reached == found.seeds:
        listed(f"seeds that got there: {found.a_reached} in A, {found.b_reached} in B, of {found.seeds}")


def _amount(line: Line, value: float) -> str:
    if line.unit == "s":
        return say.duration(value)
    if line.unit == "B":
        return say.memory(value)
    return say.metric(value) if line.family == "quality" else say.three_digits(value)


def _interval(line: Line) -> str:
    if line.family == "counted" or math.isnan(line.low):
        return "-"
    if line.family == "quality":
        return say.interval(line.low, line.high, say.signed_metric)
    return say.interval(line.low, line.high)


def _verdict(line: Line) -> Text:
    return Text(
        words.change(line.measure, line.family, line.verdict),
        style=words.VERDICT_COLOUR.get(line.verdict, ""),
    )


def _count(line: Line | None) -> Text:
    """A ratio; the difference itself where three digits would hide it."""
    if line is None:
        return Text("-")
    said = say.ratio(line.change)
    if line.a == line.b:
        said = "equal"
    elif say.three_digits(line.change) == "1.00":
        said = f"{line.b - line.a:+.3g}"
    return Text(said, style=words.VERDICT_COLOUR.get(line.verdict, ""))


def _show_missing(found: Comparison) -> None:
    one_sided = [failure for failure in found.failures if "ok" in (failure.a, failure.b)]
    _show_names(
        "failed on one side",
        [
            f"{_name(each.place)}: A {_ended(each.a, each.a_detail)}, B {_ended(each.b, each.b_detail)}"
            for each in one_sided
        ],
    )
    _show_names(
        "failed on both sides",
        [f"{_name(each.place)}: A {each.a}, B {each.b}" for each in found.failures if each not in one_sided],
    )
    _show_names("only in A", [_name(place) for place in found.only_a])
    _show_names("only in B", [_name(place) for place in found.only_b])
    for (measure, side), cases in sorted(found.only_measured.items()):
        listed(f"{measure} was measured in {side.upper()} alone, for {cases} of the matched cases")


def _ended(status: str, detail: str) -> str:
    return f"{status} ({detail})" if detail else status


def _show_names(title: str, names: Sequence[str]) -> None:
    if not names:
        return
    out.print(f"{len(names)} {title}")
    for name in names[:MOST_NAMES]:
        listed(name)
    if len(names) > MOST_NAMES:
        out.print(f"- and {len(names) - MOST_NAMES} more, all in --json")


def _show_sum(found: Comparison) -> None:
    given = found.verdicts()
    if not given:
        out.print("nothing to compare: no case was measured on both sides")
        return
    reasons = Counter(line.reason for line in found.lines if line.verdict == "undecided")
    for reason, count in reasons.most_common():
        listed(f"{count} undecided: {reason}")
    names: tuple[tuple[Verdict, str], ...] = (
        ("worse", "worse in B"),
        ("better", "better"),
        ("same", "without a difference"),
        ("undecided", "undecided"),
    )
    out.print(", ".join(f"{given[verdict]} {name}" for verdict, name in names))
