"""The planted rule holds, is invisible up close, and its dials do what they say."""

import numpy as np
import pytest

from linrec_bench.data import synthetic
from linrec_bench.data.splits import global_temporal, leave_one_out


def rectangle(sequences):
    """The first events of every user, as many as the shortest has: [U, L], items from 0."""
    shortest = sequences.lengths.min()
    rows = [sequences.items[a : a + shortest] for a in sequences.offsets[:-1]]
    return np.stack(rows).astype(np.int64) - 1


def successors(history, distance):
    """The most frequent follower of each item at a distance, and the share of events that it explains."""
    n_items = history.max() + 1
    before, after = history[:, :-distance].ravel(), history[:, distance:].ravel()
    counts = np.bincount(before * n_items + after, minlength=n_items**2).reshape(n_items, n_items)
    return counts.argmax(axis=1), counts.max(axis=1).sum() / counts.sum()


@pytest.mark.parametrize("distance", [2, 5])
def test_the_item_at_the_distance_decides_and_no_nearer_one_does(distance):
    history = rectangle(synthetic.load(users=2000, items=50, distance=distance, noise=0.1, seed=1))
    sigma, explained = successors(history, distance)
    # A noisy event hits the right item now and then.
    assert explained == pytest.approx(0.9 + 0.1 / 50, abs=0.01)
    for nearer in range(1, distance):
        assert successors(history, nearer)[1] < 0.06
    # One ring: from any item all others are reached.
    orbit = [0]
    while sigma[orbit[-1]] != 0:
        orbit.append(sigma[orbit[-1]])
    assert sorted(orbit) == list(range(50))


def test_recall_at_10_of_a_blind_and_of_an_ideal_ranking_is_what_the_docstring_says():
    items, distance, noise = 50, 3, 0.2
    sequences = synthetic.load(users=4000, items=items, distance=distance, noise=noise, seed=2)
    split = leave_one_out(sequences)
    trained = split.train.items - 1
    asked = split.test.histories
    answers = split.test.targets - 1

    def recall_of_item_back(steps):
        """Rank by how often each item followed, `steps` later, the one that stands `steps` back."""
        follows = np.bincount(trained[:-steps].astype(int) * items + trained[steps:], minlength=items**2)
        best = np.argsort(-follows.reshape(items, items), axis=1)[:, :10]
        clue = asked.items[asked.offsets[1:] - steps] - 1
        return (best[clue] == answers[:, None]).any(axis=1).mean()

    assert recall_of_item_back(1) == pytest.approx(10 / items, abs=0.03)
    assert recall_of_item_back(distance) == pytest.approx(1 - noise + noise * 10 / items, abs=0.03)


def test_popularity_is_flat():
    counts = np.bincount(synthetic.load(users=2000, items=50).items, minlength=51)[1:]
    assert counts.min() > 0.9 * counts.mean()
    assert counts.max() < 1.1 * counts.mean()


def test_equal_arguments_equal_data_and_sizes_as_asked():
    one, two = synthetic.load(seed=3), synthetic.load(seed=3)
    other = synthetic.load(seed=4)
    assert np.array_equal(one.items, two.items)
    assert np.array_equal(one.timestamps, two.timestamps)
    assert not np.array_equal(one.items[:50], other.items[:50])
    assert (one.n_users, one.n_items) == (500, 100)
    assert (one.lengths.min(), one.lengths.max()) == (20, 60)
    assert set(np.unique(one.items)) == set(range(1, 101))
    assert (one.items.dtype, one.timestamps.dtype, one.offsets.dtype) == (np.int32, np.int64, np.int64)


def test_times_run_on_and_can_be_cut():
    sequences = synthetic.load()
    steps = np.diff(sequences.timestamps)
    steps[sequences.offsets[1:-1] - 1] = 0
    assert (steps >= 0).all()
    split = global_temporal(sequences)
    assert min(len(split.validation), len(split.test)) > 20


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"users": 0}, "users is 0; expected 1 or more"),
        ({"items": 1}, "items is 1; expected 2 or more"),
        ({"distance": 0}, "distance is 0"),
        ({"noise": 1.5}, "noise is 1.5; expected a probability"),
        ({"length": 10, "distance": 5}, "shortest history has 5 events.*expected a length of 12 or more"),
    ],
)
def test_impossible_dials_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        synthetic.load(**params)


def test_log_normal_lengths_have_their_mean_and_a_long_tail():
    params = {"users": 4000, "items": 30, "length": 60, "distance": 3, "noise": 0.0}
    found = synthetic.load(**params, sigma=1.0)
    lengths = found.lengths
    assert lengths.mean() == pytest.approx(60, rel=0.1)
    assert np.median(lengths) == pytest.approx(60 * np.exp(-0.5), rel=0.1)
    assert lengths.min() >= 4
    assert lengths.max() <= 16 * 60
    assert lengths.max() > 5 * 60
    # The planted rule holds as before, to the end of the longest.
    longest = int(lengths.argmax())
    history = found.items[found.offsets[longest] : found.offsets[longest + 1]].astype(int)
    successor = dict(zip(history[:-3], history[3:], strict=True))
    assert [successor[item] for item in history[:-3]] == history[3:].tolist()
    with pytest.raises(ValueError, match=r"sigma is 4\.0; expected a number from 0 to 3"):
        synthetic.load(sigma=4.0)
