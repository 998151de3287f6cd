"""A process of its own for each trial on this machine, forked from a server that has imported torch once."""

from __future__ import annotations

import gc
import io
import multiprocessing
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from linrec_bench import allotment
from linrec_bench.error_text import ANYTHING, in_a_line
from linrec_bench.execution import server
from linrec_bench.execution.executors import ExecutorSpec
from linrec_bench.execution.process_bounds import end_with_the_parent, limit_memory
from linrec_bench.execution.trial import CallEnded, Sample, Trial, TrialResult
from linrec_bench.measures.device.names import CPU
from linrec_bench.results.rows import Status
from linrec_bench.tasks import Report

R = TypeVar("R")

FIRST_CALL = "first_call_time"
"""The measure whose number says that nothing is compiled any more."""

_UNKNOWN = 255
"""The exit code that multiprocessing gives a process whose server was killed; others may have it, too."""

_GO_ON = "What was measured is stored; the same command goes on with it"
_SERVER_ENDED = f"the process that starts the workers of this run was ended. {_GO_ON}"

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
"""Signals by which code ends its own process; others come from outside."""

_ENDING_S = 10.0
"""A process that has closed its pipe is given this long to leave its exit code."""


class LocalExecutor:
    """Forks a worker from the server for each trial, `slots` of them on each device at once; use it as a
    context.

    A trial sees one device only. Calls run in up to `callers` workers that are kept; they see no accelerator,
    so that none of them holds one. A thread waits for each worker; no thread does more than wait while
    something is measured.
    """

    def __init__(
        self,
        *,
        plugins: Sequence[Path] = (),
        allocator: Mapping[str, str] = server.STEADY_ALLOCATOR,
        slots: int = 1,
        devices: Sequence[str] = (CPU,),
        callers: int | None = None,
    ) -> None:
        server.start(allocator)
        self.slots = slots * len(devices)
        self.apart = len(devices) if CPU not in devices else 1
        self._free_devices: SimpleQueue[str] = SimpleQueue()
        for device in (*devices,) * slots:
            self._free_devices.put(device)
        self._plugins = tuple(plugins)
        self._context = multiprocessing.get_context("forkserver")
        self._trials = ThreadPoolExecutor(self.slots)
        self._calls = ThreadPoolExecutor(callers or allotment.cpus())
        self._caller = threading.local()
        # Held wherever processes are started or waited for: multiprocessing looks at all of them then.
        self._lock = threading.Lock()
        self._running: set[ForkServerProcess] = set()
        self._closed = False
        self._server: int | None = None

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, trial: Trial) -> Future[TrialResult]:
        """Run a trial in a fresh process; see `Executor.submit`."""
        return self._trials.submit(self._run, trial)

    def call(self, function: Callable[..., R], *args: Any) -> Future[R]:
        """`function(*args)` in a kept process; see `Executor.call`."""
        return self._calls.submit(self._ask, function, args)

    def close(self) -> None:
        """Kill what still runs, and take no more."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()
        self._trials.shutdown(cancel_futures=True)
        self._calls.shutdown(cancel_futures=True)
        for process in list(self._running):
            self._end(process)

    def _run(self, trial: Trial) -> TrialResult:
        # There is one for every thread.
        device = self._free_devices.get()
        try:
            return self._run_on(device, trial)
        finally:
            self._free_devices.put(device)

    def _run_on(self, device: str, trial: Trial) -> TrialResult:
        started = time.monotonic()
        receiver, process = self._start(_serve_trial, device, trial.work, trial.memory_bytes)
        samples: list[Sample] = []
        artefacts: dict[str, bytes] = {}
        try:
            status, detail = _listen(receiver, process, trial, samples, artefacts, self._greet)
        finally:
            exit_code = self._end(process)
            receiver.close()
        if status == "killed":
            if exit_code == _UNKNOWN:
                # A process that is killed closes its files some time before it is known to have ended.
                time.sleep(0.5)
                self._confirm_server()
            detail = _death(exit_code)
        elif status == "timeout":
            detail = f"stopped after its limit of {trial.seconds:g} s"
        return TrialResult(
            status=status,
            detail=detail,
            seconds=time.monotonic() - started,
            host=platform.node(),
            samples=tuple(samples),
            artefacts=artefacts,
        )

    def _ask(self, function: Callable[..., R], args: tuple[Any, ...]) -> R:
        """The answer of the worker that belongs to this thread."""
        is_new = not hasattr(self._caller, "worker")
        if is_new:
            self._caller.worker = self._start(_serve_calls)
        connection, process = self._caller.worker
        starts = is_new
        try:
            if is_new:
                self._greet(connection.recv())
                # It has imported the plugins.
                starts = connection.recv() is not None
            connection.send((function, args))
            result, error = connection.recv()
        except (EOFError, ConnectionError) as end:
            del self._caller.worker
            wait([process.sentinel], _ENDING_S)
            exit_code = self._end(process)
            if not starts and exit_code is not None and (exit_code >= 0 or -exit_code in _CRASHES):
                raise CallEnded(_death(exit_code)) from end
            if exit_code is not None and exit_code < 0:
                raise ValueError(f"a helper of the run was ended: {_death(exit_code)}. {_GO_ON}") from end
            raise ValueError(
                f"a worker could not start: {_death(exit_code)}; its reason is above. "
                "Expected every plugin to be importable in a process of its own"
            ) from end
        if error is not None:
            raise error
        answer: R = result
        return answer

    def _start(self, target: Callable[..., None], *args: object) -> tuple[Connection, ForkServerProcess]:
        """A process of `target(connection, plugins, *args)`, and our end of the connection."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=target, args=(theirs, self._plugins, *args), daemon=True)
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor is closed")
            self._confirm_server()
            try:
                process.start()
            except (EOFError, ConnectionError, FileNotFoundError) as error:
                raise ValueError(_SERVER_ENDED) from error
            self._running.add(process)
        theirs.close()
        return ours, process

    def _greet(self, server: int) -> None:
        """Take in what a process says first: who forked it. Where our server was killed, multiprocessing
        starts another one, without the allocator that this run is measured with."""
        self._server = self._server or server
        if server != self._server:
            raise ValueError(_SERVER_ENDED)

    def _confirm_server(self) -> None:
        """Raise `ValueError` where the server was killed: then nobody knows how its processes end."""
        # Before Python 3.13 macOS has no waitid: there its end shows by closed connections alone.
        if self._server is None or not hasattr(os, "waitid"):
            return
        try:
            # multiprocessing itself is to learn of its end, too.
            ended = os.waitid(os.P_PID, self._server, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            raise ValueError(_SERVER_ENDED) from None
        if ended is not None:
            raise ValueError(_SERVER_ENDED)

    def _end(self, process: ForkServerProcess) -> int | None:
        """Kill the process if it still runs; its exit code."""
        with self._lock:
            if process.is_alive():
                process.kill()
            process.join()
            self._running.discard(process)
        return process.exitcode


SPEC = ExecutorSpec(
    name="local",
    title="processes on this machine, one trial at a time",
    start=lambda plugins, devices: LocalExecutor(plugins=plugins, devices=devices),
)


def _listen(
    receiver: Connection,
    process: ForkServerProcess,
    trial: Trial,
    samples: list[Sample],
    artefacts: dict[str, bytes],
    greet: Callable[[int], None],
) -> tuple[Status, str]:
    """Take in what the worker reports until it has ended or its time is over."""
    deadline = time.monotonic() + trial.seconds + trial.compile_seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not wait([receiver, process.sentinel], left):
            return "timeout", ""
        # The pipe first: a worker that has ended may have left messages in it.
        if not receiver.poll():
            return "killed", ""
        try:
            message = receiver.recv()
        except (EOFError, ConnectionError):
            ended = wait([process.sentinel], max(0.0, deadline - time.monotonic()))
            return ("killed" if ended else "timeout"), ""
        match message:
            case int(server):
                greet(server)
            case Sample():
                samples.append(message)
                if trial.on_sample is not None:
                    trial.on_sample(message)
                if trial.compile_seconds and message.measure == FIRST_CALL:
                    deadline = time.monotonic() + trial.seconds
            case str(name), bytes(content):
                artefacts[name] = content
            case _Ending(status, detail):
                return status, detail


@dataclass(frozen=True)
class _Ending:
    """The last message of a worker."""

    status: Status
    detail: str = ""


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"the process died of {signal.Signals(-exit_code).name}"
    return f"the process ended with exit code {exit_code} and without a word"


class _Pipe:
    """The `Report` of a worker: what is told goes to the parent at once, so that it outlives the worker."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Any: the keywords of `Report`, which are the fields of a sample.
    def __call__(self, measure: str, value: float, unit: str, **others: Any) -> None:
        self._connection.send(Sample(measure=measure, value=value, unit=unit, **others))

    def keep(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        self._connection.send((name, file.getvalue()))


def _serve_trial(
    connection: Connection,
    plugins: Sequence[Path],
    device: str,
    work: Callable[[Report], None],
    memory_bytes: int | None,
) -> None:
    from linrec_bench.measures.device.visibility import bind

    connection.send(os.getppid())
    _begin(plugins)

    def bounded(report: Report) -> None:
        bind(device)
        limit_memory(memory_bytes, device=device)
        work(report)

    connection.send(_ending(bounded, _Pipe(connection)))
    connection.close()


def _ending(work: Callable[[Report], None], report: Report) -> _Ending:
    from linrec_bench.attention.spec import Unsupported
    from linrec_bench.execution.audit import Suspect
    from linrec_bench.measures.device.failures import failure

    try:
        work(report)
    except Suspect as reason:
        return _Ending("suspect", str(reason))
    except Unsupported as reason:
        return _Ending("unsupported", str(reason))
    except ANYTHING as error:
        # The boundary of the process: every failure becomes a row.
        return _Ending(failure(error) or "error", in_a_line(error, place=True))
    return _Ending("ok")


def _begin(plugins: Sequence[Path]) -> None:
    # Ctrl-C goes to the whole terminal group; the parent decides what becomes of a trial.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_the_parent()
    if plugins:
        from linrec_bench import attention

        for plugin in plugins:
            attention.load_plugin(plugin)


def _serve_calls(connection: Connection, plugins: Sequence[Path]) -> None:
    from linrec_bench.measures.device.visibility import hide_accelerators

    connection.send(os.getppid())
    hide_accelerators()
    _begin(plugins)
    connection.send(None)
    # What was imported stays: counts ask for collections, which need not look through it.
    gc.freeze()
    while True:
        try:
            function, args = connection.recv()
        except EOFError:
            return
        try:
            reply: tuple[object, Exception | None] = (function(*args), None)
        except Exception as error:  # noqa: BLE001 - handed to the caller, who raises it
            reply = (None, error)
        connection.send(reply)
