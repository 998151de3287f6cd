"""A process of its own for each trial, forked from a server that has imported torch once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from linrec_bench.execution.process_bounds import end_with_the_parent, limit_memory
from linrec_bench.results.rows import Status

STEADY_ALLOCATOR: Mapping[str, str] = {
    # One heap that is never given back: otherwise glibc maps and unmaps every large tensor, and on a CPU
    # the page faults cost more than the arithmetic.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}

# The command line too: a worker imports the script that started the run, which imports it.
PRELOAD = ["linrec_bench.execution.preload", "linrec_bench.cli"]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One number that a trial reported."""

    measure: str
    value: float
    unit: str
    phase: str = ""
    repeat: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, and after how many seconds."""

    status: Status
    detail: str
    seconds: float


class Executor(Protocol):
    """Runs a function in a process of its own; the only thing that changes beyond one machine."""

    def run(
        self,
        work: Callable[[Any], None],
        *,
        seconds: float,
        memory_bytes: int | None,
        on_sample: Callable[[Sample], None],
    ) -> Outcome: ...

    def call(self, function: Callable[..., Any], *args: object) -> Any: ...


class LocalExecutor:
    """Forks a worker from the server for each trial; use it as a context."""

    def __init__(
        self, *, allocator: Mapping[str, str] = STEADY_ALLOCATOR, plugins: Sequence[Path] = ()
    ) -> None:
        self.allocator = allocator
        self.plugins = tuple(plugins)
        self._context = multiprocessing.get_context("forkserver")
        self._helper: tuple[Connection, Any] | None = None

    def __enter__(self) -> LocalExecutor:
        self._context.set_forkserver_preload(PRELOAD)
        # glibc reads these once, when a program starts: the server must be born with them.
        with _environment(self.allocator):
            from multiprocessing import forkserver

            forkserver.ensure_running()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._helper is not None:
            connection, process = self._helper
            connection.close()
            process.kill()
            process.join()

    def run(
        self,
        work: Callable[[Any], None],
        *,
        seconds: float,
        memory_bytes: int | None,
        on_sample: Callable[[Sample], None],
    ) -> Outcome:
        """Run `work(emit)` in a fresh process, at most `seconds`, with at most `memory_bytes` beyond the
        server's own; every sample is handed to `on_sample` as it comes. Never raises for what `work` does."""
        started = time.monotonic()
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_serve_trial, args=(sender, work, memory_bytes, self.plugins), daemon=True
        )
        process.start()
        sender.close()
        try:
            status, detail = _listen(receiver, process, started + seconds, on_sample)
        finally:
            if process.is_alive() and process.exitcode is None:
                process.kill()
            process.join()
            receiver.close()
        if status is None:
            status, detail = "killed", _death(process.exitcode)
        return Outcome(status, detail or _limit(status, seconds), time.monotonic() - started)

    def call(self, function: Callable[..., Any], *args: object) -> Any:
        """`function(*args)` in one long-lived process beside the trials; nothing is measured there."""
        if self._helper is None:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=_serve_calls, args=(theirs, self.plugins), daemon=True)
            process.start()
            theirs.close()
            self._helper = (ours, process)
        connection, process = self._helper
        try:
            connection.send((function, args))
            result, error = connection.recv()
        except (EOFError, ConnectionError) as end:
            process.join()
            self._helper = None
            raise ValueError(
                f"a worker could not start or was ended: {_death(process.exitcode)}; its reason is above. "
                "Expected every plugin to be importable in a process of its own"
            ) from end
        if error is not None:
            raise error
        return result


def _listen(
    receiver: Connection, process: Any, deadline: float, on_sample: Callable[[Sample], None]
) -> tuple[Status | None, str]:
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not wait([receiver, process.sentinel], timeout=left):
            process.kill()
            return "timeout", ""
        try:
            # The pipe first: a worker that has ended may have left messages in it.
            message = receiver.recv()
        except EOFError:
            process.join()
            return None, ""
        if isinstance(message, Sample):
            on_sample(message)
        else:
            status, detail = message
            return status, detail


def _limit(status: Status, seconds: float) -> str:
    return f"stopped after its limit of {seconds:g} s" if status == "timeout" else ""


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"the process died of {signal.Signals(-exit_code).name}"
    return f"the process ended with exit code {exit_code} and without a word"


def _serve_trial(
    sender: Connection, work: Callable[[Any], None], memory_bytes: int | None, plugins: Sequence[Path]
) -> None:
    _begin(plugins)
    limit_memory(memory_bytes)

    def emit(
        measure: str, value: float, unit: str, *, phase: str = "", repeat: int = 0, detail: str = ""
    ) -> None:
        sender.send(
            Sample(measure=measure, value=value, unit=unit, phase=phase, repeat=repeat, detail=detail)
        )

    sender.send(_outcome(work, emit))
    sender.close()


def _outcome(work: Callable[[Any], None], emit: Callable[..., None]) -> tuple[Status, str]:
    import torch

    from linrec_bench.attention.spec import Unsupported

    try:
        work(emit)
    except Unsupported as reason:
        return "unsupported", str(reason)
    except (MemoryError, torch.OutOfMemoryError) as error:
        return "oom", _first_line(error)
    except Exception as error:  # noqa: BLE001 - the boundary of the process: every failure becomes a row
        # The CPU's allocator raises a plain RuntimeError.
        status: Status = "oom" if "can't allocate memory" in str(error) else "error"
        return status, _first_line(error)
    return "ok", ""


def _first_line(error: BaseException) -> str:
    import traceback

    lines = str(error).strip().splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300] + place


def _begin(plugins: Sequence[Path]) -> None:
    # Ctrl-C goes to the whole terminal group; the parent decides what becomes of a trial.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_the_parent()
    load_plugins(plugins)


def load_plugins(plugins: Sequence[Path]) -> None:
    """Make a user's own mechanisms known to this process."""
    if plugins:
        from linrec_bench import attention

        for plugin in plugins:
            attention.load_plugin(plugin)


def _serve_calls(connection: Connection, plugins: Sequence[Path]) -> None:
    _begin(plugins)
    while True:
        try:
            function, args = connection.recv()
        except EOFError:
            return
        try:
            reply: tuple[Any, Exception | None] = (function(*args), None)
        except Exception as error:  # noqa: BLE001 - handed to the caller, who raises it
            reply = (None, error)
        connection.send(reply)


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
