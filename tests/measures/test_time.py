"""Sampling on a clock that only moves when it is told to."""

import gc
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from linrec_bench.measures.device.accelerator import Accelerator
from linrec_bench.measures.device.failures import Uncapturable
from linrec_bench.measures.device.lookup import provide
from linrec_bench.measures.instruments.timing import attention_share, sample
from linrec_bench.tasks.workloads import Workload


class FakeClock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return FakeClock()


def workload(clock, durations, reset=lambda: None):
    """The n-th call takes the n-th of `durations`, and the last of them from then on."""
    remaining = list(durations)

    def call():
        clock.advance(remaining.pop(0) if len(remaining) > 1 else remaining[0])

    return Workload(call, torch.device("cpu"), minimum_bytes=0, reset=reset)


def run(clock, work, *, budget_s=10.0, min_samples=3, max_samples=20):
    return sample(work, budget_s=budget_s, min_samples=min_samples, max_samples=max_samples, clock=clock)


def test_the_first_call_and_the_warm_up_are_kept_apart(clock):
    samples = run(clock, workload(clock, [1.0, 0.5, 0.25, 0.25, 0.25, 0.125]), budget_s=20.0)
    assert samples.first_call_s == 1.0
    # Warm-up: 0.5, 0.25, then two calls that are no faster.
    assert samples.warm_up_calls == 5
    assert set(samples.seconds) == {0.125}
    assert samples.detail == "calls=1 warm_up=5 cache=warm"


def test_warm_up_ends_with_its_share_of_the_budget(clock):
    # Every call is faster than the one before, so that it is never steady.
    samples = run(clock, workload(clock, [1.5, 0.5, 0.4, 0.3, 0.2, 0.1]))
    assert samples.warm_up_calls == 2


def test_a_call_longer_than_the_budget_still_gives_the_fewest_samples(clock):
    samples = run(clock, workload(clock, [30.0]))
    assert samples.seconds == (30.0, 30.0, 30.0)
    assert samples.warm_up_calls == 1


def test_the_budget_and_the_largest_number_bound_the_samples(clock):
    assert len(run(clock, workload(clock, [0.5]), max_samples=5).seconds) == 5
    # 10 s after the first call: three of warm-up (the first sets the mark), seventeen samples.
    assert len(run(clock, workload(clock, [0.5]), max_samples=99).seconds) == 17


def test_a_long_first_call_takes_nothing_of_the_budget(clock):
    samples = run(clock, workload(clock, [100.0, 0.5]), max_samples=99)
    assert samples.first_call_s == 100.0
    assert len(samples.seconds) == 20


def test_every_raw_sample_is_kept(clock):
    durations = [1.0, 1.0, 1.0, 1.0, 9.0, 2.0, 1.0]
    samples = run(clock, workload(clock, durations), budget_s=0.0, min_samples=6, max_samples=6)
    assert samples.seconds == (1.0, 1.0, 1.0, 9.0, 2.0, 1.0)


def test_short_calls_are_taken_several_to_a_sample(clock):
    samples = run(clock, workload(clock, [2.0**-13]), budget_s=1.0, max_samples=4)
    # 1 ms / 122 us, rounded up.
    assert samples.calls_per_sample == 9
    assert samples.seconds == pytest.approx((2.0**-13,) * 4, rel=1e-9)


