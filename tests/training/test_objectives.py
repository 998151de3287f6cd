import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from linrec_bench import models
from linrec_bench.data.sequences import Queries, Sequences
from linrec_bench.models.spec import Recommender
from linrec_bench.settings import TrainingSettings
from linrec_bench.training.batches import Batch, prefixes, queries
from linrec_bench.training.objectives import cloze_mask, criterion, query_states, rows_of

HISTORIES = [[1, 2, 3, 4], [5, 4], [3]]
SEQUENCES = Sequences(
    items=np.array([item for history in HISTORIES for item in history], dtype=np.int32),
    timestamps=np.arange(7),
    offsets=np.array([0, 4, 6, 7]),
    n_items=5,
)
COUNTS = np.array([0, 1, 1, 2, 2, 1])


class Table(Recommender):
    """The state after an item is a row of a random table, the same at every position; 6 is the mask token."""

    mask_token = 6

    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.causal = causal
        self.states = torch.randn(7, 3, generator=generator)
        self.outputs = nn.Parameter(torch.randn(6, 3, generator=generator))
        self.fed: list[torch.Tensor] = []

    def forward(self, items, padding_mask=None, timestamps=None):
        assert torch.equal(padding_mask, items > 0)
        self.fed.append(items)
        return self.states[items]

    def item_embeddings(self):
        return self.outputs


def mean_loss(model: Table, steps: list[tuple[int, int]], temperature: float = 1.0) -> torch.Tensor:
    """Mean loss over pairs of a last item and the item after it."""
    last, following = torch.tensor(steps).T
    return F.cross_entropy(model.states[last] @ model.outputs[1:].T / temperature, following - 1)


def whole(rows) -> Batch:
    return rows.batch(np.arange(len(rows)))


def loss_of(model: Table, objective: str, seq_len: int = 4, *, seed: int = 0, **params):
    settings = TrainingSettings.from_mapping(params)
    batch = whole(rows_of(SEQUENCES, objective, seq_len, timed=False))
    return criterion(model, settings, objective, counts=COUNTS, seed=seed)(model, batch)


# Each window and each prefix has other lengths, so that a batch has padding.
STEPS = [(1, 2), (2, 3), (3, 4), (5, 4)]


@pytest.mark.parametrize(
    ("objective", "causal", "seq_len"),
    [
        ("all_positions", True, 4),
        # Positions that an earlier window covers do not count twice.
        ("all_positions", True, 2),
        ("last_position", True, 4),
        ("last_position", False, 4),
    ],
)
def test_every_training_item_is_predicted_once_from_the_one_before(objective, causal, seq_len):
    model = Table(causal=causal)
    found, targets = loss_of(model, objective, seq_len)
    torch.testing.assert_close(found, mean_loss(model, STEPS))
    assert targets == 4


def test_temperature_divides_the_scores():
    model = Table(causal=True)
    found, _ = loss_of(model, "all_positions", temperature=0.5)
    torch.testing.assert_close(found, mean_loss(model, STEPS, 0.5))


@pytest.mark.parametrize("causal", [True, False])
def test_a_cloze_restores_what_it_hid(causal):
    model = Table(causal=causal)
    found, targets = loss_of(model, "cloze")
    (fed,) = model.fed
    shown = whole(rows_of(SEQUENCES, "cloze", 4, timed=False)).items
    # Users of one item have nothing that could tell it.
    assert shown.tolist() == [[1, 2, 3, 4], [5, 4, 0, 0]]
    hidden = fed == 6
    assert torch.equal(fed, shown.masked_fill(hidden, 6))
    assert targets == int(hidden.sum()) >= 2
    torch.testing.assert_close(found, mean_loss(model, [(6, int(item)) for item in shown[hidden]]))


def test_a_cloze_row_has_room_for_the_position_of_a_query():
    long = Sequences(np.arange(1, 8, dtype=np.int32), np.arange(7), np.array([0, 7]), 7)
    assert rows_of(long, "cloze", 4, timed=False).lengths.tolist() == [5, 5]


