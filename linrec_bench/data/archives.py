"""Files inside archives, read in place without unpacking.

An archive with a link, or with a name that points outside its folder, is refused: it is malicious or not the
expected archive.
"""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO


class ArchiveError(ValueError):
    """An archive cannot be used; the message gives the reason without the archive's name."""


class NoMember(ArchiveError):
    """The archive is valid but does not contain the file."""


DAMAGES = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    # An encrypted zip, and one of a method of compression that is not known.
    RuntimeError,
    NotImplementedError,
)
"""Exceptions that reading a damaged archive raises."""


@contextmanager
def opened(path: Path, member: str) -> Iterator[IO[bytes]]:
    """The bytes of the regular file `member` of the zip or tar archive `path`.

    Raises `NoMember` for an archive without it, `ArchiveError` for one with unsafe members or damage.
    """
    try:
        if path.suffix == ".zip" or zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    check_name(entry.filename)
                    if stat.S_ISLNK(entry.external_attr >> 16):
                        raise ArchiveError(f"it holds the link {entry.filename!r}")
                if member not in archive.namelist():
                    raise NoMember(f"no {member} in it")
                with archive.open(member) as file:
                    yield file
        else:
            # As a stream: a compressed archive is gone through once, as far as the member.
            with tarfile.open(path, mode="r|*") as archive:
                yield _extracted(archive, member)
    except DAMAGES as error:
        raise ArchiveError(" ".join(str(error).split()) or type(error).__name__) from None


def check_name(name: str) -> None:
    """Raise `ArchiveError` for a name that points outside the folder of the archive."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or PureWindowsPath(name).drive or ".." in parts.parts:
        raise ArchiveError(f"it holds {name!r}, which points outside its folder")


def _extracted(archive: tarfile.TarFile, member: str) -> IO[bytes]:
    for entry in archive:
        check_name(entry.name)
        if entry.issym() or entry.islnk():
            raise ArchiveError(f"it holds the link {entry.name!r}")
        if entry.name.removeprefix("./") == member and entry.isreg():
            file = archive.extractfile(entry)
            assert file is not None, "a regular file has bytes"
            return file
    raise NoMember(f"no {member} in it")
