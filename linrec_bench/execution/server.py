"""The server that worker processes are forked from: it imports torch and the package once.

Nothing heavy is imported here: a command starts the server before its own imports, which go on beside it.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver

STEADY_ALLOCATOR: Mapping[str, str] = {
    # One heap that is never given back: otherwise glibc maps and unmaps every large tensor, and on a CPU
    # the page faults cost more than the arithmetic.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}

# The command line too: a worker imports the script that started the run, which imports it.
PRELOAD = ["linrec_bench.execution.server_end", "linrec_bench.execution.preload", "linrec_bench.cli"]


def start(allocator: Mapping[str, str] = STEADY_ALLOCATOR) -> None:
    """Start the server, unless it runs: workers have `allocator` among their environment variables."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise ValueError(
            f"{sys.platform}: processes cannot be forked here, so that nothing can be measured; expected "
            "Linux, macOS, or WSL on Windows. Stored runs can be read"
        )
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
    # glibc reads these once, when a program starts: the server must be born with them.
    with _environment(allocator), _short_temporary_folder():
        forkserver.ensure_running()


_LONGEST_FOLDER = 70
"""The longest folder, in bytes, in which the path of a socket that multiprocessing makes fits into 107."""


@contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Where TMPDIR is too long for a socket, as on clusters, multiprocessing makes its folder elsewhere, in
    which nobody else can enter."""
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_FOLDER:
        shorter = [os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp", "/dev/shm"]
        fit = (path for path in shorter if len(os.fsencode(path)) <= _LONGEST_FOLDER)
        tempfile.tempdir = next((path for path in fit if os.access(path, os.W_OK)), before)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
