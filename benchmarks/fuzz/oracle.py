"""A folder to call the command line in, and the judge of how a call ended and of what it wrote."""

from __future__ import annotations

import contextlib
import io
import multiprocessing.util
import os
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import typer
from hypothesis.configuration import set_hypothesis_home_dir

from linrec_bench import cli
from linrec_bench.cli import last_resort
from linrec_bench.execution import server

DOCUMENTED = (0, 1, 2, 3, 4, 130, 141)
LONGEST_S = 10
Found = Counter[str]


@cache
def command() -> Callable[[], object]:
    """The command line, made once: half of the time of a call that is refused."""
    return typer.main.get_command(cli.app)


class Hang(BaseException):
    """More CPU time than an input may take."""


class Place:
    """The working folder of all calls, which may write below it only. Use as a context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.written: list[str] = []
        self.kept = (os.getcwd(), tempfile.tempdir, sys.argv)
        self.watching = False

    def __enter__(self) -> Place:
        # The server of worker processes and its sockets outlive the folder.
        multiprocessing.util.get_temp_dir()
        server.start()
        os.chdir(self.folder)
        (self.folder / "tmp").mkdir()
        tempfile.tempdir = str(self.folder / "tmp")
        os.environ |= {
            "LINREC_BENCH_CACHE": str(self.folder / "cache"),
            "MPLCONFIGDIR": str(self.folder / "tmp"),
        }
        set_hypothesis_home_dir(self.folder / "tmp")
        sys.addaudithook(self._audit)
        self.watching = True
        return self

    def __exit__(self, *_: object) -> None:
        self.watching = False
        os.chdir(self.kept[0])
        tempfile.tempdir, sys.argv = self.kept[1:]

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.watching:
            return
        paths: Sequence[object] = ()
        if (
            event == "open"
            and isinstance(arguments[2], int)
            and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ) or event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate"):
            paths = arguments[:1]
        elif event in ("os.rename", "os.link", "os.symlink"):
            paths = arguments[1:2]
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                real = os.path.realpath(os.fsdecode(path))
                if (
                    not f"{real}/".startswith((f"{self.folder}/", "/dev/", "/proc/"))
                    and "__pycache__" not in real
                ):
                    self.written.append(f"{event} {real}")

    def call(self, found: Found, kind: str, *arguments: str) -> None:
        """Call the command line, and count how it ended."""

        def verb() -> None:
            sys.argv = ["linrec-bench", *arguments]
            sys.exit(last_resort.run(command()))

        self.judge(found, kind, verb, arguments)

    def judge(self, found: Found, kind: str, verb: Callable[[], object], shown: object = "") -> None:
        """Call a verb or a reader, and count how it ended."""
        said, code = io.StringIO(), 0
        signal.signal(signal.SIGVTALRM, _hang)
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                verb()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except ValueError as refusal:
            code = 2 if str(refusal).strip() else 70
        except Hang:
            found["hangs"] += 1
            found[f"hang: {kind} {shown}"[:300]] += 1
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            where = traceback.extract_tb(error.__traceback__)[-1]
            found["tracebacks"] += 1
            found[
                f"traceback: {kind} {shown} {type(error).__name__}: {error} ({where.name}:{where.lineno})"[
                    :400
                ]
            ] += 1
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        found["inputs"] += 1
        found[f"{kind}: exit {code}"] += 1
        if code not in DOCUMENTED or "Traceback" in said.getvalue():
            found["tracebacks"] += 1
            found[f"fault: {kind} {shown} {said.getvalue().strip()[-300:]}"] += 1
        if self.written:
            found["files outside"] += 1
            found[f"outside: {kind} {shown} {self.written[0]}"] += 1
            self.written.clear()


def _hang(*_: object) -> None:
    raise Hang
