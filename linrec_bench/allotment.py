"""What this process may use of its machine: a container or a batch job has less than the host shows."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/")


def cpus() -> int:
    """Processors: those of the affinity mask, or fewer where a control group grants less time; at least 1."""
    known = affinity()
    allowed = (os.cpu_count() or 1) if known is None else len(known)
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, math.floor(quota)))


def affinity() -> list[int] | None:
    """Numbers of the processors that this process may run on; None where the system does not tell, as on
    macOS and Windows."""
    tell = getattr(os, "sched_getaffinity", None)
    return None if tell is None else sorted(tell(0))


def total_bytes() -> int:
    """Memory: that of the host, or the least limit of a control group."""
    import psutil

    return min([psutil.virtual_memory().total, *(limit for limit, _ in memory_limits())])


def free_bytes() -> int:
    """Memory that nobody uses now, of the host and within every limit of a control group."""
    import psutil

    left = [max(0, limit - used) for limit, used in memory_limits()]
    return min([psutil.virtual_memory().available, *left])


STATUS = Path("/proc/self/status")
"""Of the kernel of Linux; other systems have none."""


def status_bytes(field: str) -> int | None:
    """A size of this process such as `VmRSS`; None where the system does not tell. The file has it in
    units of 1024 bytes."""
    with suppress(FileNotFoundError):
        for line in STATUS.read_text(encoding="ascii").splitlines():
            name, _, rest = line.partition(":")
            if name == field:
                return int(rest.split()[0]) * 1024
    return None


def memory_limits(root: Path = ROOT) -> list[tuple[int, int]]:
    """Bytes allowed and used of each control group above this process that has a limit. Pages of files that
    the kernel would give up are not used."""
    names = {
        "": ("memory.max", "memory.current", "inactive_file"),
        "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }
    found = []
    for version, folder in _groups("memory", root):
        limit_file, used_file, idle = names[version]
        limit, used = _number(folder / limit_file), _number(folder / used_file)
        if limit is not None and used is not None:
            found.append((limit, max(0, used - _stat(folder / "memory.stat", idle))))
    return found


def cpu_quota(root: Path = ROOT) -> float | None:
    """Processors whose time the control groups above this process grant; None without a limit."""
    quotas = []
    for version, folder in _groups("cpu", root):
        if version:
            quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        else:
            quota, period = (_number(folder / "cpu.max", part) for part in (0, 1))
        if quota is not None and quota > 0 and period:
            quotas.append(quota / period)
    return min(quotas, default=None)


def _groups(controller: str, root: Path) -> Iterator[tuple[str, Path]]:
    """The folders of a controller from this process's own to the root, as this process sees them: after `""`
    those of version 2, after its name those of version 1."""
    mounted = root / "sys/fs/cgroup"
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            top = mounted / controller if controllers else mounted
            own = top / path.lstrip("/")
            for folder in (own, *own.parents):
                if folder.is_relative_to(top) and folder.is_dir():
                    yield (controller if controllers else ""), folder


def _number(path: Path, part: int = 0) -> int | None:
    """A number of a file; None where there is none, such as `max`."""
    try:
        return int(path.read_text(encoding="utf-8").split()[part])
    except (OSError, ValueError, IndexError):
        return None


def _stat(path: Path, name: str) -> int:
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(" ")
            if key == name and value.isdigit():
                return int(value)
    return 0
