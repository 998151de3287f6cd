import math

import numpy as np
import pytest
import torch

from linrec_bench.training.negatives import by_popularity, uniform

CPU = torch.device("cpu")
COUNTS = np.array([0, 5, 0, 3, 2])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_uniform_negatives_are_all_items_and_never_padding():
    drawn = uniform(4).draw((40_000,), generator())
    shares = torch.bincount(drawn, minlength=5) / len(drawn)
    assert shares[0] == 0
    torch.testing.assert_close(shares[1:], torch.full((4,), 0.25), atol=0.01, rtol=0)


def test_popular_items_are_drawn_as_often_as_they_occur():
    drawn = by_popularity(COUNTS, CPU).draw((200, 200), generator())
    assert drawn.shape == (200, 200)
    shares = torch.bincount(drawn.flatten(), minlength=5) / drawn.numel()
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2]), atol=0.01, rtol=0)
    assert shares[2] == 0


def test_probabilities_are_those_of_the_draws():
    items = torch.tensor([1, 3, 4])
    torch.testing.assert_close(
        by_popularity(COUNTS, CPU).log_probability(items).exp(), torch.tensor([0.5, 0.3, 0.2])
    )
    assert uniform(8).log_probability(items).tolist() == pytest.approx([-math.log(8)] * 3)


def test_the_generator_decides():
    for distribution in (uniform(1000), by_popularity(np.arange(1001), CPU)):
        first, second, other = (distribution.draw((50,), generator(seed)) for seed in (1, 1, 2))
        assert torch.equal(first, second)
        assert not torch.equal(first, other)


def test_counts_beyond_the_resolution_of_float32_lose_no_item():
    counts = np.array([0, 2**40, 1])
    probability = by_popularity(counts, CPU).log_probability(torch.tensor([2])).exp()
    assert float(probability) == pytest.approx(2.0**-40)


def test_nothing_to_draw_from_is_refused():
    with pytest.raises(ValueError, match="no item occurs"):
        by_popularity(np.zeros(5, dtype=np.int64), CPU)
