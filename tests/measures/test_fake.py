"""Answers for fake tensors are those of torch's own mode, and of the kernels."""

from typing import ClassVar

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _disable_current_modes

from linrec_bench import attention
from linrec_bench.case import Case
from linrec_bench.execution.worker import predict
from linrec_bench.measures.instruments import exact, fake


def form(out):
    """What decides over bytes and copies. Along an axis of one number the stride has no meaning."""
    return [
        (
            x.shape,
            [stride for size, stride in zip(x.shape, x.stride(), strict=True) if size > 1],
            x.storage_offset(),
            x.dtype,
            x.device,
            x.untyped_storage().nbytes(),
        )
        for x in pytree.tree_leaves(out)
        if isinstance(x, torch.Tensor)
    ]


def as_real(value):
    """A tensor of the same form with memory; zeros are valid indices too."""
    if not isinstance(value, torch.Tensor):
        return value
    storage = torch.zeros(value.untyped_storage().nbytes() // value.dtype.itemsize, dtype=value.dtype)
    return storage.as_strided(value.shape, value.stride(), value.storage_offset())


ANSWERED = fake._ASKED | fake._ONE_RESULT | fake._FACTORIES | fake._NO_RESULT


class Checked(fake.FakeWatch):
    """Compares each answer of its own with that of the kernel on real tensors."""

    compared: ClassVar[set[object]] = set()

    def run(self, func, args, kwargs):
        given = func.overloadpacket in ANSWERED or func in fake._GRADIENT_AND_INPUT
        if given:
            with _disable_current_modes():
                real = func(*pytree.tree_map(as_real, args), **kwargs)
            self.compared.add(func.overloadpacket)
        out = super().run(func, args, kwargs)
        assert not given or form(out) == form(real), func
        return out


def of_layers_and_optimisers():
    """What mechanisms alone do not ask for, on tensors of another layout than their shape's own."""
    x = torch.ones(4, 6).t().requires_grad_()
    index = torch.zeros(6, 4, dtype=torch.int64)
    F.gelu(x).add(torch.threshold(x, 0.5, 0)).sum().backward()
    F.threshold_(x.detach(), 0.5, 0).rsqrt_().div_(2)
    torch.minimum(x, x.detach()).amax(0).gather(0, index[0])
    torch.addcmul(x, x, x).index_add(0, index[:, 0], x)
    (index > 0) & (index > 1)
    optimiser = torch.optim.AdamW([x], fused=True)
    optimiser.step()
    torch._foreach_add_([x.detach()], 1)


@pytest.mark.slow
def test_every_answer_is_that_of_the_kernel(monkeypatch):
    monkeypatch.setattr(exact, "FakeWatch", Checked)
    Checked.compared.clear()
    for name in attention.registry():
        case = Case(
            task="layer",
            phase="forward_backward",
            attention=name,
            causal=attention.registry()[name].causal,
            seq_len=300,
            hidden_size=24,
        )
        predict(case)
    with FakeTensorMode(), Checked():
        torch.ones(4, 6).as_strided((2, 3), (6, 2), 1).new_empty(5)
        torch.empty_strided((2, 3), (1, 2))
        of_layers_and_optimisers()
    assert Checked.compared >= ANSWERED, ANSWERED - Checked.compared


def test_an_answer_that_is_known_follows_the_default_type():
    with FakeTensorMode(), fake.FakeWatch():
        for dtype in (torch.float32, torch.float64, torch.float32):
            torch.set_default_dtype(dtype)
            made = torch.ones(2, 3)
            torch.set_default_dtype(torch.float32)
            assert made.dtype == dtype


def answers(call):
    """What `call` gives under the watch, and without it."""
    with FakeTensorMode():
        with fake.FakeWatch():
            watched = call()
        return form(watched), form(call())


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.ones(3, 4) + torch.ones(4, 3).mT,
        lambda: torch.ones(3, 4) + torch.ones(4, dtype=torch.float64),
        lambda: torch.ones(3, dtype=torch.int64) / 2,
        lambda: torch.ones(3, dtype=torch.int64) * 2,
        lambda: torch.ones(3, dtype=torch.int64) * 2.0,
        lambda: torch.ones(3, 4).sum(dtype=torch.float64),
        lambda: torch.ones(3, 4).sum(0, keepdim=True),
        lambda: torch.add(torch.ones(2), 1, out=torch.empty(2)),
        lambda: torch.cat((torch.ones(2, 3), torch.ones(1, 3))),
        lambda: torch.ones(4, 4).mT.clone(),
        lambda: torch.ones(4, 4).mT.clone(memory_format=torch.contiguous_format),
        lambda: torch.ones(4, 6).mT.split([2, 4]),
        lambda: torch.ones(4, 6)[1:, 2:].unbind(1),
        lambda: torch.tensor(2.0) * torch.ones(3),
        lambda: torch.ones(4, 6).mT.mul_(2),
        lambda: [torch.ones(3, dtype=torch.int64) * factor for factor in (2, 2.0, 2)],
    ],
)
def test_layouts_types_and_offsets(call):
    watched, alone = answers(call)
    assert watched == alone
    again, _ = answers(lambda: (call(), call())[1])
    assert again == alone


def test_numbers_that_the_mode_knows_stay_known():
    with FakeTensorMode(), fake.FakeWatch():
        assert (torch.tensor(2.0) * 3).item() == 6


def test_a_wrong_shape_is_an_error_as_on_real_tensors():
    with FakeTensorMode(), fake.FakeWatch():
        x = torch.ones(3, 4)
        x.add_(torch.ones(3, 4))
        with pytest.raises(RuntimeError):
            x.add_(torch.ones(5))


def test_real_tensors_pass():
    with fake.FakeWatch():
        assert (torch.ones(2) + 1).sum() == 4
