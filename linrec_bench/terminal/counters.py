"""What moves while something is done that has no trials: a bar in a terminal, lines now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TransferSpeedColumn,
)

from linrec_bench.presentation.numbers import memory, time_left
from linrec_bench.terminal.streams import say, talk

SECONDS_A_LINE = 10.0
"""Between lines of a log that say that something goes on."""


class Seldom:
    """Lines of a log about what goes on: at most one in `SECONDS_A_LINE`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def due(self) -> bool:
        """Whether it is time for a line; then the next one has to wait."""
        now = self._clock()
        if now - self._last < SECONDS_A_LINE:
            return False
        self._last = now
        return True


@contextmanager
def counter(name: str, *, of_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Count what is done, with the time left: a bar, or in a log a line now and then.

    It is drawn between trials alone.
    """
    amount: Callable[[float], str] = memory if of_bytes else str
    done_of = DownloadColumn(binary_units=True) if of_bytes else MofNCompleteColumn()
    bar = new_bar(done_of, TextColumn("{task.fields[eta]}", markup=False))
    often, began = Seldom(), time.monotonic()
    with bar:
        line = bar.add_task(name, total=None, eta="")

        def on_trial(done: int, total: int) -> None:
            left = (time.monotonic() - began) * (total - done) / done if done else 0.0
            wait = f"{time_left(left)} left" if 0 < done < total else ""
            bar.update(line, completed=done, total=total, eta=wait)
            bar.refresh()
            if not talk.is_terminal and wait and often.due():
                say(f"{name}: {amount(done)} of {amount(total)}, {wait}")

        yield on_trial


@contextmanager
def download(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show how much of a file has come: a bar, or in a log a line a tenth."""
    bar = new_bar(DownloadColumn(), TransferSpeedColumn(), redraws_itself=True)
    told = -1

    def on_bytes(done: int, total: int) -> None:
        nonlocal told
        bar.update(line, completed=done, total=total or None)
        tenth = done * 10 // total if total else done // 2**24
        if not talk.is_terminal and tenth != told:
            told = tenth
            say(f"{name}: {memory(done)}" + (f" of {memory(total)}" if total else ""))

    with bar:
        line = bar.add_task(name, total=None)
        yield on_bytes


def new_bar(*columns: ProgressColumn, redraws_itself: bool = False) -> Progress:
    """A bar on stderr, which is not shown where that is no terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        *columns,
        console=talk,
        auto_refresh=redraws_itself,
        disable=not talk.is_terminal,
    )
