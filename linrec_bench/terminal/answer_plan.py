"""The plan of `answer`: what both suites will do, how long that takes, and what it cannot show."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from linrec_bench.commands.answer_plan import COST, QUALITY, WANTED_STEPS, Answer
from linrec_bench.commands.answer_suites import SMALL_DIFFERENCE, least_difference
from linrec_bench.commands.run import Plan
from linrec_bench.declarations import tasks
from linrec_bench.presentation import numbers
from linrec_bench.suite.expand import counts_only
from linrec_bench.terminal.streams import heading, listed, out


def show_answer_plan(answer: Answer) -> None:
    """A line for each task of the suites, the predicted times, and notes on what the log and the budget do
    not suffice for."""
    out.print()
    for kind in (QUALITY, COST):
        seconds = answer.seconds.get(kind)
        about = f": about {numbers.time_left(seconds)}" if seconds is not None else ""
        plan = answer.plans[kind]
        out.print(f"{kind}, {numbers.counted(len(plan.trials), 'trial')} on {plan.device}{about}")
        for line in _lines(plan):
            listed(line)
    for note in notes(answer):
        listed(f"note: {note}")


def show_paragraph(sentences: Sequence[str]) -> None:
    """The answer, as one paragraph that is wrapped between words."""
    out.print()
    heading("Answer")
    out.print(textwrap.fill(" ".join(sentences), width=max(20, out.width), break_on_hyphens=False))


def _lines(plan: Plan) -> list[str]:
    """`layer: sdpa, linrec; N = 32 to 2,048`, a line a sweep."""
    lines = []
    for sweep in plan.suite.sweeps:
        axes = sweep.grid.axes()
        lengths = axes.get("seq_len", (sweep.fixed.seq_len,))
        span = " to ".join(dict.fromkeys(numbers.whole(end) for end in (min(lengths), max(lengths))))
        parts = [f"N = {span}"]
        names = ", ".join(entry.name for entry in sweep.attention)
        if not tasks()[sweep.task].whole_training:
            parts.append(numbers.counted(sweep.rounds, "round"))
        else:
            if counts_only(sweep):
                names = sweep.model.name if sweep.model else ""
            else:
                parts.append(numbers.counted(sweep.training.epochs, "epoch"))
                parts.append(f"batch {sweep.fixed.batch_size}")
            parts.append(numbers.counted(len(axes.get("seed", (0,))), "seed"))
        lines.append(f"{sweep.task}: {names}; {', '.join(parts)}")
    return lines


def notes(answer: Answer) -> list[str]:
    """What this plan cannot show, and what would."""
    found, least, size = [], least_difference(answer.log), answer.size
    users = numbers.counted(answer.log.queries, "user")
    if least > SMALL_DIFFERENCE:
        found.append(
            f"a small log: with {users} no number of seeds shows a difference in NDCG@10 below about "
            f"{least:.2g}"
        )
    for sweep in answer.plans[QUALITY].suite.sweeps:
        steps = sweep.training.epochs * answer.log.steps
        if not counts_only(sweep) and steps < WANTED_STEPS:
            budget = (
                f"; --budget {numbers.time_left(size.wanted_s).replace(' ', '')} makes all" if size else ""
            )
            wanted = f"{steps:,} of the {WANTED_STEPS:,} training steps that such models take to their best"
            found.append(wanted + budget)
    return found
