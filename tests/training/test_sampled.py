import math

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from linrec_bench.measures.instruments.memory import live_peaks
from linrec_bench.tasks.workloads import Workload
from linrec_bench.training import sampled
from linrec_bench.training.negatives import by_popularity
from linrec_bench.training.sampled import binary_cross_entropy, sampled_softmax


def problem(*, positions=9, items=20, width=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(positions, width, generator=generator, dtype=dtype)
    table = torch.randn(items + 1, width, generator=generator, dtype=dtype)
    targets = torch.randint(1, items + 1, (positions,), generator=generator)
    return hidden.requires_grad_(), table.requires_grad_(), targets


def test_softmax_by_hand():
    hidden = torch.tensor([[1.0], [2.0]])
    table = torch.tensor([[9.0], [0.5], [-1.0], [0.0]])
    found = sampled_softmax(hidden, table, torch.tensor([1, 2]), torch.tensor([2, 3]))
    first = -math.log(math.exp(0.5) / (math.exp(0.5) + math.exp(-1) + 1))
    # The second position's target is among the negatives, and no negative of it.
    second = -math.log(math.exp(-2) / (math.exp(-2) + 1))
    assert float(found) == pytest.approx((first + second) / 2)


def test_the_correction_divides_each_negative_by_how_often_it_is_expected():
    hidden, table = torch.tensor([[1.0]]), torch.tensor([[0.0], [0.5], [-1.0], [0.2]])
    log_probability = torch.tensor([0.25, 0.75]).log()
    found = sampled_softmax(
        hidden, table, torch.tensor([1]), torch.tensor([2, 3]), log_probability=log_probability
    )
    total = math.exp(0.5) + math.exp(-1) / (2 * 0.25) + math.exp(0.2) / (2 * 0.75)
    assert float(found) == pytest.approx(math.log(total) - 0.5)


def test_corrected_loss_and_gradients_tend_to_those_of_the_whole_catalogue():
    hidden, table, targets = problem()
    counts = torch.arange(21).numpy() ** 2
    items = by_popularity(counts, torch.device("cpu"))
    negatives = items.draw((400_000,), torch.Generator().manual_seed(0))
    loss = sampled_softmax(
        hidden, table, targets, negatives, log_probability=items.log_probability(negatives)
    )
    full = F.cross_entropy(hidden @ table[1:].T, targets - 1)
    torch.testing.assert_close(loss, full, rtol=0.02, atol=0)
    for found, wanted in zip(
        torch.autograd.grad(loss, (hidden, table)),
        torch.autograd.grad(full, (hidden, table)),
        strict=True,
    ):
        assert (found - wanted).norm() < 0.03 * wanted.norm()
    plain = sampled_softmax(hidden, table, targets, negatives)
    assert not torch.isclose(plain, full, rtol=0.1)


def plain_binary(hidden, table, targets, negatives):
    """One position and one item at a time."""
    terms = []
    for state, target, others in zip(hidden, targets, negatives, strict=True):
        terms.append(-F.logsigmoid(state @ table[target]))
        terms += [
            -F.logsigmoid(-(state @ table[other])) if other != target else 0 * state.sum() for other in others
        ]
    return torch.stack(terms).mean()


@pytest.mark.parametrize("block_bytes", [1, 2**20])
@pytest.mark.parametrize("count", [1, 3])
def test_binary_loss_and_gradients_are_those_of_the_plain_form(monkeypatch, block_bytes, count):
    monkeypatch.setattr(sampled, "BLOCK_BYTES", block_bytes)
    hidden, table, targets = problem()
    negatives = torch.randint(1, 21, (9, count), generator=torch.Generator().manual_seed(1))
    negatives[2, 0] = targets[2]
    loss = binary_cross_entropy(hidden, table, targets, negatives)
    expected = plain_binary(hidden, table, targets, negatives)
    torch.testing.assert_close(loss, expected)
    for found, wanted in zip(
        torch.autograd.grad(2 * loss, (hidden, table)),
        torch.autograd.grad(2 * expected, (hidden, table)),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


def test_low_precision_sums_in_float32():
    hidden, table, targets = problem(positions=200, dtype=torch.bfloat16)
    negatives = torch.randint(1, 21, (200, 2), generator=torch.Generator().manual_seed(1))
    exact = binary_cross_entropy(hidden.double(), table.double(), targets, negatives)
    found = binary_cross_entropy(hidden, table, targets, negatives)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)
    shared = sampled_softmax(hidden, table, targets, negatives[:, 0])
    assert shared.dtype == torch.float32


def test_gathered_embeddings_never_exist_whole():
    positions, negatives, width = 4096, 100, 64
    with FakeTensorMode():
        hidden = torch.empty(positions, width, requires_grad=True)
        table = torch.empty(1001, width, requires_grad=True)
        targets = torch.empty(positions, dtype=torch.int64)
        others = torch.empty(positions, negatives, dtype=torch.int64)
        workload = Workload(
            call=lambda: binary_cross_entropy(hidden, table, targets, others).backward(),
            device=torch.device("cpu"),
            minimum_bytes=0,
        )
        peak = live_peaks(workload)[0].value
    assert peak < 4 * sampled.BLOCK_BYTES
    assert positions * (negatives + 1) * width * 4 > 3 * sampled.BLOCK_BYTES


def test_nothing_to_compare_is_refused():
    hidden, table, targets = problem()
    with pytest.raises(ValueError, match="0 negatives"):
        sampled_softmax(hidden, table, targets, targets[:0])
    with pytest.raises(ValueError, match="0 targets"):
        sampled_softmax(hidden[:0], table, targets[:0], targets)
    with pytest.raises(ValueError, match=r"shape \[9, 0\]"):
        binary_cross_entropy(hidden, table, targets, torch.empty(9, 0, dtype=torch.int64))
