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
LONGEST_S, LONGEST_WAIT_S = 10, 300
TIMERS = (
    (signal.SIGVTALRM, signal.ITIMER_VIRTUAL, LONGEST_S),
    (signal.SIGALRM, signal.ITIMER_REAL, LONGEST_WAIT_S),
)
"""CPU time of this process that an input may take, and time for which it may wait for others."""

Found = Counter[str]


@cache
def command() -> typer.core.TyperCommand | typer.core.TyperGroup:
    """The command line, made once: half of the time of a call that is refused."""
    return typer.main.get_command(cli.app)


def verb_of(arguments: Sequence[str]) -> str:
    """The words of a command line that name its verb, such as `data describe`."""
    words, group = [], command()
    for word in arguments:
        group = getattr(group, "commands", {}).get(word)
        if group is None:
            break
        words.append(word)
    return " ".join(words)


class Hang(BaseException):
    """More time than an input may take."""


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
            ended = last_resort.run(command())
            sys.exit(ended)

        words = verb_of(arguments)
        if self.judge(found, kind, verb, arguments):
            found[f"reached {words}: {kind}"] += 1

    def judge(self, found: Found, kind: str, verb: Callable[[], object], shown: object = "") -> bool:
        """Call a verb or a reader, and count how it ended; whether what was given could be parsed."""
        said, code, parsed = io.StringIO(), 0, True
        for alarm, timer, seconds in TIMERS:
            signal.signal(alarm, _hang)
            signal.setitimer(timer, seconds)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                verb()
        except SystemExit as ended:
            code = int(ended.code or 0)
            parsed = not isinstance(ended.__context__, typer.TyperException)
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
            for _, timer, _ in TIMERS:
                signal.setitimer(timer, 0)
        found["inputs"] += 1
        found[f"{kind}: exit {code}"] += 1
        if code not in DOCUMENTED or "Traceback" in said.getvalue():
            found["tracebacks"] += 1
            found[f"fault: {kind} {shown} {said.getvalue().strip()[-300:]}"] += 1
        if self.written:
            found["files outside"] += 1
            found[f"outside: {kind} {shown} {self.written[0]}"] += 1
            self.written.clear()
        return parsed


def _hang(*_: object) -> None:
    raise Hang
