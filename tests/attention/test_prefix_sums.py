"""Sums of what came before, against torch's own, at lengths with and without a ragged end."""

from __future__ import annotations

import pytest
import torch

from linrec_bench.attention import contract
from linrec_bench.attention.ops.prefix_sums import sums_before, sums_beyond


@pytest.mark.parametrize("rest", [(4,), (3, 2)])
@pytest.mark.parametrize("length", [1, 2, 8, 9, 17, 64, 100, 300, 1000])
def test_sums_and_gradients_are_those_of_a_cumulative_sum(length: int, rest: tuple[int, ...]) -> None:
    parts = contract.noise((2, 3, length, *rest), torch.float64, seed=1).requires_grad_()
    first = contract.noise((2, 3, *rest), torch.float64, seed=2).requires_grad_()
    slopes = [
        contract.noise(parts.shape, torch.float64, seed=3),
        contract.noise(first.shape, torch.float64, seed=4),
    ]
    whole = torch.cat((first.unsqueeze(2), parts), dim=2).cumsum(dim=2)
    plain = [whole[:, :, :-1], whole[:, :, -1]]
    found = sums_before(parts, first)
    for ours, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(ours, theirs)
    for ours, theirs in zip(
        torch.autograd.grad(found, (parts, first), slopes),
        torch.autograd.grad(plain, (parts, first), slopes),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("length", [1, 2, 8, 9, 17, 64, 100, 300, 1000])
def test_sums_with_a_part_of_its_own_are_those_without_and_the_part(length: int, backwards: bool) -> None:
    parts, first = (contract.noise((2, 3, *size, 4), torch.float64, seed=1) for size in ((length,), ()))
    sums, last = sums_beyond(parts, first, backwards=backwards, own=True)
    beyond, same = sums_beyond(parts, first, backwards=backwards)
    torch.testing.assert_close(sums, beyond + parts)
    torch.testing.assert_close(last, same)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_groups_sum_as_cumsum_does(monkeypatch: pytest.MonkeyPatch, backwards: bool, own: bool) -> None:
    """A compiler is given `cumsum`."""
    parts, first = contract.noise((2, 3, 70, 4), torch.float64, seed=1), torch.ones(2, 3, 4).double()
    grouped = sums_beyond(parts, first, backwards=backwards, own=own)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    plain = sums_beyond(parts, first, backwards=backwards, own=own)
    for found, expected in zip(grouped, plain, strict=True):
        torch.testing.assert_close(found, expected)
    plain[0].zero_()
    torch.testing.assert_close(plain[1], grouped[1], msg="two results, one memory")
