"""A download in a log: a line a tenth, not a bar."""

import pytest

from linrec_bench.terminal import progress_bar


@pytest.mark.parametrize(("total", "lines"), [(1000, 11), (0, 1)])
def test_a_line_a_tenth(monkeypatch, total, lines):
    told = []
    monkeypatch.setattr(progress_bar, "say", told.append)
    with progress_bar.download("ml-1m") as on_bytes:
        for done in range(0, 1001, 5):
            on_bytes(done, total)
    assert len(told) == lines
    assert told[0] == ("ml-1m: 0 B of 0.977 KiB" if total else "ml-1m: 0 B")