def test_resets_follow_every_call_outside_the_span(clock):
    calls_and_resets = []
    work = workload(clock, [1.0], reset=lambda: (clock.advance(5.0), calls_and_resets.append("reset")))
    inner = work.call
    work.call = lambda: (calls_and_resets.append("call"), inner())
    samples = run(clock, work)
    assert set(samples.seconds) == {1.0}
    assert calls_and_resets == ["call", "reset"] * (len(calls_and_resets) // 2)


def test_the_end_of_the_output_lies_outside_the_span(clock):
    class Output:
        def __del__(self):
            clock.advance(7.0)

    def call():
        clock.advance(1.0)
        return Output()

    samples = run(clock, Workload(call, torch.device("cpu"), minimum_bytes=0))
    assert set(samples.seconds) == {1.0}


def test_the_collector_is_off_while_sampling_and_back_on_after_a_failure(clock):
    def call():
        clock.advance(1.0)
        assert not gc.isenabled()
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        run(clock, Workload(call, torch.device("cpu"), minimum_bytes=0))
    assert gc.isenabled()


@pytest.mark.parametrize(("min_samples", "max_samples"), [(0, 5), (6, 5)])
def test_bad_numbers_of_samples(clock, min_samples, max_samples):
    with pytest.raises(ValueError, match="expected 1 <= min <= max"):
        run(clock, workload(clock, [1.0]), min_samples=min_samples, max_samples=max_samples)


class Events:
    """Marks of a device that begins a call when it is idle, and works for `seconds` on after it returned."""

    def __init__(self, clock, rates=(1980,)):
        self.clock, self.rates = clock, list(rates)
        self.idle_at, self.flushed, self.flush_s = clock.now, 0, 0.0

    def mark(self):
        return max(self.idle_at, self.clock.now)

    def seconds(self, start, end):
        self.clock.now = max(self.clock.now, end)
        return end - start

    def rate(self):
        return self.rates.pop(0) if len(self.rates) > 1 else self.rates[0]

    def queue(self, seconds):
        self.idle_at = self.mark() + seconds


class Queueing(Accelerator):
    """An accelerator of made-up events."""

    events: Events

    def stopwatch(self, clock):
        return self.events

    def flush(self):
        def flush():
            self.events.flushed += 1
            self.events.queue(self.events.flush_s)

        return flush

    @contextmanager
    def clock_rate(self):
        yield self.events.rate

    def captured(self, call, reset):
        call()
        reset()
        return lambda: self.events.queue(0.25)


@pytest.fixture
def events(clock, monkeypatch):
    found = Events(clock)
    monkeypatch.setattr(Queueing, "events", found, raising=False)
    provide("xpu", Queueing)
    yield found
    provide("xpu", Accelerator)


def on_device(clock, events, *, host_s, device_s):
    def call():
        clock.advance(host_s)
        events.queue(device_s)

    return Workload(call, torch.device("xpu"), minimum_bytes=0)


def test_a_device_that_works_on_has_times_of_its_own_and_of_the_host(clock, events):
    samples = run(clock, on_device(clock, events, host_s=2.0**-6, device_s=0.25))
    assert set(samples.seconds) == {0.25 + 2.0**-6}
    assert set(samples.host_seconds) == {2.0**-6}
    assert not samples.launch_bound
    assert events.flushed == len(samples.seconds) + samples.warm_up_calls


@pytest.mark.parametrize("flush_s", [0.0, 0.25])
def test_a_call_that_is_sooner_done_than_started_is_launch_bound(clock, events, flush_s):
    # A flush before it keeps the device busy while the host starts the call, and hides the launches.
    events.flush_s = flush_s
    samples = run(clock, on_device(clock, events, host_s=0.25, device_s=2.0**-6))
    assert set(samples.seconds) == {0.25 - flush_s + 2.0**-6}
    assert samples.launch_bound


def test_warm_up_lasts_its_least_time_and_until_the_clock_is_steady(clock, events):
    short = on_device(clock, events, host_s=0.0, device_s=2.0**-6)
    # A quarter of a second in calls of 1/64 s, whatever the budget.
    assert run(clock, short, budget_s=0.01).warm_up_calls == 1 + 16
    events.rates = [1000, 1200, 1500, 1800, 1980]
    assert run(clock, short, budget_s=10.0).warm_up_calls == 1 + 16 + 4


def test_a_recorded_call_is_replayed(clock, events):
    work = on_device(clock, events, host_s=3.0, device_s=0.5)
    samples = sample(work, budget_s=1.0, min_samples=3, max_samples=5, graph=True, clock=clock)
    assert set(samples.seconds) == {0.25}
    assert set(samples.host_seconds) == {0.0}
    assert samples.detail.endswith(" graph")


def test_a_cpu_has_no_graphs(clock):
    with pytest.raises(Uncapturable, match="a CPU has none"):
        sample(workload(clock, [1.0]), budget_s=1.0, min_samples=1, max_samples=1, graph=True, clock=clock)


class Slow(torch.autograd.Function):
    """Takes `forward_s` and `backward_s` on the clock."""

    @staticmethod
    def forward(ctx, x, clock, forward_s, backward_s):
        ctx.clock, ctx.backward_s = clock, backward_s
        clock.advance(forward_s)
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        ctx.clock.advance(ctx.backward_s)
        return grad, None, None, None


class SlowModule(nn.Module):
    def __init__(self, clock, forward_s, backward_s):
        super().__init__()
        self.arguments = clock, forward_s, backward_s

    def forward(self, x):
        return Slow.apply(x, *self.arguments)


def shares_of(clock, call, modules):
    work = Workload(call, torch.device("cpu"), minimum_bytes=0, attention_modules=modules)
    return attention_share(work, repeats=3, clock=clock)


def test_share_of_forward_and_backward(clock):
    mixer, rest = SlowModule(clock, 1.0, 2.0), SlowModule(clock, 3.0, 6.0)
    x = torch.ones(3, requires_grad=True)
    assert shares_of(clock, lambda: rest(mixer(rest(x))).sum().backward(), [mixer]) == [3 / 21] * 3


def test_share_over_several_layers_under_inference_mode(clock):
    first, second, rest = (SlowModule(clock, seconds, 0.0) for seconds in (1.0, 2.0, 5.0))
    call = torch.inference_mode()(lambda: second(rest(first(torch.ones(3)))))
    assert shares_of(clock, call, [first, second]) == [3 / 8] * 3


def test_share_leaves_no_hooks_behind(clock):
    module = SlowModule(clock, 1.0, 1.0)
    shares_of(clock, lambda: module(torch.ones(3)), [module])
    before = clock.now
    module(torch.ones(3))
    assert not module._forward_hooks
    assert not module._backward_hooks
    assert clock.now == before + 1.0


def test_no_share_without_attention_modules(clock):
    assert shares_of(clock, lambda: None, []) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_sampling_on_cuda(cache):
    device = torch.device("cuda")
    a = torch.randn(4096, 4096, device=device)
    work = Workload(lambda: a @ a, device, minimum_bytes=0)
    samples = sample(work, budget_s=0.5, min_samples=5, max_samples=20, cache=cache)
    assert f"cache={cache}" in samples.detail
    assert samples.calls_per_sample == 1
    # 137 GFLOP: no device does it in 50 us, and none takes 50 ms.
    assert all(5e-5 < seconds < 5e-2 for seconds in samples.seconds)
    linear = nn.Linear(4096, 4096, device=device)
    work = Workload(lambda: linear(a).sum().backward(), device, 0, attention_modules=[linear])
    a.requires_grad_()
    assert all(0.2 < share <= 1 for share in attention_share(work))
