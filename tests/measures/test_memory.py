"""Live bytes against hand-worked cases and against the profiler's allocator events."""

import contextlib
import gc
import itertools
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

from linrec_bench import allotment
from linrec_bench.measures.instruments import memory
from linrec_bench.measures.instruments.memory import LiveBytes, SavedBytes, live_peaks, process_peak
from linrec_bench.measures.instruments.operations import Watch, collector_paused
from linrec_bench.tasks.workloads import Workload

KIB = 1024
X = 4 * KIB
"""Bytes of the tensors below: 1024 numbers of 4 bytes."""

both_kinds = pytest.mark.parametrize("kind", [contextlib.nullcontext, FakeTensorMode], ids=["real", "fake"])


def x(**options):
    return torch.randn(32, 32, **options)


def live_of(call, *arguments):
    live = LiveBytes()
    with collector_paused(), Watch(live):
        result = call(*arguments)
    return live, result


def workload(call):
    return Workload(call, torch.device("cpu"), minimum_bytes=0)


@both_kinds
@pytest.mark.parametrize(
    ("call", "peak", "left"),
    [
        (lambda a: a * 2, X, X),
        # Three results; the first is dropped when the third begins to exist.
        (lambda a: (a * 2).exp().neg(), 2 * X, X),
        (lambda a: a.view(-1)[::2].unsqueeze(0), 0, 0),
        (lambda a: a.mul_(2), 0, 0),
        (lambda a: [(b := a * 2), b.view(-1), b.T, b[0]], X, X),
        # A view keeps the whole storage alive.
        (lambda a: (a * 2)[0, :1], X, X),
        (lambda a: (a * 2).resize_(64, 32), 2 * X, 2 * X),
        (lambda a: a + torch.tensor(1.5), X + 4, X),
        (lambda a: torch.empty(0).new_empty(32, 32).copy_(a), X, X),
        (lambda a: torch.add(a, 1, out=torch.empty(32, 32)), X, X),
        (lambda a: a.double().sum(), 2 * X + 8, 8),
    ],
)
def test_hand_worked_bytes(kind, call, peak, left):
    with kind():
        live, result = live_of(call, x())
        assert (live.peak, live.current) == (peak, left)
        # Tensors are followed to their end, also after leaving.
        del result
        assert live.current == 0


@both_kinds
def test_gradients_count_and_inputs_do_not(kind):
    with kind():
        a = x(requires_grad=True)
        live, _ = live_of(lambda: (a * a).sum().backward())
        assert live.current == X
        a.grad = None
        assert live.current == 0


@both_kinds
def test_bytes_of_a_composite_under_inference_mode(kind):
    # Scores and weights of N x N would be 4 * 256 * 256 bytes each; the kernel keeps o and a logarithm a row.
    with kind(), torch.inference_mode():
        q = torch.randn(1, 1, 256, 8)
        live, _ = live_of(F.scaled_dot_product_attention, q, q, q)
        assert live.peak == 4 * 256 * 8 + 4 * 256


def test_collector_is_paused_and_set_free_again():
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    with collector_paused():
        pass
    still_disabled = not gc.isenabled()
    gc.enable()
    assert still_disabled


SCALARS = 64
"""Bytes that kernels may take beside the tensors: Python numbers become tensors of 8 bytes on their way."""


