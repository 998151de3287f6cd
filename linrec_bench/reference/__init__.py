"""The reference part of the documentation, written by the code that it describes.

`python -m linrec_bench.reference docs/` writes a page for each mechanism, and in the pages written by hand
everything between two such lines (in mkdocs.yml after `#`):

    <!-- generated: verbs -->
    <!-- end -->

The README beside the folder has such a block too.

What it writes is committed; the tests compare it with what the code would write now.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from linrec_bench.reference import data, mechanisms, models, pictures, rows, suites, terminal, verbs

__all__ = ["BLOCKS", "files", "filled", "leftovers", "write"]

BLOCKS: Mapping[str, Callable[[], str]] = {
    "mechanisms": mechanisms.table_of_all,
    "navigation": mechanisms.navigation,
    "models": models.sections,
    "data": data.sections,
    "figures": pictures.figures,
    "verbs": verbs.sections,
    "measures": rows.measures,
    "samples": rows.samples,
    "summary": rows.summary,
    "suite keys": suites.keys,
    "quick": terminal.quick,
}
"""The name of a block -> what makes its content."""

_BLOCK = re.compile(
    r"^(?P<begin> *(?:<!--|#) generated: (?P<name>[a-z ]+?)(?: -->)?\n)"
    r".*?"
    r"(?P<end>^ *(?:<!-- end -->|# end)$)",
    re.DOTALL | re.MULTILINE,
)


def filled(text: str) -> str:
    """The text with what the code makes now in each of its blocks; `ValueError` for an unknown block."""

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in BLOCKS:
            raise ValueError(f"unknown block {name!r}; expected one of: {', '.join(BLOCKS)}")
        return f"{match['begin']}{BLOCKS[name]()}{match['end']}"

    return _BLOCK.sub(fill, text)


def files(docs: Path) -> dict[Path, str]:
    """File -> content, for what the code makes whole or in parts: pages, and beside the folder mkdocs.yml and
    the README."""
    made = {docs / mechanisms.FOLDER / name: text for name, text in mechanisms.pages().items()}
    beside = [docs.parent / name for name in ("mkdocs.yml", "README.md")]
    written = [*(path for path in beside if path.is_file()), *sorted(docs.rglob("*.md"))]
    by_hand = {path: path.read_text(encoding="utf-8") for path in written if path not in made}
    return made | {path: filled(text) for path, text in by_hand.items() if _BLOCK.search(text)}


def leftovers(docs: Path) -> list[Path]:
    """Pages of mechanisms that exist no more."""
    kept = {"index.md", *mechanisms.pages()}
    return sorted(path for path in (docs / mechanisms.FOLDER).glob("*.md") if path.name not in kept)


def write(docs: Path) -> list[Path]:
    """Bring the folder up to date; the files that were changed or removed."""
    changed = []
    for path, text in files(docs).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    for path in leftovers(docs):
        path.unlink()
        changed.append(path)
    return changed
