"""How a failure of a device is classified, by the texts that drivers, libraries and compilers raise."""

import pytest
import torch

from linrec_bench.measures.device.failures import failure


class OutOfResources(Exception):
    """As triton.runtime.errors has it."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("HIP error: out of memory"),
        RuntimeError("HIP out of memory. Tried to allocate"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("XPU out of memory. Tried to allocate"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
    ],
)
def test_too_little_memory(error):
    assert failure(error) == "oom"


@pytest.mark.parametrize(
    "error",
    [
        OutOfResources("shared memory, Required: 294912, Hardware limit: 232448"),
        RuntimeError("No valid triton configs. OutOfMemoryError: out of resource: shared memory"),
        RuntimeError("out of resource: tensor memory, Required: 768, Hardware limit: 512"),
    ],
)
def test_a_kernel_that_does_not_fit_is_unsupported(error):
    assert failure(error) == "unsupported"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: device-side assert triggered"),
        IndexError("index 7 is out of bounds for dimension 0 with size 3"),
        ValueError("heads 3: out of range"),
    ],
)
def test_a_defect_is_neither(error):
    assert failure(error) is None


def test_a_compiler_wraps_what_happened():
    def compile_and_run():
        try:
            raise OutOfResources("shared memory")
        except OutOfResources as inner:
            raise RuntimeError("backend='inductor' raised") from inner

    with pytest.raises(RuntimeError) as raised:
        compile_and_run()
    assert failure(raised.value) == "unsupported"
