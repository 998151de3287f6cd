"""The device of torch to what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from linrec_bench.measures.device.accelerator import Accelerator
from linrec_bench.measures.device.host import Device, Host

_PROVIDED: dict[str, Callable[[torch.device], Device]] = {"cpu": Host, "meta": Host}


def device_of(device: torch.device | str) -> Device:
    """What is known of a device of torch, without asking it anything."""
    device = torch.device(device)
    return _PROVIDED.get(device.type, Accelerator)(device)


def provide(kind: str, make: Callable[[torch.device], Device]) -> None:
    """Have `make` answer for every device of this kind."""
    _PROVIDED[kind] = make


@contextmanager
def kept_random_state(device: torch.device) -> Iterator[None]:
    """The device's own generator is afterwards as it was before, whatever is drawn or seeded inside."""
    known = device_of(device)
    state = known.random_state()
    try:
        yield
    finally:
        if state is not None:
            known.restore_random_state(state)
