"""Where the suites of the package are."""

from __future__ import annotations

from pathlib import Path


def shipped_suites() -> dict[str, Path]:
    """The suites of the package by name, `folder/name` for those of a folder: `papers/linrec`.

    They lie beside the package in a checkout, inside it in a wheel.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "suites", package.parent / "suites"):
        if folder.is_dir():
            files = sorted(folder.rglob("*.yaml"), key=lambda path: (len(path.parts), path))
            return {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}
    return {}
