"""What foreign code raises, in one line: that of a plugin may raise anything."""

from __future__ import annotations

import traceback
from pathlib import Path

ANYTHING = (Exception, SystemExit, GeneratorExit)
"""All that code of a mechanism may raise: a script that calls `sys.exit` too, but no Ctrl-C."""

LONGEST = 300


def text_of(error: BaseException) -> str:
    """What it says; its text is code of whoever wrote it, too."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - see above
        return "an exception without a text"


def in_a_line(error: BaseException, *, place: bool = False) -> str:
    """`ValueError: first line of its text`, with the file and line where it was raised if `place`."""
    text = text_of(error).strip().partition("\n")[0]
    frames = traceback.extract_tb(error.__traceback__) if place else []
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}"[:LONGEST] + where
