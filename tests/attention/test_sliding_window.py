"""The sliding window against softmax with a band of weights, at every edge that blocks have."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from linrec_bench.attention import Unsupported, contract
from linrec_bench.attention.mechanisms import sliding_window as window_attention
from linrec_bench.attention.mechanisms import softmax
from linrec_bench.attention.mechanisms.sliding_window import SPEC

WINDOWS = (1, 2, 5, 36, 37, 128)


def banded(q: Tensor, k: Tensor, v: Tensor, window: int, *, causal: bool) -> Tensor:
    """Each token over a slice of the tokens around it."""
    outputs = []
    for i in range(q.shape[2]):
        seen = slice(max(0, i - window + 1), i + 1 if causal else i + window)
        scores = q[:, :, i : i + 1] @ k[:, :, seen].mT / q.shape[-1] ** 0.5
        outputs.append(scores.softmax(dim=-1) @ v[:, :, seen])
    return torch.cat(outputs, dim=2)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("length", [1, 4, 5, 9, 10, 11, 37])
def test_equals_softmax_over_the_window(length: int, window: int, causal: bool) -> None:
    q, k, v = contract.inputs(length)
    out = window_attention.core(q, k, v, window=window, causal=causal)
    torch.testing.assert_close(out, banded(q, k, v, window, causal=causal))


@pytest.mark.parametrize("causal", [False, True])
def test_windows_count_real_tokens(causal: bool) -> None:
    q, k, v = contract.inputs(37)
    mask = torch.arange(37) % 3 != 1
    both = torch.stack((mask, mask.roll(5)))
    out = window_attention.core(q, k, v, window=4, causal=causal, padding_mask=both)
    for row in range(2):
        alone = [x[row : row + 1, :, both[row]] for x in (q, k, v)]
        torch.testing.assert_close(out[row : row + 1, :, both[row]], banded(*alone, window=4, causal=causal))


@pytest.mark.parametrize("causal", [False, True])
def test_a_window_over_everything_is_softmax(causal: bool) -> None:
    q, k, v = contract.inputs(37)
    out = window_attention.core(q, k, v, window=37, causal=causal)
    torch.testing.assert_close(out, softmax.core(q, k, v, causal=causal))


@pytest.mark.slow
@pytest.mark.parametrize("check", contract.CHECKS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [1, 5, 16])
def test_the_contract_holds_with_windows_shorter_than_the_input(
    window: int, causal: bool, check: str
) -> None:
    if window == 1 and check == "permutation":
        pytest.skip("a token that sees itself alone does not depend on the order")
    assert contract.CHECKS[check](SPEC, causal=causal, params={"window": window}) is None


@pytest.mark.parametrize("sizes", [[1] * 23, [7, 1, 1, 9, 5], [23]])
def test_the_ring_keeps_the_last_keys_in_their_places(sizes: list[int]) -> None:
    _, k, v = contract.inputs(23)
    state = window_attention.init_state(k, window=5)
    done = 0
    for size in sizes:
        state = window_attention.remember(state, k[:, :, done : done + size], v[:, :, done : done + size])
        done += size
    keys, values, count = state
    # Event t is at place t mod 5: 20, 21, 22, 18, 19.
    assert count == 23
    torch.testing.assert_close(keys, k[:, :, [20, 21, 22, 18, 19]])
    torch.testing.assert_close(values, v[:, :, [20, 21, 22, 18, 19]])


def test_the_state_does_not_grow() -> None:
    q, k, v = contract.inputs(37)
    state = window_attention.init_state(q, window=4)
    sizes = set()
    for t in range(37):
        state, _ = window_attention.step(state, *(x[:, :, t : t + 1] for x in (q, k, v)))
        sizes.add(sum(x.nbytes for x in state))
    assert sizes == {2 * 2 * 3 * 4 * 8 * 8 + 8}


@pytest.mark.parametrize("causal", [False, True])
def test_a_window_of_nothing_is_refused(causal: bool) -> None:
    with pytest.raises(Unsupported, match="window is 0; expected at least 1 token"):
        window_attention.core(*contract.inputs(5), window=0, causal=causal)
