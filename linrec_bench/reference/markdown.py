"""Markdown that reads the same on the site and in a repository's viewer: cells, tables, prose, links."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterable, Sequence
from functools import partial

_LINKS = (
    (re.compile(r"arXiv (\d{4}\.\d{4,5})"), "https://arxiv.org/abs/{}"),
    (re.compile(r"doi (10\.[^\s,;]+)"), "https://doi.org/{}"),
    (re.compile(r"((?<![\w/.])github\.com/[\w.-]+/[\w-]+(?:\.[\w-]+)*)"), "https://{}"),
)
"""What is linked, and where to: `arXiv 2411.01537`, `doi 10.1145/...`, `github.com/owner/name`."""

_CODE = re.compile(r"(`[^`]+`)")

_MEANT = re.compile(r"[|`*_\[\]\\]")
"""Signs that mean something in Markdown, even inside an HTML tag."""


def code(text: str) -> str:
    """The text as code, also in a cell of a table, where a bar or a backtick would end it."""
    if not ("|" in text or "`" in text):
        return f"`{text}`"
    return f"<code>{_MEANT.sub(_entity, html.escape(text, quote=False))}</code>"


def prose(text: str) -> str:
    """Plain text as Markdown that shows every sign as it is; what stands in backticks stays code."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(code(part[1:-1]) if part.startswith("`") else _escaped(part) for part in parts)


def formula(text: str) -> str:
    """`prose` with powers and transposes raised: `4 N d^2 a head`, `k^T v`, `N^p`."""
    return re.sub(r"(?<=\w)\^(\d+(?:\.\d+)?|[pT]\b)", r"<sup>\1</sup>", prose(text))


def linked(text: str) -> str:
    """`prose` with links to papers and repositories."""
    shown = prose(text)
    for pattern, address in _LINKS:
        shown = pattern.sub(partial(_link, address), shown)
    return shown


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; empty text without rows."""
    lines = [_row(row) for row in rows]
    return "".join([_row(header), _row(["---"] * len(header)), *lines]) if lines else ""


def documentation(docstring: str | None) -> tuple[str, str]:
    """The first line of a docstring, and the rest: paragraphs as prose, indented lines as blocks of text."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    first, rest = " ".join(lines[:1]), lines[1:]
    if rest and rest[0].strip():
        # The first sentence goes on to a second line.
        end = next((at for at, line in enumerate(rest) if not line.strip()), len(rest))
        first, rest = " ".join([first, *rest[:end]]), rest[end:]
    blocks: list[list[str]] = []
    for line, before in zip(rest, ["", *rest], strict=False):
        same_block = bool(blocks) and line.startswith(" ") and blocks[-1][0].startswith(" ")
        if not line.strip():
            continue
        if before.strip() and blocks:
            blocks[-1].append(line)
        elif same_block:
            blocks[-1] += ["", line]
        else:
            blocks.append([line])
    return first, "\n".join(map(_block, blocks))


def _link(address: str, found: re.Match[str]) -> str:
    return f"[{found[0]}]({address.format(found[1])})"


def _entity(sign: re.Match[str]) -> str:
    return f"&#{ord(sign[0])};"


def joined(parts: Iterable[str]) -> str:
    """Parts that each end with a line break, an empty line between them; empty ones are left out."""
    return "\n".join(part for part in parts if part.strip())


def _block(lines: list[str]) -> str:
    if lines[0].startswith(" "):
        return "``` { .text .formula }\n" + inspect.cleandoc("\n" + "\n".join(lines)) + "\n```\n"
    return prose(" ".join(lines)) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _escaped(text: str) -> str:
    """Signs of Markdown and HTML, and the bar of tables; an underscore inside a word means nothing."""
    text = html.escape(text, quote=False)
    return re.sub(r"[\\*\[\]]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text).replace("|", "&#124;")