def test_cloze_masks_hide_their_share_never_padding_and_one_a_row_at_least():
    real = torch.arange(50) < torch.arange(1, 401)[:, None].clamp(max=50)
    hidden = cloze_mask(real, 0.2, torch.Generator().manual_seed(0))
    assert not (hidden & ~real).any()
    assert hidden.any(dim=1).all()
    assert hidden[50:].float().mean() == pytest.approx(0.2, abs=0.01)
    # Every position alike.
    assert hidden[50:].float().mean(dim=0).max() < 0.3
    rare = cloze_mask(real, 1e-9, torch.Generator().manual_seed(0))
    assert torch.equal(rare.sum(dim=1), torch.ones(400, dtype=torch.int64))


@pytest.mark.parametrize(
    ("objective", "params"),
    [
        ("cloze", {}),
        ("all_positions", {"loss": "sampled_softmax", "negatives": 3}),
        ("all_positions", {"loss": "sampled_softmax", "negatives": 3, "negative_sampling": "popularity"}),
        ("all_positions", {"loss": "bce", "negatives": 2}),
    ],
)
def test_draws_follow_the_seed_and_nothing_else(objective, params):
    def losses(seed: int) -> list[float]:
        # What a mechanism draws from the global generator must not matter.
        torch.seed()
        model = Table(causal=True)
        return [loss_of(model, objective, seed=seed, **params)[0].item() for _ in range(3)]

    found = losses(1)
    assert found == losses(1)
    assert any(losses(seed) != found for seed in (2, 3, 4))


def test_more_negatives_without_correction_cost_more():
    model = Table(causal=True)
    few, _ = loss_of(model, "all_positions", loss="sampled_softmax", negatives=2, logq=False)
    many, _ = loss_of(model, "all_positions", loss="sampled_softmax", negatives=2000, logq=False)
    corrected, _ = loss_of(model, "all_positions", loss="sampled_softmax", negatives=20_000)
    assert many > few
    torch.testing.assert_close(corrected, mean_loss(model, STEPS), rtol=0.02, atol=0)


def test_popular_negatives_are_those_of_the_training_data():
    model = Table(causal=True)
    # Only the target itself is ever drawn, so that the positive is alone.
    settings = TrainingSettings.from_mapping(
        {"loss": "sampled_softmax", "negative_sampling": "popularity", "negatives": 5}
    )
    only_four = criterion(model, settings, "all_positions", counts=np.array([0, 0, 0, 0, 9, 0]), seed=0)
    hidden = model.states[torch.tensor([3, 5])]
    loss = only_four.loss(hidden, model.outputs, torch.tensor([4, 4]))
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_impossible_objectives_are_refused():
    settings = TrainingSettings.from_mapping({})
    with pytest.raises(ValueError, match="needs causal: true"):
        criterion(Table(causal=False), settings, "all_positions", counts=COUNTS, seed=0)
    sasrec = models.build("sasrec", n_items=5)
    with pytest.raises(ValueError, match="mask token"):
        criterion(sasrec, settings, "cloze", counts=COUNTS, seed=0)


def test_the_mask_token_is_appended_to_a_query():
    torch.manual_seed(0)
    model = models.build("bert4rec", n_items=5, seq_len=3, hidden_size=8, heads=2, dropout=0.0)
    asked = Queries(SEQUENCES, np.array([5, 1, 2], dtype=np.int32), np.arange(3))
    batch = whole(queries(asked, 3))
    states = query_states(model, batch)
    for row, history in enumerate([[2, 3, 4], [5, 4], [3]]):
        alone = model(torch.tensor([[*history, 6]]))[0, -1]
        torch.testing.assert_close(states[row], alone)


class Clock(Table):
    """Remembers the times that it was given."""

    needs_timestamps = True

    def query(self, items, padding_mask=None):
        items = F.pad(items, (0, 1)).scatter(1, padding_mask.sum(1, keepdim=True), 6)
        return items, items > 0, (items > 0).sum(1) - 1

    def forward(self, items, padding_mask=None, timestamps=None):
        self.times = timestamps
        return super().forward(items, padding_mask)


def test_an_appended_token_stands_at_the_time_of_the_request():
    model = Clock(causal=True)
    query_states(model, whole(prefixes(SEQUENCES, 4, timed=True)))
    assert model.times.tolist() == [[0, 1, 1, 1, 1], [0, 1, 2, 2, 2], [0, 1, 2, 3, 3], [4, 5, 5, 5, 5]]
