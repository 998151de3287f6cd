import functools
import time

import numpy as np
import pytest
import torch

from linrec_bench import models
from linrec_bench.data.sequences import Sequences
from linrec_bench.measures.instruments.energy_meter import Meter
from linrec_bench.settings import TrainingSettings
from linrec_bench.training import checkpoint as module
from linrec_bench.training.checkpoint import Checkpoint
from linrec_bench.training.fit import Fit, fit
from linrec_bench.training.objectives import rows_of

N_ITEMS = 7
USERS, LENGTH = 12, 9


def sequences() -> Sequences:
    items = (np.arange(USERS)[:, None] * 3 + np.arange(LENGTH)[None, :]) % N_ITEMS + 1
    offsets = np.arange(USERS + 1) * LENGTH
    return Sequences(items.reshape(-1).astype(np.int32), np.arange(USERS * LENGTH), offsets, N_ITEMS)


class Interrupted(Exception):
    """What a kill looks like from inside a test."""


class Training:
    """The same training every time, up to where it is interrupted."""

    def __init__(self, objective: str = "all_positions", model: str = "sasrec", **params) -> None:
        self.objective, self.name = objective, model
        self.settings = TrainingSettings.from_mapping({"epochs": 4, "learning_rate": 0.02, **params})

    def run(
        self,
        checkpoint: Checkpoint | None = None,
        *,
        steps: int | None = None,
        validations=None,
        device=None,
        clock=None,
    ):
        """Its model and `Fit`; raises `Interrupted` after so many steps, or in such a validation.

        A `device` draws energy for steps and validations; a step takes a second of a `clock`.
        """
        torch.manual_seed(3)
        model = models.build(self.name, n_items=N_ITEMS, seq_len=4, hidden_size=8, heads=2, dropout=0.2)
        left, asked = steps, 0

        def count(*_: object) -> None:
            nonlocal left
            if model.training and left is not None:
                left -= 1
                if left < 0:
                    raise Interrupted
            if model.training and device is not None:
                device.drawn_j += 2.0
            if model.training and clock is not None:
                clock.now_s += 1.0

        # Every step looks up its items once, whichever way it goes through the model.
        model.items.register_forward_pre_hook(count)

        def validate() -> dict[str, float]:
            nonlocal asked
            asked += 1
            if device is not None:
                device.drawn_j += 1000.0
            if asked == validations:
                raise Interrupted
            with torch.no_grad():
                # Deterministic in the weights, and best at neither end.
                return {"ndcg@10": float(-abs(model.item_embeddings()[1:].norm() - 1.2))}

        seen = []
        result = fit(
            model,
            rows_of(sequences(), self.objective, 4, timed=False),
            self.settings,
            objective=self.objective,
            counts=np.bincount(sequences().items, minlength=N_ITEMS + 1),
            batch_size=5,
            seed=11,
            validate=validate,
            on_epoch=seen.append,
            checkpoint=checkpoint,
            meter=None if device is None else Meter(lambda: device.drawn_j),
            clock=time.perf_counter if clock is None else clock.read,
        )
        assert tuple(seen) == result.epochs
        return model, result


class Device:
    """What a device has drawn in all."""

    def __init__(self, drawn_j: float) -> None:
        self.drawn_j = drawn_j


class Clock:
    """Seconds that pass when the test says so."""

    now_s = 0.0

    def read(self) -> float:
        return self.now_s


def same(first: Fit, second: Fit) -> bool:
    """Equal but for the seconds that each took."""
    told = [
        [(epoch.number, epoch.loss, epoch.events, dict(epoch.validation)) for epoch in found.epochs]
        for found in (first, second)
    ]
    ends = [(found.best_epoch, found.stopped_by) for found in (first, second)]
    return told[0] == told[1] and ends[0] == ends[1]


@pytest.fixture(scope="module")
def left_alone():
    """`left_alone(training)`: what it gives where nothing interrupts it, trained once."""
    return functools.cache(Training.run)


@pytest.mark.slow
@pytest.mark.parametrize(
    "training",
    [
        Training(schedule="cosine", warmup_steps=3, gradient_clip=1.0, weight_decay=0.01),
        Training(loss="sampled_softmax", negatives=3, negative_sampling="popularity"),
        Training("last_position", loss="bce", negatives=2),
        Training("cloze", "bert4rec"),
        Training(patience=1, epochs=30),
    ],
    ids=["cross_entropy", "sampled_softmax", "bce", "cloze", "patience"],
)
# In the first epoch, at its end, in a later one.
@pytest.mark.parametrize("steps", [2, 6, 9])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, left_alone, training, steps):
    expected_model, expected = left_alone(training)
    kept = Checkpoint(tmp_path / "case.pt", "case", every_s=0.0)
    with pytest.raises(Interrupted):
        training.run(kept, steps=steps)
    # Whatever the new process drew before must not matter.
    torch.seed()
    model, found = training.run(kept)
    assert same(found, expected)
    for name, weight in expected_model.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name


