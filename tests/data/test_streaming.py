"""The streaming builder makes what the plain one makes, whatever the sizes of its blocks and buckets."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.data import streaming
from linrec_bench.data.events import Events
from linrec_bench.data.ids import Ids
from linrec_bench.data.sequences import from_interactions

LOGS = st.lists(
    st.tuples(st.integers(-3, 6), st.integers(0, 5), st.integers(-4, 4).map(lambda t: t * 2**60)), min_size=1
)
ORDINAL = [(user, item, t) for t, item in enumerate([3, 1, 2]) for user in (5, 4)]


def events_of(log, *, part=3, least=1):
    def parts(bad_rows):
        for start in range(0, len(log), part):
            rows = log[start : start + part]
            columns = [pa.array(column, pa.int64()) for column in zip(*rows, strict=True)]
            yield pa.table(columns, names=["user", "item", "time"])

    return Events(parts=parts, identity=(), min_interactions=least, on_bad_rows="refuse")


def built(folder, log, **settings):
    folder.mkdir()
    made = streaming.build(events_of(log, **settings), folder)
    arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    assert {path.suffix for path in folder.iterdir()} == {".npy"}
    return made, arrays


def plain(user, item, time, least):
    """What `from_interactions` makes; None where nothing is left."""
    try:
        return from_interactions(user, item, time, min_interactions=least)
    except ValueError:
        return None


@given(log=LOGS, least=st.integers(1, 3), bucket=st.integers(1, 9), block=st.integers(1, 9))
def test_equals_the_plain_builder(tmp_path_factory, log, least, bucket, block):
    folder = tmp_path_factory.mktemp("build") / "whole"
    user, item, time = (np.array(column) for column in zip(*log, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "BUCKET_EVENTS", bucket)
        patch.setattr(streaming, "BLOCK_EVENTS", block)
        expected = plain(user, item, time, least)
        if expected is None:
            with pytest.raises(ValueError, match="is left when every user and item must"):
                built(folder, log, least=least)
            return
        made, arrays = built(folder, log, least=least)
    for name in ("items", "timestamps", "offsets"):
        np.testing.assert_array_equal(arrays[name], getattr(expected, name))
        assert arrays[name].dtype == getattr(expected, name).dtype
    assert len(made.item_ids) == expected.n_items
    assert made.ordinal == expected.ordinal
    # The ids of the items, in their order, are those of the log.
    kept = np.asarray(made.item_ids)[arrays["items"] - 1]
    assert set(kept.tolist()) <= set(item.tolist())


@pytest.mark.parametrize("bucket", [1, 2, 100])
def test_positions_are_told_from_times_across_buckets(tmp_path, monkeypatch, bucket):
    monkeypatch.setattr(streaming, "BUCKET_EVENTS", bucket)
    assert built(tmp_path / "a", ORDINAL)[0].ordinal
    later = [(user, item, t + (user == 5)) for user, item, t in ORDINAL]
    assert not built(tmp_path / "b", later)[0].ordinal


def test_ids_keep_their_kind_and_order():
    ids = Ids()
    assert ids.codes(pa.chunked_array([["10", "9", "10"]])).tolist() == [0, 1, 0]
    assert ids.codes(pa.chunked_array([["007", "9"], ["7", "\u00e9"]])).tolist() == [2, 1, 3, 4]
    # 7, 9, é, 10, 007: by length in letters, then by letter.
    assert ids.ranks().tolist() == [3, 1, 4, 0, 2]
    numbers = Ids()
    numbers.codes(pa.chunked_array([[10, -9, 2]]))
    assert numbers.ranks().tolist() == [2, 0, 1]


def test_nothing_and_nonsense_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no event: it has no rows"):
        built(tmp_path / "a", [])
    with pytest.raises(ValueError, match="min_interactions is 0; expected 1 or more"):
        built(tmp_path / "b", ORDINAL, least=0)
