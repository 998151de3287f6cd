"""What every mechanism must keep, as probes: each runs a SPEC and returns None or the reason why not.

    check_x(spec, causal=..., params=...) -> str | None

Probes are pure: seeded small inputs on torch's default device, no files, no prints. The tests run them over
the registry, and so can anyone over a mechanism of their own. Tolerances derive from the dtype's epsilon.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

from linrec_bench.attention.backends import choice
from linrec_bench.attention.contract import influence, layers, values
from linrec_bench.attention.contract.probe_inputs import NONE, Params, given, inputs, masks, noise
from linrec_bench.attention.spec import Spec

__all__ = [
    "CHECKS",
    "LAYER",
    "NONE",
    "Check",
    "Params",
    "applicable",
    "applies",
    "directions",
    "given",
    "inputs",
    "limits",
    "masks",
    "noise",
    "unprobed",
    "violations",
]


@runtime_checkable
class Check(Protocol):
    """A probe of one property in one direction."""

    def __call__(self, spec: Spec, *, causal: bool, params: Params = NONE) -> str | None: ...


CHECKS: dict[str, Check] = {
    "shape and dtype": values.check_shape_and_dtype,
    "fake tensors": values.check_fake,
    "agreement": values.check_agreement,
    "gradients": values.check_gradients,
    "causal": influence.check_causal,
    "prefix": influence.check_prefix,
    "decode": values.check_decode,
    "pad content": influence.check_pad_content,
    "pad length": influence.check_pad_length,
    "batch-mates": influence.check_batch_mates,
    "permutation": influence.check_permutation,
    "layout": influence.check_layout,
    "finite": values.check_finite,
    "layer shape": layers.check_shape,
    "layer padding": layers.check_padding,
    "layer batch-mates": layers.check_batch_mates,
    "layer causal": layers.check_causal,
    "layer decode": layers.check_decode,
    "layer gradients": layers.check_gradients,
}
"""Every probe by the name of its property, those of the layer for SPECs that bring one: `applies`."""

LAYER = "layer "
"""Names of properties of the layer begin so."""


def directions(spec: Spec) -> tuple[bool, ...]:
    """The values of `causal` that the SPEC declares."""
    return (False,) * spec.bidirectional + (True,) * spec.causal


def applies(name: str, spec: Spec, *, causal: bool) -> bool:
    """Whether the property means anything for the mechanism in this direction."""
    if name.startswith(LAYER) and spec.layer is None:
        return False
    if name == f"{LAYER}decode":
        return causal and layers.has_decode(spec, causal=True)
    if name == "decode":
        return causal and not values.cannot_decode(spec)
    if name in ("causal", "prefix", "layer causal"):
        return causal
    if name == "permutation":
        return not causal
    return spec.honours_padding if name in ("pad content", "pad length", "layer padding") else True


def limits(spec: Spec, *, causal: bool) -> list[str]:
    """What of decoding the probes leave out in this direction, and why: one phrase each."""
    told = []
    if causal and values.cannot_decode(spec):
        told.append("decode: cannot decode, it has no init_state and step")
    if causal and spec.layer is not None and not layers.has_decode(spec, causal=True):
        told.append("layer decode: cannot decode, the layer has no init_state and step")
    return told


def unprobed(spec: Spec, params: Params = NONE) -> str | None:
    """Why probes cannot run the mechanism on torch's default device; None where they can."""
    return choice.refusal(spec, params, torch.get_default_device().type, torch.float64, backward=True)


def applicable(spec: Spec, params: Params = NONE) -> dict[str, Check]:
    """The probes that can run on torch's default device: those on fake tensors anywhere."""
    return CHECKS if unprobed(spec, params) is None else {"fake tensors": values.check_fake}


def violations(spec: Spec, params: Params = NONE) -> list[str]:
    """One line for each property that does not hold, in each declared direction; empty when all hold. Of a
    mechanism that cannot run here only what fake tensors tell.
    """
    found = []
    for causal in directions(spec):
        for name, check in applicable(spec, params).items():
            reason = check(spec, causal=causal, params=params)
            if reason is not None:
                found.append(f"{spec.name}, {'causal' if causal else 'bidirectional'}, {name}: {reason}")
    return found
