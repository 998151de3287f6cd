import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from linrec_bench.measures.instruments.memory import live_peaks
from linrec_bench.tasks.workloads import Workload
from linrec_bench.training import losses
from linrec_bench.training.losses import cross_entropy


def problem(*, positions=70, items=50, width=8, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(positions, width, generator=generator, dtype=dtype) * scale
    table = torch.randn(items + 1, width, generator=generator, dtype=dtype)
    targets = torch.randint(1, items + 1, (positions,), generator=generator)
    return hidden.requires_grad_(), table.requires_grad_(), targets


def plain(hidden, table, targets):
    """The same loss by torch's own function; padding is no class."""
    return F.cross_entropy(hidden @ table[1:].T, targets - 1)


@pytest.fixture(params=["one block", "blocks of positions", "parts of the catalogue"])
def block_bytes(request, monkeypatch):
    """Sizes of a block that ask for each way to cut 70 positions by 50 classes."""
    if request.param == "one block":
        return None
    monkeypatch.setattr(losses, "_LEAST_ROWS", 20)
    if request.param == "blocks of positions":
        return 20 * 50 * 8
    monkeypatch.setattr(losses, "_LEAST_COLUMNS", 16)
    monkeypatch.setattr(losses, "_ROWS_OF_PARTS", 30)
    return 1


def test_the_three_ways_to_cut(monkeypatch):
    assert losses.block_shape(70, 50, 2**20) == (2**20 // 50, 50)
    assert losses.block_shape(70, 50, 32 * 50) == (32, 50)
    assert losses.block_shape(4096, 10**6, 2**21) == (256, 8192)
    # A million positions and a million classes: neither way grows without bound.
    rows, columns = losses.block_shape(10**6, 10**6, 2**21)
    assert rows * columns < 2 * 2**21


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_loss_and_gradients_are_those_of_the_plain_form(block_bytes, scale):
    hidden, table, targets = problem(scale=scale)
    expected = plain(hidden, table, targets)
    loss = cross_entropy(hidden, table, targets, block_bytes=block_bytes)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    # A factor behind the loss has to reach both gradients.
    for found, wanted in zip(
        torch.autograd.grad(3 * loss, (hidden, table)),
        torch.autograd.grad(3 * expected, (hidden, table)),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-14)


def test_gradients_are_those_of_finite_differences():
    hidden, table, targets = problem(positions=5, items=6, width=3)
    assert torch.autograd.gradcheck(lambda h, e: cross_entropy(h, e, targets), (hidden, table))


def test_padding_is_never_a_class():
    hidden, table, targets = problem()
    loss = cross_entropy(hidden, table, targets)
    (gradient,) = torch.autograd.grad(loss, table)
    assert not gradient[0].any()
    with torch.no_grad():
        table[0] += 1000
    assert cross_entropy(hidden, table, targets) == loss


def test_low_precision_sums_in_float32(block_bytes):
    hidden, table, targets = problem(positions=300, items=40, dtype=torch.bfloat16)
    loss = cross_entropy(hidden, table, targets, block_bytes=block_bytes)
    assert loss.dtype == torch.float32
    exact = plain(hidden.double(), table.double(), targets)
    torch.testing.assert_close(loss.double(), exact, rtol=5e-3, atol=0)
    gradients = torch.autograd.grad(loss, (hidden, table))
    for found, wanted in zip(gradients, torch.autograd.grad(exact, (hidden, table)), strict=True):
        assert found.dtype == torch.bfloat16
        assert (found - wanted).norm() < 0.02 * wanted.norm()


def test_a_batch_without_targets_is_refused():
    hidden, table, _ = problem(positions=0)
    with pytest.raises(ValueError, match="no position has a target"):
        cross_entropy(hidden, table, torch.empty(0, dtype=torch.int64))


def test_the_logits_never_exist_whole():
    seen = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            seen.extend(leaf.nbytes for leaf in (out,) if isinstance(leaf, torch.Tensor))
            return out

    positions, items, width = 4096, 10_000, 4
    with FakeTensorMode():
        hidden = torch.empty(positions, width, requires_grad=True)
        table = torch.empty(items + 1, width, requires_grad=True)
        targets = torch.empty(positions, dtype=torch.int64)
        with Sizes():
            cross_entropy(hidden, table, targets, block_bytes=4 * 2**20).backward()
    assert max(seen) <= 4 * 2**20
    assert positions * items * 4 > 30 * max(seen)


@pytest.mark.slow
def test_a_million_items_never_meet_all_positions():
    positions, items, width = 1024, 1_000_000, 16
    with FakeTensorMode():
        hidden = torch.empty(positions, width, requires_grad=True)
        table = torch.empty(items + 1, width, requires_grad=True)
        targets = torch.empty(positions, dtype=torch.int64)
        workload = Workload(
            call=lambda: cross_entropy(hidden, table, targets).backward(),
            device=torch.device("cpu"),
            minimum_bytes=0,
        )
        peak, saved = (reading.value for reading in live_peaks(workload))
    gradients = (items + 1 + positions) * width * 4
    # The gradient is made in the forward pass and scaled in the backward pass: twice the table, and blocks.
    assert peak < 2 * gradients + 4 * losses.BLOCK_BYTES.cpu
    assert saved <= gradients
    assert peak < positions * items * 4 / 25
