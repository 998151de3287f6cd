"""How far a log is read, told to whoever wants to show it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from linrec_bench.data.source import Progress

STEP_BYTES = 2**22
"""Between two calls of a progress."""

_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def watched(progress: Progress) -> Iterator[None]:
    """Inside, `progress` is told how many bytes of a file are read, and of how many; compressed ones of a
    compressed file."""
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


def tell(done_bytes: int, total_bytes: int) -> None:
    """Tell the progress, where there is one."""
    progress = _progress.get()
    if progress is not None:
        progress(done_bytes, total_bytes)


class WatchedFile(io.FileIO):
    """A file that tells how far it was read, every `STEP_BYTES` and at its end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._size, self._told = path.stat().st_size, 0

    # Any: whatever can be written to.
    def readinto(self, buffer: Any, /) -> int:
        """As `io.FileIO`."""
        count = super().readinto(buffer)
        at = self.tell()
        if at > self._told and (at - self._told >= STEP_BYTES or at == self._size):
            self._told = at
            tell(at, self._size)
        return count
