"""Every mechanism, layer, model and optimiser step on fake tensors of an accelerator: run as a script.

Torch's device for backends written in Python stands for the accelerator: it needs no driver, and cannot be
taken back, so that it has a process of its own. What mixes devices raises, as it does on a real one; what
reads a number, which would make the host wait for the device, raises too. Prints JSON: case -> what it
raised, empty where nothing.
"""

import json
import sys
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from linrec_bench.measures.device.accelerator import Accelerator
from linrec_bench.measures.device.lookup import provide

KIND = "imitated"

LIBRARIES = []
"""Their kernels live as long as they do."""


class Module:
    """What `torch.autocast` and the random state ask of a device's module."""

    def is_initialized(self):
        return True

    is_available = is_initialized

    def current_device(self):
        return 0

    def device_count(self):
        return 1

    def _is_in_bad_fork(self):
        return False

    def manual_seed_all(self, seed):
        pass

    def get_amp_supported_dtype(self):
        return [torch.float16, torch.bfloat16]


class Generator(torch.Generator):
    """Says that it is the accelerator's: fake tensors are never drawn."""

    def __new__(cls, device="cpu"):
        del device
        return super().__new__(cls)

    def __init__(self, device="cpu"):
        self.device_asked = torch.device(device)

    @property
    def device(self):
        return self.device_asked


def cases():
    from linrec_bench import attention, models
    from linrec_bench.attention.contract import directions
    from linrec_bench.case import Case

    for name, spec in attention.registry().items():
        for causal in directions(spec):
            common = {"attention": name, "seq_len": 80, "batch_size": 2, "causal": causal, "device": KIND}
            # The usual layer calls the core; one of its own may do what the core does in another way.
            for task in ("layer",) if spec.layer is None and name != "softmax" else ("core", "layer"):
                yield Case(task=task, phase="forward_backward", **common)
            if causal:
                yield Case(task="decode", phase="step", model="sasrec", **common)
    for name, spec in models.registry().items():
        if spec.trained_by_gradient:
            for causal in (False, True):
                yield Case(
                    task="train_step",
                    phase="step",
                    attention=spec.mechanisms[0] if spec.mechanisms else "softmax",
                    model=name,
                    seq_len=16,
                    batch_size=2,
                    causal=causal,
                    device=KIND,
                )


def outcome(case):
    from linrec_bench import tasks
    from linrec_bench.attention.spec import Unsupported

    try:
        with FakeTensorMode():
            workload = tasks.registry()[case.task].build(case)
            workload.call()
            workload.reset()
    except Unsupported as reason:
        return f"unsupported: {reason}"
    except Exception as error:  # noqa: BLE001 - every failure is reported
        return f"{type(error).__name__}: {str(error)[:300]}"
    return ""


@dataclass(frozen=True)
class FakeDevice(Accelerator):
    """Has no driver to ask."""

    def random_state(self):
        return None


def empty_strided(size, stride, dtype=None, **_):
    """`torch.tensor` makes a real tensor, which becomes a fake one at once; nothing is ever read from it."""
    del stride
    return torch._C._acc.create_empty_tensor(tuple(size), dtype)


def register():
    """Make the device known to torch and to the package."""
    _setup_privateuseone_for_python_backend(KIND, Module())
    library = torch.library.Library("aten", "IMPL")
    library.impl("empty_strided", empty_strided, "PrivateUse1")
    library.impl("zero_", lambda x: x, "PrivateUse1")
    library.impl("copy_", lambda target, source, non_blocking=False: target, "PrivateUse1")
    torch.Generator = Generator
    provide(KIND, FakeDevice)
    LIBRARIES.append(library)


def main():
    register()
    found = {}
    for case in cases():
        key = f"{case.task} {case.phase} {case.model or ''} {case.attention} causal={case.causal}"
        found[key] = outcome(case)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