def profiled_peak(call):
    """Highest running sum of the allocator's own events, those inside kernels included."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as recorded:
        result = call()
    del result
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(sizes))


@pytest.mark.parametrize("grad_mode", [contextlib.nullcontext, torch.inference_mode])
@pytest.mark.parametrize(
    "call",
    [
        lambda a: (a * 2).exp().sum(),
        lambda a: torch.softmax(a @ a.T, -1) @ a,
        lambda a: a.T.reshape(-1).cumsum(0),
        lambda a: F.gelu(F.linear(a, a)),
        lambda a: torch.where(a > 0, a, a.neg()),
        lambda a: F.layer_norm(F.elu(a) / a.norm(dim=-1, keepdim=True), (32,)),
        # The bias is written over the product, which has to be a copy here.
        lambda a: F.linear(a.view(2, 16, 32).transpose(0, 1), a, a[0]),
    ],
)
def test_the_profiler_sees_the_same_peak(call, grad_mode):
    with grad_mode():
        a = x()
        live, _ = live_of(call, a)
        assert live.peak <= profiled_peak(lambda: call(a)) <= live.peak + SCALARS


@pytest.mark.parametrize(
    "function",
    [
        lambda a: F.normalize(F.elu(a)).exp(),
        # The CPU has a kernel for these gradients; their formulas make several tensors.
        F.silu,
        F.mish,
        # Gradients are summed in place where nobody else holds them, and where Python does they are not.
        lambda a: (b := a.exp()) * b.sin() + b.cos() * b,
        lambda a: Added.apply(a.exp()).sin(),
        lambda a: F.linear(a.view(2, 16, 32).transpose(0, 1), a.detach(), a.detach()[0]),
    ],
)
def test_the_profiler_sees_the_same_peak_with_gradients(function):
    def call():
        a.grad = None
        function(a).sum().backward()

    a = x(requires_grad=True)
    live, _ = live_of(call)
    a.grad = None
    assert live.peak <= profiled_peak(call) <= live.peak + SCALARS
    with FakeTensorMode():
        a = x(requires_grad=True)
        assert live_of(call)[0].peak == live.peak


class Added(torch.autograd.Function):
    """A gradient whose sums hold on to both operands."""

    @staticmethod
    def forward(ctx, a):
        return a * 3

    @staticmethod
    def backward(ctx, grad):
        first, second = grad * 2, grad.exp()
        return (first + second) + (first * second)


@both_kinds
@pytest.mark.parametrize(
    ("call", "saved"),
    [
        # exp saves its result; mul of two inputs saves what exists anyway.
        (lambda a: a.exp().sum(), X),
        (lambda a: (a * a).sum(), 0),
        # One storage, saved by two operations.
        (lambda a: (lambda e: (e * e).sum())(a.exp()), X),
        (lambda a: a.exp().exp().sum(), 2 * X),
        # What is recomputed is not saved.
        (lambda a: checkpoint(lambda b: b.exp().exp(), a, use_reentrant=False).sum(), 0),
    ],
)
def test_hand_worked_saved_bytes(kind, call, saved):
    with kind():
        a = x(requires_grad=True)
        live = LiveBytes()
        held = SavedBytes(live)
        with collector_paused(), Watch(live), held.watching():
            call(a).backward()
        assert held.peak == saved
        assert held.current == 0


def test_watching_what_is_saved_does_not_change_the_peak():
    def call():
        a.grad = None
        (torch.softmax(a @ a.T, -1) @ a).exp().sum().backward()

    a = x(requires_grad=True)
    live, _ = live_of(call)
    assert live_peaks(workload(call))[0].value == live.peak


def test_peaks_on_a_cpu_have_their_names():
    readings = memory.peaks(workload(lambda: torch.ones(1024)))
    assert [(reading.measure, reading.unit) for reading in readings] == [
        ("peak_live_bytes", "B"),
        ("saved_bytes", "B"),
        ("peak_process_bytes", "B"),
    ]
    assert readings[0].value == 4 * 1024


def many_small():
    """64 MiB in pieces that the allocator keeps for itself when they are freed."""
    return [torch.ones(4 * KIB) for _ in range(4 * KIB)]


def test_process_peak_sees_what_was_touched_and_freed():
    pieces = many_small()
    above_them = torch.ones(4 * KIB)
    del pieces
    # Memory left over from before must not hide the growth.
    reading = process_peak(workload(many_small))
    del above_them
    size = 64 * KIB * KIB
    # The kernel keeps its count of pages in batches for each core.
    assert 0.95 * size < reading.value < 1.25 * size
    assert "VmHWM" in reading.detail


def test_process_peak_says_when_the_kernel_does_not_reset(monkeypatch):
    def refuse(self, text):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    reading = process_peak(workload(lambda: None))
    assert reading.value >= 0
    assert "ru_maxrss" in reading.detail
    assert "Permission denied" in reading.detail


def test_process_peak_without_proc_is_that_of_the_process(monkeypatch, tmp_path):
    def missing(self, text):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(allotment, "STATUS", tmp_path / "status")
    monkeypatch.setattr(Path, "write_text", missing)
    reading = process_peak(workload(lambda: None))
    assert 0 <= reading.value < 2**40
    assert reading.detail.endswith("no reset: No such file or directory")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peaks_on_cuda():
    device = torch.device("cuda")
    source = torch.ones(2**24, device=device)
    readings = memory.peaks(Workload(lambda: source * 2, device, minimum_bytes=0))
    allocated, reserved, driver = (reading.value for reading in readings)
    assert [reading.measure for reading in readings] == [
        "peak_allocated_bytes",
        "peak_reserved_bytes",
        "peak_driver_bytes",
    ]
    assert allocated == 2**26
    assert reserved >= allocated
    assert driver >= reserved
