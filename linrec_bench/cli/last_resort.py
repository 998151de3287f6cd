"""What a verb does not handle itself: one line, an exit code, and for a fault of the program a log file."""

from __future__ import annotations

import csv
import dis
import json
import os
import platform
import sys
import tempfile
import traceback
import zlib
from collections.abc import Callable
from types import TracebackType

USAGE, INTERNAL, UNREAD = 2, 70, 141
"""Exit codes: what was given cannot be used; a fault of the program (EX_SOFTWARE of sysexits.h); nobody reads
what is written (as shells tell of SIGPIPE: 1 would be a verdict of `check`)."""

_OF_READING = (
    EOFError,
    csv.Error,
    zlib.error,
    RecursionError,
    OverflowError,
    UnicodeError,
    json.JSONDecodeError,
)
_LIBRARIES = ("yaml", "pyarrow", "zipfile", "tarfile", "lzma", "_lzma", "pandas", "requests", "urllib3")
"""Libraries whose own exceptions tell of what they were given."""

_READERS = tuple(f"linrec_bench.{room}" for room in ("cli", "data", "gate", "report", "results", "suite"))
"""Where the files and flags of a person are read."""


def run(verb: Callable[[], object]) -> int:
    """Call the verb; returns the exit code that an exception means, after one line on stderr, else 0;
    silently where the reader of stdout has gone (`| head`)."""
    try:
        verb()
    except SystemExit as ended:
        # click ends with 1 there.
        if isinstance(ended.__context__, BrokenPipeError):
            return UNREAD
        raise
    # Whatever it is, a person sees one line.
    except Exception as error:  # noqa: BLE001
        if _is_of_input(error):
            print(f"error: {_sentence(error)}", file=sys.stderr)
            return USAGE
        print(f"error: {_internal(error)}", file=sys.stderr)
        return INTERNAL
    return 0


def _is_of_input(error: Exception) -> bool:
    """Whether it tells of what was given: this package says so itself, the system refuses it, or a library
    cannot read what a reader of this package gave it. `int(nan)` and its like are none of these."""
    if isinstance(error, OSError | MemoryError):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [
        name for frame in frames if (name := frame.f_globals.get("__name__", "")).startswith("linrec_bench")
    ]
    if isinstance(error, ValueError) and _is_raised_here(error.__traceback__):
        return True
    of_reading = isinstance(error, _OF_READING) or type(error).__module__.split(".")[0] in _LIBRARIES
    return of_reading and bool(own) and own[-1].startswith(_READERS)


def _is_raised_here(trace: TracebackType | None) -> bool:
    """Whether a `raise` of this package began it, and not an operation that failed."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not trace.tb_frame.f_globals.get("__name__", "").startswith("linrec_bench"):
        return False
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _sentence(error: Exception) -> str:
    """The error in one line, with the file and what to do where that is known."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        files = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return f"{' -> '.join(files)}: {error.strerror}{_advice(error)}" if files else error.strerror
    if isinstance(error, MemoryError):
        return f"the memory of this machine or its limit does not suffice: {text or 'out of memory'}"
    if isinstance(error, RecursionError):
        return "a file or an argument is nested too deeply to be read"
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"


def _advice(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "; expected a file or folder that you may read, or write to"
    if isinstance(error, FileNotFoundError):
        return "; expected one that exists"
    if isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError):
        return "; expected a file in place of a folder, or the reverse"
    return ""


def _internal(error: Exception) -> str:
    """The fault in one line, after its traceback was written to a file."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(where.filename)}:{where.lineno}"
    fault = f"{type(error).__name__}: {' '.join(str(error).split())} ({place})"
    from linrec_bench import __version__

    lines = [
        f"linrec-bench {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"arguments: {sys.argv[1:]}",
        "".join(traceback.format_exception(error)),
    ]
    try:
        handle, path = tempfile.mkstemp(prefix="linrec-bench-", suffix=".log")
        with open(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write("\n".join(lines))
    except OSError as reason:
        return f"a fault of linrec-bench: {fault}. No log could be written ({reason.strerror})"
    return f"a fault of linrec-bench: {fault}. Please report it with the file {path}, which has the traceback"
