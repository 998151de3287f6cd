"""Task decode: the step gives the last row of the whole, and the state's bytes are those of the mechanism."""

from __future__ import annotations

import pytest
import torch

from linrec_bench import attention
from linrec_bench.attention import contract
from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case
from linrec_bench.execution.worker import predict
from linrec_bench.tasks import core, decode

CAUSAL = [
    name for name, spec in attention.registry().items() if spec.causal and contract.unprobed(spec) is None
]


def case_of(name: str, *, seq_len: int = 50, causal: bool = True) -> Case:
    return Case(
        task="decode",
        phase="step",
        attention=name,
        seq_len=seq_len,
        batch_size=2,
        hidden_size=32,
        heads=2,
        causal=causal,
        dtype="float64",
    )


@pytest.mark.parametrize("name", CAUSAL)
def test_the_step_gives_the_last_row_of_the_whole_sequence(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "_TOKENS_AT_ONCE", 20)
    case = case_of(name)
    work = decode.build(case)
    q, k, v = core.random_tokens(case, 3)
    tensors = core.beside_tokens(case, attention.registry()[name])
    whole = attention.core(name, q, k, v, causal=True, **tensors)
    for _ in range(2):
        torch.testing.assert_close(work.call(), whole[:, :, -1:].detach())


def test_the_state_of_softmax_grows_with_the_history_and_that_of_linrec_does_not() -> None:
    found = {
        (name, length): decode.build(case_of(name, seq_len=length)).state_bytes
        for name in ("softmax", "linrec")
        for length in (10, 100)
    }
    # B 2, H 2, d 16, eight bytes: keys and values of the history, or d x d numbers a head.
    assert found == {
        ("softmax", 10): 2 * 9 * 2 * 2 * 16 * 8,
        ("softmax", 100): 2 * 99 * 2 * 2 * 16 * 8,
        ("linrec", 10): 2 * 2 * 16 * 16 * 8,
        ("linrec", 100): 2 * 2 * 16 * 16 * 8,
    }


def test_exact_counts_know_the_state_at_any_length() -> None:
    found = predict(case_of("softmax", seq_len=1 << 20))
    assert found is not None
    assert found.state_bytes == 2 * ((1 << 20) - 1) * 2 * 2 * 16 * 8
    # Two products with every key and value.
    assert found.flops == 2 * 2 * (1 << 20) * 2 * 2 * 16


def test_decoding_needs_causality() -> None:
    with pytest.raises(Unsupported, match="expected causal: true"):
        decode.build(case_of("linrec", causal=False))


def test_a_mechanism_without_a_step_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from linrec_bench.registry import Registry

    bare = replace(attention.registry()["linrec"], step=None)
    monkeypatch.setattr(attention, "registry", lambda: Registry("attention", [("linrec", bare)]))
    with pytest.raises(Unsupported, match="no init_state and step"):
        decode.build(case_of("linrec"))
