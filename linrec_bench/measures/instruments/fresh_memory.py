"""Memory that each call takes from the operating system anew, as mappings of its own: in no count of tensors,
nor in what Python and numpy hold."""

from __future__ import annotations

import ctypes

from linrec_bench.measures.spec import Measurable

LARGEST_KEPT = 2**25
"""Bytes: glibc never keeps larger blocks once they are freed (mallopt(3), M_MMAP_THRESHOLD)."""

CALLS, FIRST_CALLS = 5, 2

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_DEFAULT_THRESHOLD = 2**17


def fresh_bytes(workload: Measurable) -> int | None:
    """Bytes of the pages that a repeated call touches first, the least of `CALLS`; None where the C library
    cannot be told to keep what is freed (all but glibc).

    Blocks of torch, numpy and C up to `LARGEST_KEPT` come from the heap then, where pages are there already.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return None
    set_option(_M_MMAP_THRESHOLD, LARGEST_KEPT)
    set_option(_M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        return min(_repeated(workload))
    finally:
        set_option(_M_MMAP_THRESHOLD, _DEFAULT_THRESHOLD)
        set_option(_M_TRIM_THRESHOLD, _DEFAULT_THRESHOLD)


def _repeated(workload: Measurable) -> list[int]:
    # It does not exist on Windows, which has no glibc either.
    import resource

    def first_touched() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt * resource.getpagesize()

    found = []
    for _ in range(FIRST_CALLS + CALLS):
        before = first_touched()
        workload.call()
        workload.reset()
        found.append(first_touched() - before)
    return found[FIRST_CALLS:]
