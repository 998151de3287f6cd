"""Output for terminals and logs whose encoding lacks some characters."""

from __future__ import annotations

import codecs
import io
import sys

_PLAIN = {"µ": "u", "…": ".", "×": "x", "–": "-", "—": "-", "’": "'", "·": "."}


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    given = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in given), error.end


def write_plainly_what_the_encoding_lacks() -> None:
    """Let both standard streams write `u` for `µ` and `?` for what has no plain form, instead of failing."""
    codecs.register_error("plainly", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainly")
