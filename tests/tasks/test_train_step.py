import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from linrec_bench.case import Case
from linrec_bench.registry import UnknownName
from linrec_bench.settings import TrainingSettings
from linrec_bench.tasks.workloads import training_step as train_step
from linrec_bench.training.optimizer import make_optimizer

train_by = TrainingSettings.from_mapping


def case(**fields) -> Case:
    defaults = {
        "task": "train_step",
        "phase": "step",
        "attention": "softmax",
        "model": "sasrec",
        "seq_len": 8,
        "batch_size": 3,
        "hidden_size": 16,
        "heads": 2,
        "layers": 2,
        "causal": True,
        "training": train_by({"catalogue_size": 50}),
    }
    return Case(**{**defaults, **fields})


@pytest.mark.parametrize("causal", [True, False])
def test_every_call_is_a_step_that_lowers_the_loss(causal):
    workload = train_step.build(
        case(
            causal=causal,
            training=train_by({"catalogue_size": 50, "learning_rate": 0.01}),
        )
    )
    losses = []
    for _ in range(30):
        losses.append(float(workload.call()))
        workload.reset()
    # The batch stays the same, so it is learnt by heart.
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "training"),
    [
        ({}, {"loss": "sampled_softmax", "negatives": 20}),
        ({}, {"loss": "sampled_softmax", "negative_sampling": "popularity"}),
        ({}, {"loss": "bce", "negatives": 3}),
        ({"model": "bert4rec", "causal": False}, {}),
        ({"model": "bert4rec", "causal": False}, {"objective": "last_position"}),
        ({"attention": "hstu"}, {}),
    ],
    ids=["sampled", "popularity", "bce", "cloze", "appended mask", "timestamps"],
)
def test_every_objective_and_loss_is_a_step_on_real_and_fake_tensors(fields, training):
    given = case(
        **fields,
        training=train_by({"catalogue_size": 50, "learning_rate": 0.02, **training}),
    )
    workload = train_step.build(given)
    losses = []
    for _ in range(40):
        losses.append(float(workload.call()))
        workload.reset()
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    with FakeTensorMode():
        train_step.build(given).call()


def test_a_cloze_predicts_the_share_that_a_training_hides():
    def predicted(**training) -> int:
        workload = train_step.build(
            case(
                model="bert4rec",
                causal=False,
                seq_len=20,
                training=train_by({"catalogue_size": 50, **training}),
            )
        )
        return workload.minimum_bytes

    # Items alike, three rows of 20: a fifth of the positions has a target, or every one of two.
    assert predicted(mask_share=0.5) - predicted() == 3 * (10 - 4) * 8


def test_reset_drops_the_gradients(monkeypatch):
    made = []

    def remembered(model, settings):
        made.append(model)
        return make_optimizer(model, settings)

    monkeypatch.setattr(train_step, "make_optimizer", remembered)
    workload = train_step.build(case())
    (model,) = made
    assert all(weight.grad is None for weight in model.parameters())
    workload.call()
    assert all(weight.grad is not None for weight in model.parameters())
    workload.reset()
    assert all(weight.grad is None for weight in model.parameters())


def test_the_mixers_of_all_layers_are_told():
    assert len(train_step.build(case(layers=3)).attention_modules) == 3


def test_minimum_bytes_are_weights_gradients_and_moments_both_ways_and_the_items():
    workload = train_step.build(case(layers=1))
    width, inner, items, positions = 16, 16, 51, 8
    attention = 4 * (width * width + width)
    feed_forward = 2 * width * inner + inner + width
    weights = (items + positions) * width + attention + feed_forward + 3 * 2 * width
    assert workload.minimum_bytes == 8 * 4 * weights + 2 * 3 * 8 * 8


def test_the_seed_decides_the_step():
    losses = [float(train_step.build(case(seed=seed)).call()) for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_the_data_type_is_that_of_the_case():
    workload = train_step.build(case(dtype="bfloat16"))
    (mixer, *_) = workload.attention_modules
    seen = []
    mixer.register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    workload.call()
    assert seen == [torch.bfloat16]
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("causal", [True, False])
def test_runs_on_fake_tensors(causal):
    with FakeTensorMode():
        # Real tensors of this size would need 4 GiB for the batch's logits alone.
        large = case(
            batch_size=4,
            seq_len=256,
            hidden_size=64,
            causal=causal,
            training=train_by({"catalogue_size": 1_000_000}),
        )
        workload = train_step.build(large)
        workload.call()
        workload.reset()


def test_a_bidirectional_model_under_all_positions_is_refused():
    training = TrainingSettings(objective="all_positions")
    with pytest.raises(ValueError, match="needs causal: true"):
        train_step.build(case(causal=False, training=training))


def test_unknown_models_are_refused():
    with pytest.raises(UnknownName, match="sasrek"):
        train_step.build(case(model="sasrek"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_runs_on_cuda():
    workload = train_step.build(case(device="cuda"))
    first = float(workload.call())
    workload.reset()
    assert float(workload.call()) < first
