"""Markdown that reads the same on the site and in a repository's viewer."""

from __future__ import annotations

import html
import inspect
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from linrec_bench.parameters import accepted_values

_LINKS = {
    r"arXiv (\d{4}\.\d{4,5})": r"[\g<0>](https://arxiv.org/abs/\1)",
    r"doi (10\.[^\s,;]+)": r"[\g<0>](https://doi.org/\1)",
    r"(?<![\w/.])github\.com/[\w.-]+/[\w-]+(?:\.[\w-]+)*": r"[\g<0>](https://\g<0>)",
}


def code(text: str) -> str:
    """The text as code, also in a cell of a table, where a bar or a backtick would end it."""
    if not ("|" in text or "`" in text):
        return f"`{text}`"
    escaped = re.sub(r"[|`*_\[\]\\]", lambda sign: f"&#{ord(sign[0])};", html.escape(text, quote=False))
    return f"<code>{escaped}</code>"


def prose(text: str) -> str:
    """Plain text as Markdown that shows every sign as it is; text in backticks stays code."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(code(part[1:-1]) if part.startswith("`") else _escaped(part) for part in parts)


def formula(text: str) -> str:
    """`prose` with raised powers and transposes: `4 N d^2 a head`, `k^T v`, `N^p`."""
    return re.sub(r"(?<=\w)\^(\d+(?:\.\d+)?|[pT]\b)", r"<sup>\1</sup>", prose(text))


def linked(text: str) -> str:
    """`prose` with links to papers and repositories."""
    shown = prose(text)
    for pattern, link in _LINKS.items():
        shown = re.sub(pattern, link, shown)
    return shown


def joined(parts: Iterable[str]) -> str:
    """The parts that are not empty, each followed by an empty line, and one before the first."""
    return "\n" + "".join(f"{part.strip()}\n\n" for part in parts if part.strip())


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown cells between empty lines; empty text without rows."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
    return joined(["\n".join(lines)]) if len(lines) > 2 else ""


def documentation(docstring: str | None) -> tuple[str, str]:
    """The first paragraph of a docstring as plain text; the rest as Markdown, with indented text blocks."""
    first, *paragraphs = re.split(r"\n(?: *\n)+", inspect.cleandoc(docstring or ""))
    blocks = []
    for indented, group in groupby(paragraphs, key=lambda paragraph: paragraph.startswith(" ")):
        if indented:
            text = inspect.cleandoc("\n" + "\n\n".join(group))
            blocks.append(f"``` {{ .text .formula }}\n{text}\n```")
        else:
            blocks += map(prose, group)
    return " ".join(first.split()), "\n\n".join(blocks)


def parameter_table(parameters: Mapping[str, inspect.Parameter]) -> str:
    """Name, accepted values and default of each parameter; empty without parameters."""
    return table(
        ("parameter", "values", "default"),
        ((code(name), prose(accepted_values(p.annotation)), _default(p)) for name, p in parameters.items()),
    )


def example(parameter: inspect.Parameter) -> str:
    """A value that the parameter takes, other than its default where its choices are known."""
    if typing.get_origin(parameter.annotation) is typing.Literal:
        choices = typing.get_args(parameter.annotation)
        return str(next((choice for choice in choices if choice != parameter.default), choices[0]))
    return "..." if parameter.default in (None, parameter.empty) else str(parameter.default)


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "required"
    if parameter.default is None:
        return "none"
    value = str(parameter.default)
    return code(value.lower() if isinstance(parameter.default, bool) else value) if value else "none"


def _escaped(text: str) -> str:
    """Signs of Markdown and HTML, and the bar of tables; an underscore inside a word means nothing."""
    text = html.escape(text, quote=False)
    return re.sub(r"[\\*\[\]]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text).replace("|", "&#124;")