def test_the_steps_behind_are_not_taken_again(tmp_path):
    training = Training()
    kept = Checkpoint(tmp_path / "case.pt", "case", every_s=0.0)
    with pytest.raises(Interrupted):
        training.run(kept, steps=10)
    whole = len(range(0, len(rows_of(sequences(), "all_positions", 4, timed=False)), 5)) * 4
    training.run(kept, steps=whole - 10)
    with pytest.raises(Interrupted):
        training.run(steps=whole - 1)


def test_an_interruption_in_a_validation_and_a_second_one(tmp_path):
    expected_model, expected = Training().run()
    kept = Checkpoint(tmp_path / "case.pt", "case", every_s=0.0)
    with pytest.raises(Interrupted):
        Training().run(kept, validations=2)
    with pytest.raises(Interrupted):
        Training().run(kept, steps=3)
    model, found = Training().run(kept)
    assert same(found, expected)
    for name, weight in expected_model.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name


# In the first epoch, at its end, in a later one.
@pytest.mark.parametrize("steps", [2, 6, 9])
def test_the_joules_of_an_interrupted_epoch_are_those_of_the_whole(tmp_path, steps):
    _, expected = Training().run(device=Device(50.0))
    batches = len(range(0, len(rows_of(sequences(), "all_positions", 4, timed=False)), 5))
    # Neither what was drawn before nor the validations are in it.
    assert [epoch.train_j for epoch in expected.epochs] == [2.0 * batches] * 4
    kept = Checkpoint(tmp_path / "case.pt", "case", every_s=0.0)
    with pytest.raises(Interrupted):
        Training().run(kept, steps=steps, device=Device(0.0))
    _, found = Training().run(kept, device=Device(7e6))
    assert [epoch.train_j for epoch in found.epochs] == [2.0 * batches] * 4


def test_joules_that_were_not_told_before_an_interruption_stay_unknown(tmp_path):
    kept = Checkpoint(tmp_path / "case.pt", "case", every_s=0.0)
    with pytest.raises(Interrupted):
        Training().run(kept, steps=2)
    _, found = Training().run(kept, device=Device(0.0))
    assert found.epochs[0].train_j is None
    assert None not in [epoch.train_j for epoch in found.epochs[1:]]


def test_a_training_that_had_ended_is_not_trained_further(tmp_path):
    kept = Checkpoint(tmp_path / "case.pt", "case", every_s=0.0)
    model, expected = Training().run(kept)
    again, found = Training().run(kept, steps=0)
    assert same(found, expected)
    assert torch.equal(again.item_embeddings(), model.item_embeddings())


def test_a_checkpoint_changes_nothing_and_is_kept_as_rarely_as_asked(tmp_path, monkeypatch):
    written = []
    save = Checkpoint.save
    monkeypatch.setattr(Checkpoint, "save", lambda self, state: (written.append(1), save(self, state)))
    plain, _ = Training().run()
    rare, _ = Training().run(Checkpoint(tmp_path / "rare.pt", "case", every_s=3600.0))
    assert written == []
    assert not (tmp_path / "rare.pt").exists()
    often, _ = Training().run(Checkpoint(tmp_path / "often.pt", "case", every_s=0.0))
    assert len(written) > 8
    for model in (rare, often):
        assert torch.equal(model.item_embeddings(), plain.item_embeddings())


def test_a_checkpoint_is_kept_once_its_time_has_passed_since_the_last_one(tmp_path, monkeypatch):
    clock, kept_at = Clock(), []
    save = Checkpoint.save
    monkeypatch.setattr(
        Checkpoint, "save", lambda self, state: (kept_at.append(clock.now_s), save(self, state))
    )
    Training().run(Checkpoint(tmp_path / "case.pt", "case", every_s=4.0), clock=clock)
    assert clock.now_s > 12
    assert kept_at == [float(second) for second in range(4, int(clock.now_s) + 1, 4)]


def test_the_file_is_replaced_whole(tmp_path, monkeypatch):
    kept = Checkpoint(tmp_path / "deep" / "case.pt", "case", every_s=0.0)
    with pytest.raises(Interrupted):
        Training().run(kept, steps=3)
    before = kept.path.read_bytes()

    def cut_off(content, file):
        file.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(module.torch, "save", cut_off)
    with pytest.raises(ValueError, match=r"case\.pt: cannot be written \(no space"):
        Training().run(kept)
    assert kept.path.read_bytes() == before
    monkeypatch.undo()
    assert same(Training().run(kept)[1], Training().run()[1])


def test_what_cannot_be_used_is_told_and_costs_only_itself(tmp_path):
    told = []
    kept = Checkpoint(tmp_path / "case.pt", "one", every_s=0.0, on_damage=told.append)
    assert kept.load() is None
    assert told == []
    with pytest.raises(Interrupted):
        Training().run(kept, steps=3)
    assert Checkpoint(kept.path, "other", on_damage=told.append).load() is None
    whole = kept.path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for damaged in (b"", whole[:20], whole[:-200], flipped, whole + b"x"):
        kept.path.write_bytes(damaged)
        assert kept.load() is None
    assert [line.partition(": ")[2] for line in told] == [
        "of training one; expected other; the training begins anew",
        *["damaged; the training begins anew"] * 5,
    ]
    assert same(Training().run(kept)[1], Training().run()[1])
