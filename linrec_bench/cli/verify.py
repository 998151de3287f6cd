"""`linrec-bench verify`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from linrec_bench.cli.options import Json, Plugins

if TYPE_CHECKING:
    from linrec_bench.commands.verify import Card
    from linrec_bench.gate.cost_formula import Cost


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Mechanisms, with parameters if needed: `linrec(padding=ignore)` (default: all).",
            metavar="NAME",
        ),
    ] = None,
    plugin: Plugins = None,
    cost: Annotated[
        bool, typer.Option("--cost", help="Also print FLOPs and bytes as polynomials in B, H, N and d.")
    ] = False,
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="Device to probe on, such as `cuda:1`.")
    ] = "cpu",
    as_json: Json = False,
) -> None:
    """Test mechanisms against their declarations.

    Probes causality, padding, decoding and agreement with the reference on small inputs, and compares the
    results with what each mechanism's SPEC declares. Exit 1: a result contradicts the SPEC.

    Example: `linrec-bench verify linrec "linrec(padding=ignore)"`
    """
    from linrec_bench import terminal
    from linrec_bench.commands.verify import cards

    with terminal.counter("verifying") as on_card:
        found = cards(names or [], plugins=plugin or [], device=device, on_card=on_card)
    costs = [_costs(card) for card in found] if cost else []
    if as_json:
        records = [card.as_record() for card in found]
        for record, counted in zip(records, costs, strict=False):
            record["costs"] = [each.as_record() for each in counted]
        print(json.dumps(records, indent=2))
    else:
        terminal.show_cards(found)
        terminal.show_costs([each for counted in costs for each in counted])
    if any(card.contradictions for card in found):
        raise typer.Exit(1)


def _costs(card: Card) -> list[Cost]:
    """Of the mechanism and direction of the card, forward and forward + backward."""
    from linrec_bench.gate.cost_formula import PHASES, cost

    return [cost(card.attention, causal=card.causal, phase=phase, params=card.params) for phase in PHASES]
