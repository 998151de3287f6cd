"""A log as a stream of bytes: plain, or compressed by gzip, bzip2, xz or zip, told by its first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from linrec_bench.data.archives import opened
from linrec_bench.data.reading_progress import WatchedFile

# Any: each has a type of its own.
_COMPRESSED: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_ZIP = b"PK\x03\x04"
_REFUSED = {
    b"\x28\xb5\x2f\xfd": "is compressed by zstd; decompress it",
    b"7z\xbc\xaf": "is a 7z archive; unpack it",
    b"Rar!": "is a rar archive; unpack it",
    b"PAR1": "is a parquet file; set name: parquet",
    b"\xff\xfe": "is UTF-16 text; convert it to UTF-8",
    b"\xfe\xff": "is UTF-16 text; convert it to UTF-8",
}


@contextmanager
def opened_log(path: Path) -> Iterator[IO[bytes]]:
    """The decompressed bytes of a file; of a zip archive, those of its only file.

    Raises `ValueError` for another format, and for an archive of several files.
    """
    with path.open("rb") as file:
        start = file.read(8)
    for magic, advice in _REFUSED.items():
        if start.startswith(magic):
            raise ValueError(f"{path}: {advice}")
    if start.startswith(_ZIP):
        with opened(path, _only_member(path)) as file:
            yield file
        return
    opener = next((opener for magic, opener in _COMPRESSED.items() if start.startswith(magic)), None)
    kinds = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip"}
    if opener is None and start and path.suffix.lower() in kinds:
        raise ValueError(f"{path}: cannot be read; it is not compressed by {kinds[path.suffix.lower()]}")
    with ExitStack() as stack:
        plain = stack.enter_context(io.BufferedReader(WatchedFile(path)))
        yield plain if opener is None else stack.enter_context(opener(plain))


def _only_member(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        members = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    # What macOS adds to an archive is no content of it.
    members = [name for name in members if not name.startswith("__MACOSX/")]
    if len(members) != 1:
        raise ValueError(
            f"{path}: holds {len(members)} files ({', '.join(members[:5])}); expected one: unpack the log"
        )
    return members[0]
