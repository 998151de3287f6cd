"""A comparison in a terminal: differences of environment, tables of what changed, what is missing, a sum."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.text import Text

from linrec_bench.analysis.case_pairing import Place
from linrec_bench.analysis.compare_sides import COUNTED
from linrec_bench.analysis.comparison import Comparison, Line, Reached, Verdict
from linrec_bench.analysis.quality_findings import difference_findings
from linrec_bench.commands.compare import Compared
from linrec_bench.declarations import trainings
from linrec_bench.presentation import numbers as say
from linrec_bench.presentation import words
from linrec_bench.presentation.case_names import case_name
from linrec_bench.presentation.sentences import sentences
from linrec_bench.terminal.streams import heading, listed, out, paragraph
from linrec_bench.terminal.tables import show_table

MOST_NAMES = 20
"""Names listed of cases without a partner, and of failures; JSON holds them all."""

_PEAKS = ("peak_live_bytes", "peak_allocated_bytes")
_WITHOUT_COLUMN = tuple(name for name in COUNTED if name not in (*_PEAKS, "flops"))
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
        paragraph(f"A {found.against}, B {found.attention}, both in {found.a}")
    else:
        paragraph(f"A {found.a}")
        paragraph(f"B {found.b}")
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


def _show_curve(place: Place, lines: Sequence[Line]) -> None:
    heading(case_name(vars(place) | {"seq_len": None}))
    by_length: dict[int, dict[str, Line]] = {}
    for line in lines:
        by_length.setdefault(line.place.seq_len, {})[line.measure] = line
    rows: list[list[str | Text]] = []
    for seq_len, measures in sorted(by_length.items()):
        time = measures.get("time")
        cells: list[str | Text] = [*[say.MISSING] * 3, ""]
        if time is not None:
            cells = [say.three_digits(time.change), _interval(time), say.p_value(time.p), _verdict(time)]
        memory = next((measures[name] for name in _PEAKS if name in measures), None)
        rows.append([str(seq_len), *cells, _count(memory), _count(measures.get("flops"))])
    show_table(
        ["N", "time B/A", "95 % interval", "p (Holm)", "verdict", "memory", "FLOPs"], rows, left=["verdict"]
    )
    _show_detectable([line for line in lines if line.measure == "time"])
    for measure in _WITHOUT_COLUMN:
        changed = [line for line in lines if line.measure == measure and line.verdict != "same"]
        if changed:
            lengths = ", ".join(str(line.place.seq_len) for line in changed)
            low, high = min(line.change for line in changed), max(line.change for line in changed)
            span = say.ratio(low) if low == high else f"{say.ratio(low)} to {say.ratio(high)}"
            listed(f"{words.measure(measure)}: {span} at N {lengths}")
    out.print()


def _show_training(place: Place, lines: Sequence[Line], reached: Reached | None) -> None:
    seeds = max([line.replicates for line in lines] + ([reached.seeds] if reached else []))
    heading(f"{_name(place)}, {say.counted(seeds, 'seed')}, p after Holm")
    if lines:
        rows: list[list[str | Text]] = []
        for line in lines:
            sides = (_amount(line, line.a), _amount(line, line.b), _change(line), _interval(line))
            rows.append([words.measure(line.measure), *sides, say.p_value(line.p), _verdict(line)])
        head = ["measure", "A", "B", "change", "95 % interval", "p", "verdict"]
        show_table(head, rows, left=["verdict"])
        for measure in dict.fromkeys(line.measure for line in lines):
            _show_detectable([line for line in lines if line.measure == measure])
        if over := dict.fromkeys(line.over for line in lines if line.over):
            listed(
                f"intervals of quality are over {' or '.join(over)}; p is that of a change beyond the margin"
            )
    if reached is not None:
        _show_reached(reached)
    out.print()


def _show_detectable(lines: Sequence[Line]) -> None:
    """The smallest change of a measure that these lines could have shown."""
    known = [line for line in lines if not math.isnan(line.detectable)]
    if not known:
        return
    form = say.metric if known[0].family == "quality" else say.ratio
    ends = dict.fromkeys(form(end(line.detectable for line in known)) for end in (min, max))
    listed(f"{words.measure(known[0].measure)}: smallest change that could be shown {' to '.join(ends)}")


def _show_reached(reached: Reached) -> None:
    """The training cost of one quality on both sides, not judged: seconds, and joules where known."""
    a, b = (
        f"{'' if count == reached.seeds else '>'}{say.duration(value)}"
        for count, value in ((reached.a_reached, reached.a_s), (reached.b_reached, reached.b_s))
    )
    sign = {"": "", "at least": ">", "at most": "<", "unknown": ""}[reached.bound]
    interval = say.interval(reached.low, reached.high) or say.MISSING
    rows = [["seconds of training", a, b, f"{sign}{say.ratio(reached.change)}", interval]]
    if not math.isnan(reached.a_j) and not math.isnan(reached.b_j):
        joules = [say.energy(reached.a_j), say.energy(reached.b_j), say.ratio(reached.b_j / reached.a_j)]
        rows.append(["joules of training", *joules, say.MISSING])
    title = f"to validation NDCG@10 {say.metric(reached.target)}"
    show_table([title, "A", "B", "B/A", "95 % interval"], rows)
    if not reached.a_reached == reached.b_reached == reached.seeds:
        counts = f"{reached.a_reached} in A, {reached.b_reached} in B, of {reached.seeds}"
        listed(f"seeds that reached it: {counts}")


def _change(line: Line) -> str:
    return say.signed_metric(line.change) if line.family == "quality" else say.ratio(line.change)


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
