"""The two streams: `out` for what was asked for, `talk` beside it for the person who watches.

Neither reads markup: a message such as `expected [B, N]` is printed as it is.
"""

from __future__ import annotations

import textwrap

from rich.console import Console

out = Console(highlight=False, markup=False, emoji=False)
talk = Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """A line for the person who watches, beside whatever goes to standard output."""
    talk.print(text, soft_wrap=True)


def listed(text: str) -> None:
    """A paragraph of a list on standard output, wrapped between words under a hanging dash."""
    print_width = max(20, out.width)
    lines = textwrap.wrap(
        text,
        width=print_width,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    out.print("\n".join(lines), soft_wrap=True)


def draws_blocks() -> bool:
    """Whether standard output can carry block characters."""
    return out.encoding.startswith("utf")
