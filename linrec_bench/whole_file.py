"""Files that are replaced whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path, *, make_folder: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place at the end.

    A reader of `path` gets the old content or the new one, and nothing is left beside it. Raises `ValueError`
    (one line) for what cannot be written; then, and where the block raises, `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)
