"""What mechanisms cost, as formulas in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from linrec_bench.gate.cost_formula import LEGEND, VALID, Cost
from linrec_bench.presentation import words
from linrec_bench.terminal.streams import out

_NAMES = {"flops": "FLOPs", "peak_live_bytes": "peak bytes", "saved_bytes": "saved bytes"}


def show_costs(costs: Sequence[Cost]) -> None:
    """A line for the FLOPs, the peak and the saved bytes of each mechanism, direction and phase."""
    for cost in costs:
        words_of = f"{words.direction(cost.causal)}, {words.PHASE[cost.phase]}"
        out.print(f"\n{cost.attention}, {words_of}", style="bold")
        if cost.unsupported:
            out.print(f"  not counted: {cost.unsupported}")
        for measure, name in _NAMES.items():
            if measure in cost.counts:
                _line(name, str(cost.counts[measure]))
    if any(cost.counts for cost in costs):
        out.print(f"\n{LEGEND} {VALID}")


def _line(name: str, text: str) -> None:
    wrapped = textwrap.wrap(
        text,
        width=max(20, out.width),
        initial_indent=f"  {name:<13}",
        subsequent_indent=" " * 15,
        break_long_words=False,
    )
    out.print("\n".join(wrapped), soft_wrap=True)
