"""An accelerator that computes on the CPU: a plugin's file imports this, so that workers have the device.

Its tensors say that they are on the device `imitated`, and wrap tensors of the CPU. It counts the bytes of
what lives, refuses what goes beyond `Imitation.limit`, raises `Imitation.fails_with` at the first product,
and counts how often the host waits: a number read, a copy to the host, a size that depends on data.
"""

import weakref
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from linrec_bench.measures.device.accelerator import Accelerator
from linrec_bench.measures.device.clocks import WallClock
from linrec_bench.measures.device.host import Memory
from linrec_bench.measures.device.lookup import provide
from tests.accelerator.fake_accelerator import KIND, Generator, Module

aten = torch.ops.aten
TOTAL = 2**26
PRODUCTS = (aten.mm.default, aten.bmm.default, aten.addmm.default)
WAITS = (aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default)


@dataclass
class Imitation:
    """State of the one device of a process."""

    limit: int = TOTAL
    fails_with: str = ""
    current: int = 0
    peak: int = 0
    waits: int = 0
    waits_told_in: str = ""
    alive: set[int] = field(default_factory=set)

    def holds(self, tensor):
        storage = tensor.untyped_storage()
        address, size = storage._cdata, storage.nbytes()
        if address in self.alive:
            return
        if self.current + size > self.limit:
            raise torch.OutOfMemoryError(f"{KIND} out of memory. Tried to allocate {size} bytes")
        self.alive.add(address)
        self.current += size
        self.peak = max(self.peak, self.current)
        weakref.finalize(storage, self._gone, address, size).atexit = False

    def wait(self):
        self.waits += 1
        if self.waits_told_in:
            Path(self.waits_told_in).write_text(str(self.waits))

    def _gone(self, address, size):
        self.alive.discard(address)
        self.current -= size


HERE = Imitation()


class Imitated(Tensor):
    """On the device; `on_cpu` holds the numbers."""

    @staticmethod
    def __new__(cls, on_cpu):
        made = Tensor._make_wrapper_subclass(
            cls,
            on_cpu.size(),
            strides=on_cpu.stride(),
            storage_offset=on_cpu.storage_offset(),
            dtype=on_cpu.dtype,
            device=torch.device(KIND, 0),
        )
        made.on_cpu = on_cpu
        return made

    def __init__(self, on_cpu):
        HERE.holds(on_cpu)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        del types
        return run(func, args, kwargs or {})


# A view of a parameter, which `inference_mode` found there, is no inference tensor.
@torch.inference_mode(mode=False)
def run(func, args, kwargs):
    """An operation whose inputs or result are on the device, done by the CPU."""
    if func is aten._fused_sdp_choice.default:
        return 0
    if HERE.fails_with and func in PRODUCTS:
        raise RuntimeError(HERE.fails_with)
    _check_devices(func, args, kwargs)
    moves = func in (aten._to_copy.default, *(getattr(aten.to, each) for each in aten.to.overloads()))
    asked = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.device)]
    to_host = moves and any(device.type == "cpu" for device in asked)
    copied = func is aten.copy_.default and not isinstance(args[0], Imitated)
    if func in WAITS or to_host or copied:
        HERE.wait()
    inner_args, inner_kwargs = tree_map_only(Imitated, lambda x: x.on_cpu, (args, kwargs))
    devices = tree_map(
        lambda x: torch.device("cpu") if isinstance(x, torch.device) else x, (inner_args, inner_kwargs)
    )
    out = func(*devices[0], **devices[1])
    if to_host or copied or func in WAITS[:1]:
        return args[0] if copied else out
    wrapped = tree_map_only(Tensor, lambda x: x if isinstance(x, Imitated) else Imitated(x), out)
    return return_and_correct_aliasing(func, args, kwargs, wrapped)


def _check_devices(func, args, kwargs):
    """Numbers of the host may be mixed with tensors of a device, and either be copied to the other."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    here = [isinstance(x, Imitated) for x in tensors]
    foreign = any(x.dim() for x, imitated in zip(tensors, here, strict=True) if not imitated)
    if any(here) and foreign and func is not aten.copy_.default:
        raise RuntimeError(f"Expected all tensors to be on the same device, but {func} got {KIND} and cpu")


@dataclass(frozen=True)
class ImitatedDevice(Accelerator):
    """What `Device` asks, of the imitation."""

    def synchronize(self):
        pass

    def stopwatch(self, clock):
        return WallClock(clock)

    def clock_rate(self):
        return nullcontext(lambda: None)

    def flush(self):
        return lambda: None

    def memory(self):
        return Memory(HERE.current, HERE.current, HERE.peak, HERE.peak, TOTAL - HERE.current)

    def reset_peaks(self):
        HERE.peak = HERE.current

    def free_bytes(self):
        return TOTAL - HERE.current

    def total_bytes(self):
        return TOTAL

    def limit_memory(self, limit_bytes):
        HERE.limit = min(HERE.limit, limit_bytes)

    def sent(self, tensor):
        return tensor.to(self.device)

    def properties(self):
        return None

    def random_state(self):
        return None


def _kernel(operation):
    return lambda *args, **kwargs: run(operation, args, kwargs)


LIBRARIES = []


def start(**settings):
    """Make the device known to this process."""
    _setup_privateuseone_for_python_backend(KIND, Module())
    library = torch.library.Library("_", "IMPL")
    library.fallback(lambda func, *args, **kwargs: run(func, args, kwargs), "PrivateUse1")
    # `torch.tensor` calls these where a fallback cannot tell which operation it stands for.
    direct = torch.library.Library("aten", "IMPL")
    for operation in (aten.empty_strided.default, aten.empty.memory_format, aten.copy_.default):
        direct.impl(operation.name().removeprefix("aten::"), _kernel(operation), "PrivateUse1")
    LIBRARIES.extend((library, direct))
    torch.Generator = Generator
    provide(KIND, ImitatedDevice)
    for name, value in settings.items():
        setattr(HERE, name, value)
