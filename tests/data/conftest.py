"""Data that lie nowhere but where a test puts them."""

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no folder named by the environment."""
    monkeypatch.delenv("LINREC_BENCH_DATA", raising=False)
    monkeypatch.setenv("LINREC_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
