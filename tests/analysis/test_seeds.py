"""Quality over seeds."""

import math

import numpy as np
import pytest

from linrec_bench.analysis.seeds import across_seeds, mean_and_half_width
from linrec_bench.analysis.summary import summarise
from tests.planted import plant_quality


def test_seeds_have_a_t_interval(planted, recommend_case):
    plant_quality(planted, recommend_case, "linrec", [0.1, 0.2, 0.3])
    planted.close(recommend_case("linrec", 3), status="error", detail="loss is not finite")
    found = across_seeds(summarise(planted.frame(), reference="linrec")).iloc[0]
    assert (found["seeds"], found["failed"]) == (3, 1)
    assert found["ndcg@10"] == pytest.approx(0.2)
    # t(0.975, 2) = 4.3027, standard error 0.1 / sqrt(3).
    assert found["ndcg@10_high"] - 0.2 == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)


def test_one_seed_has_no_interval(planted, recommend_case):
    plant_quality(planted, recommend_case, "linrec", [0.1])
    summary = summarise(planted.frame(), reference="linrec")
    found = across_seeds(summary).iloc[0]
    assert math.isnan(found["ndcg@10_low"])
    assert (found["seeds"], found["ndcg@10"]) == (1, 0.1)


def test_t_intervals_cover_the_truth():
    rng = np.random.default_rng(0)
    found = [mean_and_half_width(rng.normal(0.2, 0.01, 3)) for _ in range(2000)]
    assert np.mean([abs(mean - 0.2) <= half for mean, half in found]) == pytest.approx(0.95, abs=0.015)
