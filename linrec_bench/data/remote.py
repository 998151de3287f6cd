"""Downloads for `data fetch`: resumed after an interruption, checked by hash, never half-written.

The received part of a file is NAME.partial in the same folder. It is renamed to NAME if its hash is right and
removed if it is wrong. After an interruption it is kept only if the server supports range requests.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linrec_bench.data.source import Progress, Remote
from linrec_bench.data_folders import cache_folder, data_folders

if TYPE_CHECKING:
    import requests

TRIES = 4
"""Number of successive requests without new bytes after which a download fails."""

FIRST_WAIT_S = 1.0
"""Wait before the second request; doubled before each further one."""

_TIMEOUT_S = 60
_CHUNK_BYTES = 2**16
_DIGITS = 19
"""Of a size in bytes, at most."""


def fetch(remote: Remote, folder: Path | None, progress: Progress, *, name: str) -> Path:
    """Download the file into `folder` (default: the cache) unless it is there; returns its path.

    Without a `folder`, a file with the right hash in a data folder is used. Raises `ValueError` if the
    download fails, or if its hash is wrong, in which case no file is kept.
    """
    import pooch
    import urllib3

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
        reason = _reason(error)
        raise ValueError(
            f"data {name}: {remote.url} could not be downloaded: {reason}{download.kept()}. "
            f"Or download it elsewhere and put it into {target} as {remote.file}"
        ) from None
    return Path(path)


def _reason(error: Exception) -> str:
    """In words; of a connection that failed, the host, without the layers of libraries around it."""
    from requests.exceptions import ConnectionError as NoConnection

    host = getattr(getattr(error.args[0] if error.args else None, "pool", None), "host", None)
    if isinstance(error, NoConnection) and host:
        return f"no connection to {host}"
    return " ".join(str(error).split())


def _is_right(path: Path, known_hash: str) -> bool:
    import pooch

    algorithm, _, digest = known_hash.rpartition(":")
    return path.is_file() and pooch.file_hash(str(path), alg=algorithm or "sha256") == digest


@dataclass
class _Download:
    """The downloader for pooch: resumes `partial`, retries, and moves the complete file into place."""

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
        """A clause about the kept part of an interrupted download; empty if nothing is kept."""
        if not self.partial.exists():
            return ""
        return f"; {self._size():,} bytes are kept in {self.partial}; the same command resumes the download"

    def _size(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _request(self, url: str, *, last: bool) -> bool:
        """Request the missing bytes. True if the file is complete, False if another try may succeed."""
        import requests
        import urllib3

        try:
            self._append(url)
        except requests.HTTPError as error:
            # Another try may help after a server error (5xx), not after a refusal (4xx).
            if last or error.response is None or error.response.status_code < 500:
                raise
            return False
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError):
            if last:
                raise
            return False
        return True

    def _append(self, url: str) -> None:
        import requests

        have = self._size()
        # No compression in transit: it would change byte counts and the hash.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, stream=True, timeout=_TIMEOUT_S, headers=headers) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable and have:
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return
                self.partial.unlink()
                raise requests.ConnectionError(
                    "the kept part does not match the file; the download starts again"
                )
            response.raise_for_status()
            goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if response.status_code != requests.codes.partial_content or not goes_on:
                have = 0
            self.resumable = have > 0 or response.headers.get("Accept-Ranges") == "bytes"
            self._write(response, have)

    def _write(self, response: requests.Response, have: int) -> None:
        told = response.headers.get("Content-Length", "")
        # A number of a thousand digits is no size.
        total = have + int(told) if told.isdecimal() and len(told) < _DIGITS else 0
        # Any: urllib3's response, untyped in requests; it raises if the connection breaks.
        raw: Any = response.raw
        with self.partial.open("ab" if have else "wb") as file:
            for chunk in raw.stream(_CHUNK_BYTES, decode_content=False):
                file.write(chunk)
                have += len(chunk)
                self.progress(have, max(total, have) if total else 0)
