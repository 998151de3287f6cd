"""Files that are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HINTS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "; make room, then repeat the command"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "; expected a folder that you may write to"),
}


@contextmanager
def replaced(path: Path, *, make_folder: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place at the end.

    A reader of `path` gets the old content or the new one, and nothing is left beside it. The file to write
    to is there, empty, under a name that nobody can know before; a link at `path` is replaced, not followed.
    Raises `ValueError` (one line) for what cannot be written; then, and where the block raises, `path` is as
    it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "")
        raise ValueError(f"{path}: cannot be written ({error.strerror or error}){hint}") from error
    finally:
        # What went wrong before, such as a folder that is gone or closed, is told.
        with suppress(OSError):
            temporary.unlink()


def inside(folder: Path, *names: str) -> Path:
    """`folder/name/...`, none of which is a link: what is written there stays in the folder.

    Raises `ValueError` for a link, which somebody else may have put there.
    """
    path = folder
    for name in names:
        path = path / name
        if path.is_symlink():
            raise ValueError(f"{path}: is a link; expected a folder or a file of its own, to write to")
    return path
