"""Semantics cards: what was probed of each mechanism, as `linrec-bench verify --json` writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from linrec_bench.report.table import Cell, Column, Row, Table, build


class CardsError(ValueError):
    """A file of cards of another form."""


@dataclass(frozen=True)
class CardRow:
    """One mechanism in one direction: property -> why it does not hold, None where it does."""

    name: str
    direction: str
    contradicts: Mapping[str, str | None]


def read_cards(content: object) -> tuple[CardRow, ...]:
    """The cards of parsed JSON: a list of {name, direction, contradicts}; `CardsError` for anything else."""
    if not isinstance(content, list):
        raise CardsError(f"a {type(content).__name__}; expected a list of cards")
    return tuple(_card(number, each) for number, each in enumerate(content))


def _card(number: int, content: object) -> CardRow:
    expected = "expected {name, direction, contradicts: {property: null or a reason}}"
    if not isinstance(content, dict):
        raise CardsError(f"card {number} is a {type(content).__name__}; {expected}")
    name, direction, found = (content.get(key) for key in ("name", "direction", "contradicts"))
    if not (isinstance(name, str) and isinstance(direction, str) and isinstance(found, dict)):
        raise CardsError(f"card {number} lacks a name, a direction or its properties; {expected}")
    if not all(reason is None or isinstance(reason, str) for reason in found.values()):
        raise CardsError(f"card {number}, {name}: a property is neither null nor a text; {expected}")
    return CardRow(name, direction, found)


def cards_table(cards: Sequence[CardRow], *, id: str = "") -> Table:
    """A row a mechanism and direction, a column a property that was probed."""
    properties = list(dict.fromkeys(name for card in cards for name in card.contradicts))
    columns = [
        Column("mechanism", lambda row: _text(row, "name", key=True), numeric=False),
        Column("direction", lambda row: _text(row, "direction"), numeric=False),
        *(Column(name, _holds(name), numeric=False) for name in properties),
    ]
    records = [{"name": card.name, "direction": card.direction, **_prefixed(card)} for card in cards]
    return build("What each mechanism really does, probed against what it declares", columns, records, id=id)


def contradictions(cards: Sequence[CardRow]) -> list[str]:
    """Every contradiction in words."""
    return [
        f"{card.name}, {card.direction}: {name}: {reason}"
        for card in cards
        for name, reason in card.contradicts.items()
        if reason is not None
    ]


def _prefixed(card: CardRow) -> dict[str, object]:
    """Properties apart from the columns that name the card."""
    return {f"contradicts {name}": reason for name, reason in card.contradicts.items()}


def _holds(name: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        column = f"contradicts {name}"
        if column not in row:
            return Cell("not probed", sort="not probed", tone="quiet")
        if row[column] is None:
            return Cell("holds", sort="holds", tone="good")
        return Cell("contradicted", sort="contradicted", tone="bad")

    return cell


def _text(row: Row, column: str, *, key: bool = False) -> Cell:
    text = str(row[column])
    return Cell(text, sort=text, key=text if key else "")
