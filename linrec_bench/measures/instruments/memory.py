"""Peak memory of one call beyond its inputs. The names of the readings say at which level.

On a CPU: the bytes of live tensors, exact, and those of the process. On CUDA: what the allocator handed
out, what it reserved, and what the driver lost. Workspaces inside a kernel are no tensors: the process and
the driver see them, live bytes do not.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import tracemalloc
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.autograd.graph import saved_tensors_hooks

from linrec_bench import allotment
from linrec_bench.measures.device.lookup import device_of
from linrec_bench.measures.instruments.kernel_scratch import scratch_bytes
from linrec_bench.measures.instruments.operations import Watch, collector_paused, tensors
from linrec_bench.measures.spec import Measurable, Reading

_RESET_PEAK = "5"
"""Written to clear_refs, it sets the process's peak to its present size (Linux, proc_pid_clear_refs(5))."""


class LiveBytes:
    """Bytes of the tensor storages that the operations of a `Watch` create: `current` and their `peak`.

    `peak_with_scratch` adds to the storages what a kernel is known to take for itself (`kernel_scratch`).

    Storages count once, however many tensors share them, from the operation that made them until they
    die, also after the watch. What existed before counts nothing, even when written to. Real and fake
    tensors give the same figures. Reference cycles must not be collected meanwhile for the figures to be
    repeatable: see `collector_paused`.
    """

    def __init__(self) -> None:
        self.current = 0
        self.peak = 0
        self.peak_with_scratch = 0
        self._sizes: dict[int, int] = {}
        self._storages: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def size_of(self, tensor: Tensor) -> int:
        """Bytes of the tensor's storage if it was created under the watch, otherwise 0."""
        return self._sizes.get(_address(tensor), 0)

    def seen(
        self,
        func: OpOverload[..., object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        out: object,
    ) -> None:
        # A constant (`torch.tensor(2.0)`) is born outside and handed in by lift_fresh, yet it is new.
        new = func is torch.ops.aten.lift_fresh.default
        if func is torch.ops.aten.add_.Tensor and out is not args[0]:
            self._replace(*tensors(args[0]))
        given: set[int] | None = set() if new else None
        for tensor in tensors(out):
            storage = tensor.untyped_storage()
            address = storage._cdata
            if address not in self._sizes:
                if given is None:
                    given = {_address(given_tensor) for given_tensor in tensors((args, kwargs))}
                if address in given:
                    continue
            self._record(address, storage)
        self.peak = max(self.peak, self.current)
        self.peak_with_scratch = max(self.peak_with_scratch, self.current + scratch_bytes(func, args))

    def _record(self, address: int, storage: torch.UntypedStorage) -> None:
        if address not in self._sizes:
            self._storages[address] = weakref.ref(storage, partial(self._forget, address))
        # An operation may have resized a storage that is known.
        size = storage.nbytes()
        self.current += size - self._sizes.get(address, 0)
        self._sizes[address] = size

    def _replace(self, written: Tensor) -> None:
        """The watch alone made a new tensor of what is written to: from here on that one counts."""
        self.current -= self.size_of(written)
        self._sizes[_address(written)] = 0

    def _forget(self, address: int, _: object) -> None:
        del self._storages[address]
        self.current -= self._sizes.pop(address)


class SavedBytes:
    """Bytes that autograd holds for the backward pass: `current` and their `peak`.

    Of the storages that `live` saw being created; inputs and parameters, which exist anyway, count
    nothing. A storage saved by several operations counts once.
    """

    def __init__(self, live: LiveBytes) -> None:
        self.current = 0
        self.peak = 0
        self._live = live
        self._holders: dict[int, int] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count what is saved inside."""
        with saved_tensors_hooks(self._pack, lambda held: held.tensor):
            yield

    def holds(self, tensor: Tensor) -> bool:
        """Whether the tensor's storage is saved, and counts."""
        return _address(tensor) in self._holders

    def _pack(self, tensor: Tensor) -> _Held:
        held = _Held(tensor)
        size = self._live.size_of(tensor)
        if size:
            address = _address(tensor)
            if address not in self._holders:
                self._holders[address] = 0
                self.current += size
                self.peak = max(self.peak, self.current)
            self._holders[address] += 1
            weakref.finalize(held, self._release, address, size).atexit = False
        return held

    def _release(self, address: int, size: int) -> None:
        self._holders[address] -= 1
        if not self._holders[address]:
            del self._holders[address]
            self.current -= size


class _Held:
    """A saved tensor in a box of its own, whose end tells when autograd lets go of it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def _address(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def peaks(workload: Measurable) -> list[Reading]:
    """Every peak that the workload's device can tell, each from a call of its own."""
    if device_of(workload.device).memory() is not None:
        return allocator_peaks(workload)
    # The exact pass comes first and warms up the other: code loaded on first use is not the workload's.
    return [*live_peaks(workload), process_peak(workload)]


def live_peaks(workload: Measurable) -> list[Reading]:
    """`peak_live_bytes` and `saved_bytes` of one call, exact; works on real and fake tensors."""
    live = LiveBytes()
    saved = SavedBytes(live)
    with collector_paused(), Watch(live), saved.watching():
        workload.call()
    workload.reset()
    return [
        Reading("peak_live_bytes", live.peak, "B", "storages of tensors"),
        Reading("saved_bytes", saved.peak, "B", "storages that autograd holds for the backward pass"),
    ]


def peak_live_bytes(workload: Measurable) -> int:
    """The exact peak of live tensor bytes of one call."""
    return int(live_peaks(workload)[0].value)


def process_peak(workload: Measurable) -> Reading:
    """`peak_process_bytes`: how far the resident size of this process rises above where one call finds it.

    Where the kernel does not let the peak be reset, it is the peak since the process began less the size
    before the call, and the detail says so.
    """
    with whole_peak(torch.device("cpu")) as readings:
        workload.call()
        workload.reset()
    return readings[0]


def process_peak_is_reset() -> bool:
    """Whether the kernel lets the peak of this process be reset, so that it can be that of one call."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


@contextmanager
def whole_peak(device: torch.device) -> Iterator[list[Reading]]:
    """The peak of all that runs inside, known when it has ended: `peak_allocated_bytes` where the device has
    memory of its own, else `peak_process_bytes` as `process_peak` says."""
    readings: list[Reading] = []
    measured = device_of(device)
    if measured.memory() is not None:
        measured.warm_libraries()
        measured.reset_peaks()
        at_start = measured.memory()
        yield readings
        measured.synchronize()
        at_end = measured.memory()
        assert at_start is not None, "the device counts"
        assert at_end is not None, "the device counts"
        peak = at_end.peak_allocated - at_start.allocated
        detail = "caching allocator, without kept workspaces"
        readings.append(Reading("peak_allocated_bytes", peak, "B", detail))
        return
    _return_free_memory()
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    except OSError as reason:
        refused: str | None = str(reason.strerror)
    else:
        refused = None
    before = _resident_bytes()
    yield readings
    if refused is None:
        told = allotment.status_bytes("VmHWM")
        assert told is not None, "it was reset"
        peak, detail = told, "VmHWM after a reset, less the size before"
    else:
        # Windows has none; nothing is measured there.
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        detail = f"ru_maxrss since the process began, less the size before; no reset: {refused}"
    readings.append(Reading("peak_process_bytes", max(peak - before, 0), "B", detail))


def allocator_peaks(workload: Measurable) -> list[Reading]:
    """`peak_allocated_bytes`, `peak_reserved_bytes` and `peak_driver_bytes` of one warm call on a device with
    memory of its own."""
    device = device_of(workload.device)
    workload.call()
    workload.reset()
    device.synchronize()
    device.reset_peaks()
    before = device.memory()
    workload.call()
    device.synchronize()
    # The allocator keeps what it once took, so that the driver's loss after the call is that at the peak.
    after = device.memory()
    workload.reset()
    assert before is not None, "the device counts"
    assert after is not None, "the device counts"
    allocated, reserved = after.peak_allocated - before.allocated, after.peak_reserved - before.reserved
    lost = max(before.free - after.free, 0)
    return [
        Reading("peak_allocated_bytes", allocated, "B", "caching allocator, beyond inputs"),
        Reading("peak_reserved_bytes", reserved, "B", "caching allocator, beyond an emptied cache"),
        Reading("peak_driver_bytes", lost, "B", "free memory of the whole device, before less after"),
    ]


def host_bytes(workload: Measurable) -> int:
    """The most that Python and numpy hold in a call beyond what they held before; tensors are not in it.

    By `tracemalloc`, in the second of two calls.
    """
    workload.call()
    workload.reset()
    traced = tracemalloc.is_tracing()
    with collector_paused():
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            workload.call()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            if not traced:
                tracemalloc.stop()
    workload.reset()
    return peak - before


def _return_free_memory() -> None:
    """Have glibc give back what was freed, or the call would reuse it unseen."""
    # Other C libraries have no such function.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _resident_bytes() -> int:
    import psutil

    told = allotment.status_bytes("VmRSS")
    return int(psutil.Process().memory_info().rss) if told is None else told
