"""What a failure of a device means: too little memory, a kernel that does not fit, or a defect.

Allocators raise `torch.OutOfMemoryError`; libraries and drivers that fail to allocate raise a plain
`RuntimeError` with a text of their own. Errors are looked through to what caused them, because compilers
wrap them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import torch

from linrec_bench.error_text import text_of

_NO_MEMORY = re.compile(
    r"can't allocate memory"
    r"|(CUDA|HIP|MPS|XPU)[\w ]*( error:| backend)? out of memory"
    r"|cudaErrorMemoryAllocation|hipErrorOutOfMemory"
    r"|\w+_STATUS_ALLOC_FAILED|CUFFT_ALLOC_FAILED|miopenStatusAllocFailed"
    r"|Triton Error \[\w+\]: out of memory"
    r"|OUT_OF_(DEVICE|HOST)_MEMORY"
)

_NO_RESOURCES = re.compile(r"out of resources?: ")
"""Of a streaming multiprocessor: shared or tensor memory, threads, registers (triton.runtime.errors)."""


class Uncapturable(RuntimeError):
    """The operations of a call cannot be recorded; the message says why."""


def failure(error: BaseException) -> Literal["oom", "unsupported"] | None:
    """`oom` where memory ran out, `unsupported` where a kernel needs more than the device's
    multiprocessors have or a call cannot be recorded; None for everything else."""
    causes = list(_causes(error))
    if any(isinstance(each, Uncapturable) for each in causes):
        return "unsupported"
    if any(type(each).__name__ == "OutOfResources" or _NO_RESOURCES.search(text_of(each)) for each in causes):
        return "unsupported"
    if any(isinstance(each, MemoryError | torch.OutOfMemoryError) for each in causes):
        return "oom"
    return "oom" if any(_NO_MEMORY.search(text_of(each)) for each in causes) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, each once."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__
