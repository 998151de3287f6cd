"""Downloads, on the user's word only: resumed where they were cut, checked by hash, nothing half-written.

What has come of a file stands in NAME.partial beside it. It becomes NAME once its hash is right, and is
removed when the hash is wrong. After a cut it stays only where the server can go on from there.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pooch
import requests
import urllib3

from linrec_bench.data.folders import cache_folder, data_folders
from linrec_bench.data.source import Progress, Remote

TRIES = 4
"""So many requests in a row may bring nothing new."""

FIRST_WAIT_S = 1.0
"""Before the second try; doubled before each further one."""

_TIMEOUT_S = 60
_CHUNK_BYTES = 2**16


def fetch(remote: Remote, folder: Path | None, progress: Progress, *, name: str) -> Path:
    """Download the file into `folder` (by default the cache) unless it is there; returns its path.

    Without a `folder`, one that lies where data are looked for is taken when its hash is right. Raises
    `ValueError` when the file cannot be had or its hash is wrong, in which case nothing stays behind.
    """
    if folder is None:
        for place in data_folders():
            if _is_right(place / remote.file, remote.known_hash):
                return place / remote.file
    target = cache_folder() if folder is None else folder
    download = _Download(target / f"{remote.file}.partial", progress)
    try:
        path = pooch.retrieve(
            remote.url,
            known_hash=remote.known_hash,
            fname=remote.file,
            path=target,
            downloader=download,
        )
    except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"data {name}: {remote.url} was not fetched; {reason}{download.kept()}") from None
    return Path(path)


def _is_right(path: Path, known_hash: str) -> bool:
    algorithm, _, digest = known_hash.rpartition(":")
    return path.is_file() and pooch.file_hash(str(path), alg=algorithm or "sha256") == digest


@dataclass
class _Download:
    """What pooch calls to download: it goes on with `partial`, tries again, and hands over a whole file."""

    partial: Path
    progress: Progress
    resumable: bool = field(default=False, init=False)

    def __call__(self, url: str, output_file: str | os.PathLike[str], pooch: object) -> None:  # noqa: ARG002
        most, left, wait_s = self._size(), TRIES, FIRST_WAIT_S
        try:
            while not self._request(url, last=left == 1):
                left = TRIES if self._size() > most else left - 1
                most = max(most, self._size())
                time.sleep(wait_s)
                wait_s *= 2
        except BaseException:
            if not self.resumable:
                self.partial.unlink(missing_ok=True)
            raise
        os.replace(self.partial, output_file)

    def kept(self) -> str:
        """A clause that says what stays of a download that was cut; empty when nothing does."""
        if not self.partial.exists():
            return ""
        return f"; {self._size():,} bytes are kept in {self.partial}, and the same command goes on from there"

    def _size(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _request(self, url: str, *, last: bool) -> bool:
        """Ask for what is missing. True when the file is whole, False when it is worth another try."""
        try:
            self._append(url)
        except requests.HTTPError as error:
            # What the server refuses it will refuse again; what it failed at it may not.
            if last or error.response is None or error.response.status_code < 500:
                raise
            return False
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError):
            if last:
                raise
            return False
        return True

    def _append(self, url: str) -> None:
        have = self._size()
        # A server that packs the answer would count packed bytes, and change what is hashed.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, stream=True, timeout=_TIMEOUT_S, headers=headers) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable and have:
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return
                self.partial.unlink()
                raise requests.ConnectionError("what was kept does not fit the file; it is begun anew")
            response.raise_for_status()
            goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if response.status_code != requests.codes.partial_content or not goes_on:
                have = 0
            self.resumable = have > 0 or response.headers.get("Accept-Ranges") == "bytes"
            self._write(response, have)

    def _write(self, response: requests.Response, have: int) -> None:
        total = have + int(response.headers.get("Content-Length", 0))
        # Any: the raw answer of urllib3, which requests does not type; it raises when the answer is cut.
        raw: Any = response.raw
        with self.partial.open("ab" if have else "wb") as file:
            for chunk in raw.stream(_CHUNK_BYTES, decode_content=False):
                file.write(chunk)
                have += len(chunk)
                self.progress(have, max(total, have) if total else 0)
