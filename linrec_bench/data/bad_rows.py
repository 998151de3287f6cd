"""Bad rows of a file: the first ten with number and reason, the others counted."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

LISTED = 10


@dataclass
class BadRows:
    """The bad rows of the file `where`; `unit` is what a row is called in messages: line or row."""

    where: str
    unit: str
    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, text: str) -> None:
        """Record the bad row `number` with its reason; rows may come in any order."""
        self.count += 1
        insort(self.first, (number, text))
        del self.first[LISTED:]

    def summary(self) -> str:
        """`events.csv: line 3: no item_id; line 7: ...; and 15 more`."""
        named = "; ".join(f"{self.unit} {number}: {text}" for number, text in self.first)
        more = self.count - len(self.first)
        return f"{self.where}: {named}" + (f"; and {more} more" if more else "")
