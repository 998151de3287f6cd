"""What holds inside a worker: a bound on its memory, and an end with the process that began it.

Modules that Windows lacks are imported where they are used: verbs that measure nothing import this one too.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

from linrec_bench import allotment
from linrec_bench.measures.device.lookup import device_of
from linrec_bench.measures.device.names import CPU, numbered

HOST_SHARE = 0.8
"""Of the free memory of the host, for a trial that is measured on an accelerator."""


def limit_memory(memory_bytes: int | None, *, device: str) -> None:
    """Allow this process `memory_bytes` of the device's own memory and a share of what the host has free; on
    a CPU `memory_bytes` beyond what it has now. Any amount for None."""
    if memory_bytes is None:
        return
    kind = numbered(device)[0]
    if kind != CPU:
        # Now and not in the first call, which is timed: it creates the device's context.
        device_of(kind).limit_memory(memory_bytes)
        memory_bytes = int(HOST_SHARE * device_of(CPU).free_bytes())
    import resource

    # Where the system does not tell, the limit counts what the process has now too.
    own = allotment.status_bytes("VmData") or 0
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    bound = own + memory_bytes
    # A limit of the user (`ulimit -Hd`) may lie below ours.
    resource.setrlimit(resource.RLIMIT_DATA, (bound if hard < 0 else min(bound, hard), hard))
    # Should the machine run out all the same, the kernel takes the trial and not the run; a container may
    # not allow to say so.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def end_with_the_parent() -> None:
    """A run that is killed must not leave a trial behind, which a resumed run would begin once more.

    The parent holds one end of a pipe. When that closes the kernel sends SIGIO, which ends the process: no
    thread has to wait for it while things are measured.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    import fcntl

    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
    fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    # It may have closed before.
    if wait([parent.sentinel], timeout=0):
        os._exit(1)
