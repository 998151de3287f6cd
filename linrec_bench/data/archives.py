"""Files inside archives, read in place: nothing is unpacked, so that no name in one becomes a path.

An archive that holds a name which would leave its folder, or a link, is refused all the same: whoever made
it meant harm, or it is not the archive that was asked for.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

DAMAGES = (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError)
"""What reading a damaged archive raises."""


@contextmanager
def opened(path: Path, member: str) -> Iterator[IO[bytes]]:
    """The bytes of the regular file `member` of the zip or tar archive `path`.

    Raises `ValueError` for an archive without it, one that holds unsafe members, and a damaged one.
    """
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    check_name(path, name)
                with archive.open(_there(path, member, archive.namelist())) as file:
                    yield file
        else:
            # As a stream: a compressed archive is gone through once, as far as the member.
            with tarfile.open(path, mode="r|*") as archive:
                yield _extracted(path, archive, member)
    except DAMAGES as error:
        raise ValueError(f"{path}: is no archive that can be read; {error}") from None


def check_name(path: Path, name: str) -> None:
    """Raise `ValueError` for a name that would leave the folder into which it is unpacked."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or PureWindowsPath(name).drive or ".." in parts.parts:
        raise ValueError(f"{path}: refused, the archive holds {name!r}, which would leave its folder")


def _there(path: Path, member: str, names: list[str]) -> str:
    if member not in names:
        raise ValueError(f"{path}: no {member} in the archive")
    return member


def _extracted(path: Path, archive: tarfile.TarFile, member: str) -> IO[bytes]:
    for entry in archive:
        check_name(path, entry.name)
        if entry.issym() or entry.islnk():
            raise ValueError(f"{path}: refused, the archive holds the link {entry.name!r}")
        if entry.name.removeprefix("./") == member and entry.isreg():
            file = archive.extractfile(entry)
            assert file is not None, "a regular file has bytes"
            return file
    raise ValueError(f"{path}: no {member} in the archive")
