"""A layer that a SPEC brings is probed: each fault of it is found by the probe of its property."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from linrec_bench.attention import contract
from linrec_bench.attention.mechanisms import softmax


class Sound(nn.Module):
    """Softmax attention of one head with projections, and its recurrent form."""

    def __init__(self, hidden_size, heads, *, causal):
        super().__init__()
        del heads
        self.causal = causal
        self.qkv, self.out = nn.Linear(hidden_size, 3 * hidden_size), nn.Linear(hidden_size, hidden_size)

    def forward(self, x, padding_mask=None):
        return self.out(self.mixed(x, padding_mask))

    def mixed(self, x, padding_mask):
        q, k, v = (part[:, None] for part in self.qkv(x).chunk(3, dim=-1))
        return softmax.core(q, k, v, padding_mask=padding_mask, causal=self.causal)[:, 0]

    def init_state(self, x):
        return (x[:, :0],)

    def step(self, state, x):
        seen = torch.cat((*state, x), dim=1)
        return (seen,), self(seen)[:, -x.shape[1] :]


class IgnoresItsMask(Sound):
    def forward(self, x, padding_mask=None):
        return super().forward(x)


class MixesUsers(Sound):
    def forward(self, x, padding_mask=None):
        return super().forward(x, padding_mask) + x.mean(dim=0, keepdim=True)


class SeesTheFuture(Sound):
    def forward(self, x, padding_mask=None):
        return super().forward(x, padding_mask) + x.sum(dim=1, keepdim=True)


class Forgets(Sound):
    def step(self, state, x):
        return state, self(x)


class Detached(Sound):
    def mixed(self, x, padding_mask):
        return super().mixed(x.detach(), padding_mask) + x


class Narrow(Sound):
    def forward(self, x, padding_mask=None):
        return super().forward(x, padding_mask)[..., 1:]


class Parallel(nn.Module):
    """Sound, without a recurrent form."""

    def __init__(self, hidden_size, heads, *, causal):
        super().__init__()
        self.inner = Sound(hidden_size, heads, causal=causal)

    def forward(self, x, padding_mask=None):
        return self.inner(x, padding_mask)


def found(layer, *, causal=True):
    spec = replace(softmax.SPEC, name="planted", layer=layer)
    return {
        name: check(spec, causal=causal)
        for name, check in contract.CHECKS.items()
        if name.startswith("layer ") and contract.applies(name, spec, causal=causal)
    }


@pytest.mark.parametrize("causal", [False, True])
def test_a_sound_layer_holds_in_everything(causal):
    reasons = found(Sound, causal=causal)
    assert set(reasons.values()) == {None}
    assert ("layer causal" in reasons, "layer decode" in reasons) == (causal, causal)


@pytest.mark.parametrize(
    ("layer", "name", "causal"),
    [
        # A causal layer cannot see padding on the right.
        (IgnoresItsMask, "layer padding", False),
        (MixesUsers, "layer batch-mates", True),
        (SeesTheFuture, "layer causal", True),
        (Forgets, "layer decode", True),
        (Detached, "layer gradients", True),
    ],
)
def test_a_fault_is_found(layer, name, causal):
    assert found(layer, causal=causal)[name]


def test_a_wrong_shape_is_found():
    spec = replace(softmax.SPEC, name="planted", layer=Narrow)
    assert "gives [2, 1, 23]" in contract.CHECKS["layer shape"](spec, causal=True)


def test_what_cannot_decode_is_told_and_contradicts_nothing():
    spec = replace(softmax.SPEC, name="planted", layer=Parallel, init_state=None, step=None, decode_state="")
    assert not {"decode", "layer decode"} & {
        n for n in contract.CHECKS if contract.applies(n, spec, causal=True)
    }
    assert [phrase.split(",")[0] for phrase in contract.limits(spec, causal=True)] == [
        "decode: cannot decode",
        "layer decode: cannot decode",
    ]
    assert contract.limits(spec, causal=False) == []
    assert contract.violations(spec) == []


def test_a_declared_recurrent_form_must_be_there():
    spec = replace(softmax.SPEC, name="planted", init_state=None, step=None)
    assert any("has no init_state and step" in line for line in contract.violations(spec))
