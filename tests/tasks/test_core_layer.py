"""Workloads of the tasks core and layer, around a mechanism made for the test."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from linrec_bench import attention
from linrec_bench.attention import Spec, Unsupported
from linrec_bench.case import Case, freeze
from linrec_bench.measures.instruments.memory import LiveBytes
from linrec_bench.measures.instruments.operations import Watch
from linrec_bench.tasks import core, layer

BUILDERS = {"core": core.build, "layer": layer.build}


class Recorder:
    """A mechanism o = scale * q * k + v that remembers how it was called."""

    def __init__(self):
        self.calls = []

    def core(self, q, k, v, *, padding_mask=None, causal: bool = False, scale: float = 1.0):
        self.calls.append((q, k, v, padding_mask, causal, torch.is_inference_mode_enabled()))
        return scale * q * k + v


@pytest.fixture
def recorder(monkeypatch):
    recorder = Recorder()
    spec = Spec(
        name="recorder",
        title="",
        paper="",
        formula="",
        source="",
        deviations=(),
        core=recorder.core,
        reference=recorder.core,
        causal=False,
    )
    attention.register(spec)
    yield recorder
    attention.unload_plugins()


def case(task="core", phase="forward", **options):
    return Case(
        task=task,
        phase=phase,
        attention="recorder",
        **({"seq_len": 6, "batch_size": 2, "hidden_size": 8, "heads": 2} | options),
    )


both_tasks = pytest.mark.parametrize("task", ["core", "layer"])


@both_tasks
def test_forward_runs_under_inference_mode_on_random_input(recorder, task):
    output = BUILDERS[task](case(task)).call()
    assert output.shape == ((2, 2, 6, 4) if task == "core" else (2, 6, 8))
    ((q, k, v, padding_mask, causal, inference),) = recorder.calls
    assert q.shape == (2, 2, 6, 4)
    assert all(tensor.std() > 0.1 for tensor in (q, k, v))
    assert not torch.equal(q, k)
    assert padding_mask is None
    assert not causal
    assert inference


@both_tasks
def test_the_seed_decides_the_input(recorder, task):
    build = BUILDERS[task]
    same, again, other = (build(case(task, seed=seed)).call() for seed in (1, 1, 2))
    assert torch.equal(same, again)
    assert not torch.equal(same, other)


def test_core_gradients_and_their_reset(recorder):
    workload = core.build(case(phase="forward_backward"))
    workload.call()
    q, k, v, *_ = recorder.calls[0]
    # With o = q k + v, dv is the gradient that was sent in: random, fixed, and not all ones.
    sent = v.grad.clone()
    assert sent.std() > 0.1
    torch.testing.assert_close(q.grad, sent * k)
    torch.testing.assert_close(k.grad, sent * q)
    workload.reset()
    assert q.grad is k.grad is v.grad is None
    workload.call()
    _, _, other, *_ = recorder.calls[1]
    assert torch.equal(other.grad, sent)
    assert not torch.equal(other, v)


def test_layer_gradients_and_their_reset(recorder):
    workload = layer.build(case("layer", "forward_backward"))
    (mixer,) = workload.attention_modules
    assert mixer.spec.name == "recorder"
    live = LiveBytes()
    with Watch(live):
        workload.call()
        recorder.calls.clear()
    # Left over are the gradients of x and of every weight, and a reset drops them all.
    assert live.current == (2 * 6 * 8 + 8 * 24 + 24 + 8 * 8 + 8) * 4
    workload.reset()
    assert live.current == 0


def test_minimum_bytes(recorder):
    tensor = 2 * 6 * 8 * 4
    weights = (8 * 24 + 24 + 8 * 8 + 8) * 4
    assert core.build(case()).minimum_bytes == 4 * tensor
    assert core.build(case(phase="forward_backward")).minimum_bytes == 11 * tensor
    assert layer.build(case("layer")).minimum_bytes == 2 * tensor + weights
    assert layer.build(case("layer", "forward_backward")).minimum_bytes == 5 * tensor + 3 * weights
    assert core.build(case(dtype="bfloat16")).minimum_bytes == 2 * tensor


@both_tasks
def test_dtype_and_parameters_reach_the_mechanism(recorder, task):
    workload = BUILDERS[task](case(task, dtype="float64", attention_params=freeze({"scale": 0.0})))
    assert workload.call().dtype == torch.float64
    assert recorder.calls[0][0].dtype == torch.float64
    assert torch.get_default_dtype() == torch.float32


@both_tasks
def test_bad_parameters_and_directions_fail_when_built(recorder, task):
    with pytest.raises(ValueError, match="no parameter 'scal'"):
        BUILDERS[task](case(task, attention_params=freeze({"scal": 1.0})))
    with pytest.raises(Unsupported, match="no causal form"):
        BUILDERS[task](case(task, causal=True))
    assert torch.get_default_dtype() == torch.float32
    assert not recorder.calls


@both_tasks
@pytest.mark.parametrize("phase", ["forward", "forward_backward"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_runs_on_fake_tensors_of_any_size(recorder, task, phase, dtype):
    with FakeTensorMode():
        workload = BUILDERS[task](case(task, phase, seq_len=2**24, dtype=dtype))
        output = workload.call()
        assert output.shape[-2] == 2**24
        workload.reset()


@pytest.mark.slow
@both_tasks
@pytest.mark.parametrize("phase", ["forward", "forward_backward"])
def test_no_call_has_the_numbers_or_the_memory_of_another(recorder, task, phase):
    workload = BUILDERS[task](case(task, phase))
    # More calls than the store of a window has moves.
    calls = 2100
    for _ in range(calls):
        workload.call()
        workload.reset()
    tokens = [(q, k, v) for q, k, v, *_ in recorder.calls]
    assert len({tuple(x.detach().numpy().tobytes() for x in qkv) for qkv in tokens}) == calls
    if task == "core":
        assert len({q.data_ptr() for q, *_ in tokens}) == calls


def test_the_oracle_can_show_the_last_inputs_again(recorder):
    workload = core.build(case(phase="forward_backward"))
    workload.call()
    workload.reset()
    workload.oracle.again()
    workload.call()
    (q, k, v, *_), (same_q, same_k, same_v, *_) = recorder.calls
    assert (q is same_q, k is same_k, v is same_v) == (True, True, True)
