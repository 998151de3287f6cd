"""The two streams: `out` for results (stdout), `talk` for progress and messages (stderr).

Neither reads markup: a message such as `expected [B, N]` is printed as it is.
"""

from __future__ import annotations

import textwrap

from rich.console import Console

out = Console(highlight=False, markup=False, emoji=False)
talk = Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Print a message on stderr."""
    talk.print(text, soft_wrap=True)


def listed(text: str) -> None:
    """A paragraph of a list on standard output, wrapped between words under a hanging dash."""
    out.print(_wrapped(text, width=max(20, out.width), first="- ", rest="  "), soft_wrap=True)


def paragraph(text: str, style: str = "") -> None:
    """A text on standard output, wrapped between words: a path stays whole, however long."""
    out.print(_wrapped(text, width=max(20, out.width), first="", rest=""), style=style, soft_wrap=True)


def heading(text: str) -> None:
    """A bold title on standard output, wrapped between words."""
    paragraph(text, style="bold")


def indented(text: str, by: int = 2) -> None:
    """A line under a heading on standard output. One too long is wrapped into lines of about equal length, so
    that no word stands alone."""
    width, first, rest = max(20, out.width), " " * by, " " * (by + 2)
    lines = _wrapped(text, width=width, first=first, rest=rest)
    for narrower in range(width - 1, 20, -1):
        tried = _wrapped(text, width=narrower, first=first, rest=rest)
        if tried.count("\n") > lines.count("\n") or max(map(len, tried.split("\n"))) > narrower:
            break
        lines = tried
    out.print(lines, soft_wrap=True)


def _wrapped(text: str, *, width: int, first: str, rest: str) -> str:
    # A number is not parted from its name.
    lines = textwrap.wrap(
        text.replace(" = ", "\u00a0=\u00a0"),
        width=width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\u00a0=\u00a0", " = ")


def draws_blocks() -> bool:
    """Whether standard output can carry block characters."""
    return out.encoding.startswith("utf")
