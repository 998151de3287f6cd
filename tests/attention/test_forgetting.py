"""Forgetting attention: between softmax attention and one that forgets all at once."""

from math import exp, log

import torch

from linrec_bench.attention import contract, core, make_layer, registry


def test_gates_that_forget_nothing_leave_softmax_attention():
    q, k, v = contract.inputs(9)
    mask = torch.arange(9)[None] >= 2
    open_gates = torch.zeros_like(q[..., :1])
    for padding_mask in (None, mask.expand(len(q), -1)):
        out = core("forgetting", q, k, v, padding_mask=padding_mask, causal=True, log_forget=open_gates)
        torch.testing.assert_close(out, core("softmax", q, k, v, padding_mask=padding_mask, causal=True))


def test_closed_gates_leave_each_token_itself():
    q, k, v = contract.inputs(9)
    closed = torch.full_like(q[..., :1], -1e4)
    torch.testing.assert_close(core("forgetting", q, k, v, causal=True, log_forget=closed), v)


def test_two_tokens_by_hand():
    """The second sees the first through its own gate, 1/4, and not through that of the first."""
    q = torch.tensor([[1.0], [2.0]], dtype=torch.float64)[None, None]
    k = torch.tensor([[1.0], [3.0]], dtype=torch.float64)[None, None]
    v = torch.tensor([[10.0], [20.0]], dtype=torch.float64)[None, None]
    gates = torch.tensor([[log(0.01)], [log(0.25)]], dtype=torch.float64)[None, None]
    out = core("forgetting", q, k, v, causal=True, log_forget=gates).flatten()
    first, second = 0.25 * exp(2 * 1), exp(2 * 3)
    expected = torch.tensor([10.0, (10 * first + 20 * second) / (first + second)], dtype=torch.float64)
    torch.testing.assert_close(out, expected)


def test_a_layer_has_a_gate_for_each_token_and_head():
    layer = make_layer("forgetting", 8, 2, causal=True, seq_len=5).double()
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    made = registry()["forgetting"].gate_module(8, 2).double()
    gates = made(x)["log_forget"]
    assert gates.shape == (3, 2, 5, 1)
    expected = torch.sigmoid(x @ made.to_gates.weight[1] + made.to_gates.bias[1])
    torch.testing.assert_close(gates[:, 1, :, 0].exp(), expected)
    assert layer(x).shape == x.shape
