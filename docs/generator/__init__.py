"""Generator of the reference pages: `python -m docs.generator`, in the root of the repository, updates them.

It writes a page for each mechanism and, in pages written by hand, what stands between two such lines
(after `#` in mkdocs.yml):

    <!-- generated: verbs -->
    <!-- end -->

The output is committed, so that it reads without a build; tests compare it with what the code gives now.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generator import choice, mechanisms, models_and_data, rows_and_figures, suite_keys, terminal

BLOCKS: Mapping[str, Callable[[], str]] = {
    "mechanisms": mechanisms.overview,
    "navigation": mechanisms.navigation,
    "models": models_and_data.models_sections,
    "data": models_and_data.data_sections,
    "figures": rows_and_figures.figures,
    "measures": rows_and_figures.measures,
    "samples": rows_and_figures.samples,
    "summary": rows_and_figures.summary,
    "suite keys": suite_keys.sections,
    "verbs": terminal.verbs,
    "quick": terminal.quick,
    "choice overview": choice.overview,
    "choice quality": choice.quality,
    "choice training": choice.training,
    "choice serving": choice.serving,
}
"""Name of a block -> function that returns its content."""

_BLOCK = re.compile(
    r"^(?P<begin> *(?:<!--|#) generated: (?P<name>[a-z ]+?)(?: -->)?\n)"
    r".*?"
    r"(?P<end>^ *(?:<!-- end -->|# end)$)",
    re.DOTALL | re.MULTILINE,
)


def filled(text: str) -> str:
    """The text with the current content in each of its blocks; `ValueError` for an unknown block."""

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in BLOCKS:
            raise ValueError(f"unknown block {name!r}; expected one of: {', '.join(BLOCKS)}")
        return f"{match['begin']}{BLOCKS[name]()}{match['end']}"

    return _BLOCK.sub(fill, text)


def files(docs: Path) -> dict[Path, str]:
    """File -> current content, for generated pages and all files with blocks, mkdocs.yml and README too."""
    pages = {docs / mechanisms.FOLDER / name: text for name, text in mechanisms.pages().items()}
    candidates = [docs.parent / "mkdocs.yml", docs.parent / "README.md", *docs.rglob("*.md")]
    texts = {path: path.read_text(encoding="utf-8") for path in candidates if path.is_file()}
    return {path: filled(text) for path, text in texts.items() if _BLOCK.search(text)} | pages


def leftovers(docs: Path) -> list[Path]:
    """Pages of mechanisms that no longer exist."""
    kept = {"index.md", *mechanisms.pages()}
    return sorted(path for path in (docs / mechanisms.FOLDER).glob("*.md") if path.name not in kept)


def update(docs: Path) -> list[Path]:
    """Write what is out of date and remove leftovers; the files that changed."""
    changed = []
    for path, text in files(docs).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    for path in leftovers(docs):
        path.unlink()
        changed.append(path)
    return changed
