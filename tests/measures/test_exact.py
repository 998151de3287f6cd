"""Counts on fake tensors are those of the same program on real ones, and no size is too large."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from linrec_bench import attention
from linrec_bench.attention import contract
from linrec_bench.case import Case
from linrec_bench.measures.instruments.exact import TooLong, count, exact, tally
from linrec_bench.tasks import core, layer
from linrec_bench.tasks.workloads import Workload

B, H, d = 2, 2, 8
BUILDERS = {"core": core.build, "layer": layer.build}


def softmax(q, k, v):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v


def kernel(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def kernel_with_padding(q, k, v):
    mask = torch.ones(q.shape[0], 1, 1, q.shape[2], dtype=torch.bool)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def linear(q, k, v):
    q, k = F.elu(q) + 1, F.elu(k) + 1
    return q @ (k.mT @ v) / (q @ k.sum(-2, keepdim=True).mT)


def normalised(q, k, v):
    # The gradient of elu arrives transposed here, and its layout decides over a copy.
    q, k = F.elu(q), F.elu(k)
    return F.normalize(q, dim=-1) @ (F.normalize(k, dim=-2).mT @ v)


def softplus(q, k, v):
    return F.softplus(q) @ (F.softplus(k).mT @ v)


def silu(q, k, v):
    # The incoming gradient is transposed, and the kernel lays its result out likewise.
    return (F.silu(q.mT @ k) @ F.mish(v.mT)).mT


def used_often(q, k, v):
    return q.exp() * k + (weights := torch.softmax(q @ k.mT, -1)) @ v + weights.cumsum(-1) @ (v * q)


def chunked(q, k, v):
    state, outputs = 0, []
    for q_c, k_c, v_c in zip(*(tensor.split(16, dim=2) for tensor in (q, k, v)), strict=True):
        outputs.append(q_c @ state + (q_c @ k_c.mT).tril() @ v_c if outputs else (q_c @ k_c.mT).tril() @ v_c)
        state = state + k_c.mT @ v_c
    return torch.cat(outputs, dim=2)


class RecomputedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp().sum(-2, keepdim=True).expand_as(x).clone()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return x.exp() * grad.sum(-2, keepdim=True)


def own_gradient(q, k, v):
    return RecomputedSum.apply(q) * k + v


PROGRAMS = [
    softmax,
    kernel,
    kernel_with_padding,
    linear,
    normalised,
    softplus,
    silu,
    used_often,
    chunked,
    own_gradient,
]


def workload_of(program, *, phase, seq_len, dtype=torch.float32):
    def build():
        shape = (B, H, seq_len, d)
        needs_grad = phase == "forward_backward"
        q, k, v = (torch.randn(shape, dtype=dtype, requires_grad=needs_grad) for _ in range(3))
        grad = torch.randn(shape, dtype=dtype)

        def call():
            if needs_grad:
                return program(q, k, v).backward(grad)
            with torch.inference_mode():
                return program(q, k, v)

        return Workload(call, torch.device("cpu"), minimum_bytes=7)

    return build


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("phase", ["forward", "forward_backward"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_fake_counts_are_the_real_ones(program, phase, dtype):
    build = workload_of(program, phase=phase, seq_len=48, dtype=dtype)
    fake, real = count(build), tally(build())
    if dtype is torch.bfloat16:
        # The fake sum of a broadcast and a transposed bfloat16 tensor is laid out unlike the real one, and
        # a copy made for the layout alone is missing; its bytes are gone before the peak.
        fake = replace(fake, elements=real.elements, dispatches=real.dispatches)
    assert fake == real
    assert fake.peak_live_bytes > 0
    assert (fake.saved_bytes > 0) == (phase == "forward_backward")


def test_fake_counts_of_a_training_step_are_the_real_ones():
    def build():
        embedding, block = nn.Embedding(20, 16), nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        weights = [*embedding.parameters(), *block.parameters()]
        optimizer = torch.optim.Adam(weights)
        items = torch.randint(20, (3, 10))

        def step():
            scores = block(embedding(items)) @ embedding.weight.T
            F.cross_entropy(scores.flatten(0, 1), items.flatten()).backward()
            optimizer.step()
            optimizer.zero_grad()

        return Workload(step, torch.device("cpu"), minimum_bytes=0)

    assert count(build) == tally(build())


@pytest.mark.parametrize("phase", ["forward", "forward_backward"])
def test_the_attention_kernel_is_linear_in_memory_and_quadratic_in_work(phase):
    short, long = (count(workload_of(kernel, phase=phase, seq_len=n)) for n in (2**19, 2**20))
    assert long.peak_live_bytes == 2 * short.peak_live_bytes
    assert long.saved_bytes == 2 * short.saved_bytes
    assert long.flops == 4 * short.flops == (14 if phase == "forward_backward" else 4) * B * H * 2**40 * d


def test_the_materialised_formula_is_quadratic_at_a_length_that_no_machine_holds():
    counted = count(workload_of(softmax, phase="forward", seq_len=2**20))
    assert counted.peak_live_bytes >= 2 * B * H * 2**40 * 4


def test_counts_repeat():
    build = workload_of(normalised, phase="forward_backward", seq_len=64)
    assert len({count(build) for _ in range(20)}) == 1


def mechanisms():
    return [
        pytest.param(name, causal, id=f"{name}-{'causal' if causal else 'bidirectional'}")
        for name, spec in attention.registry().items()
        for causal in (False, True)
        if (spec.causal if causal else spec.bidirectional) and contract.unprobed(spec) is None
    ]


# One block, of the strided views that a layer makes, and three, the last of them ragged.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "seq_len", "phase"),
    [
        ("layer", 80, "forward_backward"),
        ("core", 2 * 512 + 87, "forward_backward"),
    ],
)
@pytest.mark.parametrize(("name", "causal"), mechanisms())
def test_every_mechanism_counts_the_same_on_real_tensors(name, causal, phase, task, seq_len):
    case = Case(
        task=task,
        phase=phase,
        attention=name,
        causal=causal,
        seq_len=seq_len,
        batch_size=B,
        hidden_size=16,
        heads=H,
    )
    assert exact(case, BUILDERS[task]) == tally(BUILDERS[task](case))


def test_a_case_for_cuda_is_counted_without_one():
    case = Case(task="core", phase="forward_backward", attention="copy", seq_len=2**20, device="cuda")
    on_cpu = Case(task="core", phase="forward_backward", attention="copy", seq_len=2**20)
    assert exact(case, core.build) == exact(on_cpu, core.build)


def test_a_count_that_takes_too_long_ends_with_what_it_saw():
    with pytest.raises(TooLong, match=r"after 0 s and 1 operations"):
        count(workload_of(chunked, phase="forward", seq_len=48), limit_s=0.0)
