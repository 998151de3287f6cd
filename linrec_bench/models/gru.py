"""The recurrence of `torch.nn.GRU` as one operation, forward and backward: one of a count, however long.

torch has a kernel for all steps on accelerators and none on the CPU, where it runs some twenty operations a
step and keeps their results. Here the steps hold only what has to follow one another. With hidden gates
(a_r, a_z, q) = U h_{t-1} + c and input gates (x_r, x_z, x_n) = W x_t + b

    r = sigmoid(x_r + a_r),   z = sigmoid(x_z + a_z),   n = tanh(x_n + r q),   h_t = n + z (h_{t-1} - n)

r, z, q, n are kept. The gradient g_t of h_t reaches the hidden gates by factors that do not depend on it, so
that they are computed for all steps at once:

    f_n = (1 - z) (1 - n^2),  f_r = f_n q r (1 - r),  f_z = (h_{t-1} - n) z (1 - z),  f_q = f_n r
    d_t = (g_t f_r, g_t f_z, g_t f_q),   g_{t-1} = dL/dh_{t-1} + g_t z + d_t U

Both operations have a workspace of one step: everything that grows with N is a tensor outside.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

from linrec_bench.attention.ops.autograd import Context
from linrec_bench.models.dropout import Dropout


def units(
    given: nn.GRU,
    dropout: Dropout,
    inputs: Float[Tensor, "B N D"],
    hidden: Float[Tensor, "L B D"] | None = None,
) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "L B D"]]:
    """What `given(inputs, hidden)` returns, states and the last ones of each layer, of a `batch_first` GRU in
    one direction. Between its layers stands `dropout`, on an accelerator the GRU's own, of the same share."""
    if not inputs.is_cpu:
        states, last = given(inputs, hidden)
        return states, last
    if hidden is None:
        hidden = inputs.new_zeros(given.num_layers, len(inputs), given.hidden_size)
    ends = []
    for layer, (before, weights) in enumerate(zip(hidden.unbind(), given.all_weights, strict=True)):
        own, recurrent, bias, recurrent_bias = weights
        gates = F.linear(dropout(inputs) if layer else inputs, own, bias)
        # Autocast makes the product narrower than the weights.
        follow = [each.to(gates.dtype) for each in (before, recurrent, recurrent_bias)]
        keep = torch.is_grad_enabled() and any(each.requires_grad for each in (gates, *follow))
        inputs = gru_states(gates, *follow, keep)[0]
        ends.append(inputs[:, -1])
    return inputs, torch.stack(ends)


@torch.library.custom_op("linrec_bench::gru_states", mutates_args=())
def gru_states(
    gates: Tensor, before: Tensor, weight: Tensor, bias: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    """States [B, N, D], and r, z, q, n side by side [B, N, 4 D], the latter with N = 1 unless `keep`.

    `gates` [B, N, 3 D] are the input gates, `before` [B, D] the state before the first step, `weight`
    [3 D, D] and `bias` [3 D] those of the hidden gates.
    """
    states, kept = _results(gates, before, weight, bias, keep)
    size = before.shape[1]
    turned = weight.t()
    places = kept.unbind(1) if keep else kept.unbind(1) * gates.shape[1]
    for given, place, state in zip(gates.unbind(1), places, states.unbind(1), strict=True):
        both = place[:, : 2 * size]
        n = place[:, 3 * size :]
        torch.addmm(bias, before, turned, out=place[:, : 3 * size])
        both.add_(given[:, : 2 * size]).sigmoid_()
        torch.addcmul(given[:, 2 * size :], place[:, :size], place[:, 2 * size : 3 * size], out=n).tanh_()
        before = torch.lerp(n, before, place[:, size : 2 * size], out=state)
    return states, kept


@gru_states.register_fake
def _results(
    gates: Tensor, before: Tensor, weight: Tensor, bias: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    del weight, bias
    batch, length, _ = gates.shape
    size = before.shape[1]
    return gates.new_empty(batch, length, size), gates.new_empty(batch, length if keep else 1, 4 * size)


@torch.library.custom_op("linrec_bench::gru_gradients", mutates_args=())
def gru_gradients(
    grad: Tensor, factors: Tensor, update: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """g [B, N, D] and d [B, N, 3 D] of every step, and the gradient [B, D] of the state before the first.

    `grad` [B, N, D] is dL/dh_t of the states as results, `factors` [B, N, 3 D] are f_r, f_z, f_q, and
    `update` [B, N, D] is z.
    """
    g, d, carried = _gradients(grad, factors, update, weight)
    carried.zero_()
    steps = (each.unbind(1)[::-1] for each in (grad, factors.unflatten(2, (3, -1)), update, g, d))
    for own, factor, z, total, gate in zip(*steps, strict=True):
        torch.add(own, carried, out=total)
        torch.mul(total.unsqueeze(1), factor, out=gate.unflatten(1, (3, -1)))
        torch.addmm(torch.mul(total, z, out=carried), gate, weight, out=carried)
    return g, d, carried


@gru_gradients.register_fake
def _gradients(
    grad: Tensor, factors: Tensor, update: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    del update, weight
    batch, length, size = grad.shape
    new = grad.new_empty
    return new(batch, length, size), factors.new_empty(batch, length, 3 * size), new(batch, size)


def _keep(
    ctx: Context,
    inputs: tuple[Tensor, Tensor, Tensor, Tensor, bool],
    output: tuple[Tensor, Tensor],
) -> None:
    _, before, weight, _, _ = inputs
    ctx.save_for_backward(before, weight, *output)
    ctx.set_materialize_grads(False)


def _backward(ctx: Context, grad: Tensor | None, _kept: Tensor | None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return None, None, None, None, None
    before, weight, states, kept = ctx.saved_tensors
    r, z, q, n = kept.chunk(4, dim=2)
    earlier = torch.cat([before.unsqueeze(1), states[:, :-1]], dim=1)
    f_n = (1 - z) * (1 - n * n)
    factors = torch.cat([f_n * q * r * (1 - r), (earlier - n) * z * (1 - z), f_n * r], dim=2)
    g, d, first = gru_gradients(grad, factors, z, weight)
    flat = d.flatten(0, 1)
    gates = torch.cat([d[..., : 2 * weight.shape[1]], g * f_n], dim=2)
    return gates, first, flat.t() @ earlier.flatten(0, 1), flat.sum(0), None


gru_states.register_autograd(_backward, setup_context=_keep)


@register_flop_formula(torch.ops.linrec_bench.gru_states)
def _flops(gates: torch.Size, before: torch.Size, *_: object, **__: object) -> int:
    """U h_{t-1} of every step; the products with x_t and the gradient of U are operations of their own."""
    return 2 * gates[0] * gates[1] * gates[2] * before[1]


@register_flop_formula(torch.ops.linrec_bench.gru_gradients)
def _flops_of_gradients(grad: torch.Size, factors: torch.Size, *_: object, **__: object) -> int:
    """d_t U of every step."""
    return 2 * grad[0] * grad[1] * grad[2] * factors[2]
