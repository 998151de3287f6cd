"""Steps in the counts of commits, in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from linrec_bench.commands.history import Step
from linrec_bench.terminal.streams import indented, out


def show_steps(steps: Sequence[Step], told: str) -> None:
    """Each commit with what it changed, then how many steps there are in what was `told`."""
    for step in steps:
        commit = step.commit
        out.print(f"{commit.commit[:12]} {commit.date} {commit.subject}", style="bold", soft_wrap=True)
        if not step.is_exact:
            indented(f"or a commit before it, after {step.before.commit[:12]}; --bisect names it")
        for case, lines in step.lines.items():
            out.print(f"  {case}", soft_wrap=True)
            for line in lines:
                out.print(f"    {line}", soft_wrap=True)
    out.print(f"{told}: {len(steps)} {'step' if len(steps) == 1 else 'steps'}")
