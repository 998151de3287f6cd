"""Rows of a file that cannot be read: the first three with number and reason, all of them counted."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

SHOWN = 3

ADVICE = "Correct or remove such rows, or set on_bad_rows: drop"


@dataclass
class BadRows:
    """The bad rows of the file `where`; `unit` is what a row is called in messages: line or row.

    `rows`: all rows of the file, good and bad. `hints`: settings that would read rows of a kind of fault.
    """

    where: str
    unit: str
    rows: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    hints: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return self.kinds.total()

    def add(self, kind: str, numbers: np.ndarray, reason: Callable[[int], str], *, hint: str = "") -> None:
        """Record bad rows by their numbers; `reason` gives the text for an index into `numbers`.

        `kind` tells faults apart that have one cause; the `hint` of its first rows is kept.
        """
        if not len(numbers):
            return
        self.kinds[kind] += len(numbers)
        self.hints.setdefault(kind, hint)
        for index, number in enumerate(numbers[:SHOWN].tolist()):
            insort(self.first, (number, reason(index)))
        del self.first[SHOWN:]

    def told(self) -> str:
        """`events.csv: line 3: no item_id; line 7: ...; and 15 more`, or one sentence where all rows have one
        fault."""
        if len(self.kinds) == 1 and self.count == self.rows > SHOWN:
            return f"{self.where}: all {self.rows:,} {self.unit}s, as in {self._named(1)}"
        more = self.count - len(self.first)
        return f"{self.where}: {self._named(SHOWN)}" + (f"; and {more:,} more" if more else "")

    def summary(self, *, advice: str = ADVICE) -> str:
        """The bad rows, then the settings that read them, or else `advice`."""
        hints = [hint for kind in self.kinds if (hint := self.hints[kind])]
        return f"{self.told()}. {'; '.join(dict.fromkeys(hints)) or advice}"

    def _named(self, most: int) -> str:
        return "; ".join(f"{self.unit} {number}: {text}" for number, text in self.first[:most])
