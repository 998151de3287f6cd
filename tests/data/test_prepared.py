"""Prepared once: kept under a key of what was read, whole or not at all, mapped and not copied."""

import json

import numpy as np
import pytest

from linrec_bench import data
from linrec_bench.data import prepared, streaming
from linrec_bench.data.description import Bin, length_bins

LOG = "user_id,item_id,timestamp\na,x,3\na,y,1\nb,x,2\n"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text(LOG)
    return path


def prepare(path, **params):
    return data.prepare("csv", path=str(path), min_interactions=1, **params)


def test_once_and_then_found(log, cache):
    first = prepare(log)
    assert not first.reused
    assert first.folder.parent == cache / "prepared"
    assert prepare(log) == prepared.Prepared(first.folder, reused=True)
    assert [path.name for path in (cache / "prepared").iterdir()] == [first.folder.name]
    assert json.loads((first.folder / "meta.json").read_text())["origin"]["settings"]["separator"] == ","


def test_another_setting_file_or_format_is_another_folder(log, monkeypatch):
    folders = {prepare(log).folder, prepare(log, on_bad_rows="drop").folder}
    log.write_text(LOG + "b,y,9\n")
    folders.add(prepare(log).folder)
    monkeypatch.setattr(prepared, "FORMAT", prepared.FORMAT + 1)
    folders.add(prepare(log).folder)
    assert len(folders) == 4
    assert data.load("csv", path=str(log), min_interactions=1).n_events == 4


def test_arrays_are_mapped_read_only_and_compact(log):
    found = data.load("csv", path=str(log), min_interactions=1)
    assert (found.items.dtype, found.timestamps.dtype, found.offsets.dtype) == (np.int32, np.int64, np.int64)
    for array in (found.items, found.timestamps):
        assert isinstance(array.base, np.memmap)
        assert type(array) is np.ndarray
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_failure_leaves_nothing(log, cache, monkeypatch):
    log.write_text(LOG + "b,,9\n")
    with pytest.raises(ValueError, match="line 5: no item_id"):
        prepare(log)

    def full(*arguments, has_times):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(streaming, "sort_events", full)
    log.write_text(LOG)
    with pytest.raises(ValueError, match=r"cannot use the cache .*No space left.*LINREC_BENCH_CACHE"):
        prepare(log)
    assert list((cache / "prepared").iterdir()) == []


def test_a_cache_that_is_a_file_is_said(log, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LINREC_BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(ValueError, match="Set LINREC_BENCH_CACHE to another folder"):
        prepare(log)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("items", lambda whole: whole[:-2]),
        # A header that is no literal of Python.
        ("items", lambda whole: whole.replace(b"), }", b"(, }")),
        # The second of the histories ends before it begins.
        ("offsets", lambda whole: whole[:-16] + (99).to_bytes(8, "little") + whole[-8:]),
        # The last one is empty.
        ("offsets", lambda whole: whole[:-16] + 2 * whole[-8:]),
        ("offsets", lambda whole: whole.replace(b"'<i8'", b"'<u8'")),
        ("items", lambda whole: whole.replace(b"'<i4'", b"'>i4'").replace(b"'<i8'", b"'>i8'")),
        ("items", lambda whole: whole[:-4] + (77).to_bytes(4, "little")),
    ],
)
def test_a_damaged_folder_says_what_to_do(log, name, damage):
    folder = prepare(log).folder
    path = folder / f"{name}.npy"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"damaged \(.*\); remove it") as error:
        prepared.load(folder)
    assert "\n" not in str(error.value)


def test_what_another_process_prepared_meanwhile_is_taken(log, monkeypatch):
    build = streaming.build

    def slower(events, folder):
        monkeypatch.setattr(streaming, "build", build)
        prepare(log)
        return build(events, folder)

    monkeypatch.setattr(streaming, "build", slower)
    assert data.load("csv", path=str(log), min_interactions=1).n_events == 3


def test_what_is_made_on_the_spot_is_not_prepared():
    with pytest.raises(ValueError, match="data synthetic is generated"):
        data.prepare("synthetic")


def test_lengths_fall_into_ranges_that_double():
    assert length_bins(np.array([5, 8, 15, 2, 3, 16])) == [
        Bin(2, 3, 2),
        Bin(4, 7, 1),
        Bin(8, 15, 2),
        Bin(16, 31, 1),
    ]
