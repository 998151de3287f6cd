"""Steps in the counts of commits and in the times of runs, in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from linrec_bench.commands.history import Step
from linrec_bench.commands.times_history import Times
from linrec_bench.presentation.case_names import case_name
from linrec_bench.presentation.numbers import counted, interval, three_digits
from linrec_bench.terminal.streams import heading, indented, paragraph


def show_steps(steps: Sequence[Step], told: str) -> None:
    """Each commit with what it changed, then how many steps there are in what was `told`."""
    for step in steps:
        commit = step.commit
        heading(f"{commit.commit[:12]} {commit.date} {commit.subject}")
        if not step.is_exact:
            indented(f"or a commit before it, after {step.before.commit[:12]}; --bisect names it")
        for case, lines in step.lines.items():
            indented(case)
            for line in lines:
                indented(line, by=4)
    paragraph(f"{told}: {counted(len(steps), 'step')}")


def show_time_steps(times: Times, told: str) -> None:
    """Each run with the cases whose times changed there, then how many steps there are in what was `told`."""
    for step in times.steps:
        heading(f"{step.run} {step.date}")
        for part, (before, after) in step.changed.items():
            indented(f"{part}: {_short(before)} -> {_short(after)}")
        if not step.changed:
            indented(f"code and torch are those of {step.before}: the machine may have changed")
        for case, change in step.cases:
            text = f"x{three_digits(change.ratio)} {interval(change.low, change.high)}"
            indented(f"{case_name(case, case.keys() - {'case_id'})}: {text}")
        indented(f"{len(step.cases)} of {counted(times.series, 'case')}")
    searched = f"{counted(times.runs, 'run')}, {counted(times.series, 'case')}"
    paragraph(f"{told}: {searched}: {counted(len(times.steps), 'step')}")


def _short(part: object) -> str:
    """`0.1.0 dac9111b1263` of the part of an environment."""
    values = part.values() if isinstance(part, dict) else [part]
    return " ".join(str(value) for value in values if value) or "none"
