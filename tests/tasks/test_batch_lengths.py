"""Batches as long as histories are: which lengths, what the mechanism is given, what is counted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from linrec_bench import attention, data
from linrec_bench.attention import Spec, Unsupported
from linrec_bench.case import Case, freeze
from linrec_bench.data.sequences import Sequences
from linrec_bench.execution import worker
from linrec_bench.settings import TrainingSettings
from linrec_bench.tasks import core, layer
from linrec_bench.tasks.workloads import training_step as train_step
from linrec_bench.tasks.workloads.batch_lengths import rows_of

HISTORIES = [3, 5, 40]


@pytest.fixture(autouse=True)
def _three_histories(monkeypatch):
    offsets = np.concatenate(([0], np.cumsum(HISTORIES)))
    items = np.ones(offsets[-1], dtype=np.int32)
    monkeypatch.setattr(data, "load", lambda name, **params: Sequences(items, items.astype(int), offsets, 1))


def case(**fields) -> Case:
    shape = {"seq_len": 8, "batch_size": 12, "hidden_size": 8, "heads": 2}
    defaults = {"task": "core", "phase": "forward", "attention": "softmax", "lengths": "three", **shape}
    return Case(**{**defaults, **fields})


def model_case(*, model="sasrec", training=None, **fields) -> Case:
    settings = TrainingSettings.from_mapping({"catalogue_size": 20, **(training or {})})
    return case(task="train_step", phase="step", model=model, training=settings, **fields)


def test_lengths_are_those_of_histories_cut_to_n_and_follow_the_seed():
    found = rows_of(case(batch_size=600))
    assert set(found.lengths.tolist()) == {3, 5, 8}
    assert np.bincount(found.lengths)[[3, 5, 8]].min() > 150
    np.testing.assert_array_equal(found.lengths, rows_of(case(batch_size=600)).lengths)
    assert (found.lengths != rows_of(case(batch_size=600, seed=1)).lengths).any()
    # Padded to the longest row, not to N.
    longer = rows_of(case(seq_len=99))
    assert longer.longest == 40
    assert longer.facts == {"padded_tokens": 12 * 40, "effective_tokens": int(longer.lengths.sum())}
    assert longer.of_tokens(12 * 40 * 4) == longer.lengths.sum() * 4


def test_a_full_batch_has_no_mask_and_no_padding():
    found = rows_of(case(lengths=None))
    assert found.mask(torch.device("cpu")) is None
    assert found.facts == {"padded_tokens": 96, "effective_tokens": 96}


def test_a_ramp_falls_from_n_to_half_of_it_and_has_a_mask():
    found = rows_of(case(lengths="ramp", seq_len=9, batch_size=3))
    assert found.lengths.tolist() == [9, 7, 5]
    mask = found.mask(torch.device("cpu"))
    assert mask is not None
    assert mask.sum(dim=1).tolist() == [9, 7, 5]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("build", [core.build, layer.build])
def test_the_mechanism_is_given_the_mask_of_the_lengths(monkeypatch, build, causal):
    masks = []

    def spy(q, k, v, *, padding_mask=None, causal: bool = False):
        masks.append(padding_mask)
        return q + v

    fields = {"title": "", "paper": "", "formula": "", "source": "", "deviations": ()}
    spec = Spec(name="spy", core=spy, reference=spy, causal=True, **fields)
    attention.register(spec)
    given = case(attention="spy", task=build.__module__.rpartition(".")[2], causal=causal)
    try:
        build(given).call()
        build(replace(given, lengths=None)).call()
    finally:
        attention.unload_plugins()
    expected = np.arange(8) < np.sort(np.unique([3, 5, 8]))[:, None]
    assert {tuple(row) for row in masks[0].tolist()} == {tuple(row) for row in expected.tolist()}
    assert masks[1] is None


@pytest.mark.parametrize("phase", ["forward", "forward_backward"])
@pytest.mark.parametrize("build", [core.build, layer.build])
def test_real_and_fake_tensors_agree_on_what_must_move(build, phase):
    given = case(task=build.__module__.rpartition(".")[2], phase=phase)
    real = build(given)
    real.call()
    with FakeTensorMode():
        fake = build(given)
        fake.call()
    assert (real.minimum_bytes, real.facts) == (fake.minimum_bytes, fake.facts)
    assert real.minimum_bytes < build(replace(given, lengths=None)).minimum_bytes


OBJECTIVES = [
    {"causal": True},
    {"causal": False, "training": {"objective": "last_position"}},
    {"causal": False, "model": "bert4rec"},
    {"causal": False, "model": "bert4rec", "training": {"objective": "last_position"}},
    {"causal": True, "attention": "hstu"},
]


@pytest.mark.parametrize("fields", OBJECTIVES, ids=["all", "last", "cloze", "appended mask", "timestamps"])
def test_a_step_learns_from_the_real_positions_alone(monkeypatch, fields):
    given = model_case(**fields)
    rows = rows_of(given)
    predicted = []
    criterion = train_step.criterion

    def watched(*arguments, **options):
        found = criterion(*arguments, **options)
        loss = found.loss

        def counting(hidden, embeddings, targets):
            predicted.append((len(hidden), len(targets)))
            return loss(hidden, embeddings, targets)

        return replace(found, loss=counting)

    monkeypatch.setattr(train_step, "criterion", watched)
    workload = train_step.build(given)
    workload.call()
    share = given.model == "bert4rec" and given.training.objective == "auto"
    # Every fifth position is hidden: 1 of 3, 1 of 5, 2 of 8.
    expected = -(-rows.lengths // 5) if share else rows.lengths
    count = len(rows.lengths) if given.training.objective != "auto" else expected.sum()
    assert predicted == [(count, count)]
    with FakeTensorMode():
        train_step.build(given).call()


@pytest.mark.parametrize("fields", OBJECTIVES[:4], ids=["all", "last", "cloze", "appended mask"])
def test_rows_as_long_as_n_take_the_step_of_a_full_batch(monkeypatch, fields):
    eight = Sequences(np.ones(8, dtype=np.int32), np.arange(8), np.array([0, 8]), 1)
    monkeypatch.setattr(data, "load", lambda name, **params: eight)
    given = replace(model_case(**fields), model_params=freeze({"dropout": 0.0}))
    drawn, full = (float(train_step.build(each).call()) for each in (given, replace(given, lengths=None)))
    assert drawn == pytest.approx(full, rel=1e-5)


def test_a_mechanism_without_a_mask_is_unsupported():
    with pytest.raises(Unsupported, match="fnet cannot honour a padding mask"):
        core.build(case(attention="fnet")).call()
    prediction = worker.predict(case(attention="fnet"))
    assert "cannot honour a padding mask" in prediction.unsupported
