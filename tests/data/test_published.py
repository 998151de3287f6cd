"""Published data sets: found where they lie, read in place, every format; the real counts."""

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from linrec_bench import data

RATINGS = "1::10::5::200\n1::20::4::100\n2::10::3::50\n"
REAL = Path(os.environ.get("LINREC_BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))


def zipped(folder, *, member="ml-1m/ratings.dat", text=RATINGS):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "ml-1m.zip", "w") as archive:
        archive.writestr(member, text)
    return folder / "ml-1m.zip"


def assert_ratings(sequences):
    assert sequences.items.tolist() == [2, 1, 1]
    assert sequences.timestamps.tolist() == [100, 200, 50]
    assert sequences.offsets.tolist() == [0, 2, 3]


def test_the_archive_is_read_in_place(tmp_path):
    zipped(tmp_path / "here")
    assert_ratings(data.load("ml-1m", folder=str(tmp_path / "here"), min_interactions=1))
    assert [path.name for path in (tmp_path / "here").rglob("*")] == ["ml-1m.zip"]


@pytest.mark.parametrize("name", ["ratings.dat", "ml-1m/ratings.dat"])
def test_an_unpacked_file_is_read(tmp_path, name):
    (tmp_path / "ml-1m").mkdir()
    (tmp_path / name).write_text(RATINGS)
    assert_ratings(data.load("ml-1m", folder=str(tmp_path), min_interactions=1))


def test_ml_100k_has_tabs(tmp_path):
    (tmp_path / "u.data").write_text("1\t10\t5\t200\n1\t20\t4\t100\n2\t10\t3\t50\n")
    assert_ratings(data.load("ml-100k", folder=str(tmp_path), min_interactions=1))


def test_the_environment_then_the_cache_are_searched(tmp_path, monkeypatch, cache):
    zipped(cache)
    assert_ratings(data.load("ml-1m", min_interactions=1))
    named = tmp_path / "named"
    named.mkdir()
    monkeypatch.setenv("LINREC_BENCH_DATA", str(named))
    assert_ratings(data.load("ml-1m", min_interactions=1))
    text = "user_id,item_id,timestamp\n1,5,0\n1,6,1\n2,5,0\n"
    (named / "ml-1m.csv.gz").write_bytes(gzip.compress(text.encode()))
    found = data.load("ml-1m", min_interactions=1)
    assert found.items.tolist() == [1, 2, 1]
    assert found.ordinal


def test_absent_data_says_what_to_run(tmp_path, cache):
    with pytest.raises(ValueError, match=r"run: linrec-bench data fetch ml-1m$") as error:
        data.load("ml-1m")
    assert str(cache) in str(error.value)
    assert "\n" not in str(error.value)
    assert not cache.exists()


def test_damaged_archives_are_named(tmp_path):
    (tmp_path / "ml-1m.zip").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"ml-1m.zip: not the archive ml-1m .*data fetch ml-1m"):
        data.load("ml-1m", folder=str(tmp_path))
    zipped(tmp_path, member="other/ratings.dat")
    with pytest.raises(ValueError, match=r"not the archive ml-1m .*ratings.dat"):
        data.load("ml-1m", folder=str(tmp_path))
    zipped(tmp_path, text="1::10::5::200\n1::::5::x\n")
    with pytest.raises(ValueError, match=r"ml-1m.zip:ml-1m/ratings.dat: line 2: no item"):
        data.load("ml-1m", folder=str(tmp_path))


def test_ml_20m_has_a_header_and_genres(tmp_path):
    with zipfile.ZipFile(tmp_path / "ml-20m.zip", "w") as archive:
        rows = "1,10,5,200\n1,20,4.5,100\n2,10,3,50\n"
        archive.writestr("ml-20m/ratings.csv", f"userId,movieId,rating,timestamp\n{rows}")
        archive.writestr("ml-20m/movies.csv", 'movieId,title,genres\n20,"One, Two",B|A\n10,Ten,A\n')
    found = data.load("ml-20m", folder=str(tmp_path), min_interactions=1)
    assert_ratings(found)
    assert found.item_features.tolist() == [[0, 0], [1, 0], [1, 2]]


def test_gowalla_tells_times_as_dates(tmp_path):
    lines = ["7\t2010-10-19T23:55:27Z\t30.2\t-97.7\t20", "7\t2010-10-19T23:55:26Z\t30.2\t-97.7\t3"]
    (tmp_path / "loc-gowalla_totalCheckins.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    found = data.load("gowalla", folder=str(tmp_path), min_interactions=1)
    assert found.timestamps.tolist() == [1_287_532_526, 1_287_532_527]
    assert found.items.tolist() == [1, 2]
    lines[0] = lines[0].replace("2010-10", "2010-13")
    (tmp_path / "loc-gowalla_totalCheckins.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    with pytest.raises(ValueError, match=r"line 1: time is '2010-13-19T23:55:27Z', not a time such as 2010"):
        data.load("gowalla", folder=str(tmp_path), min_interactions=1)


HEADER = "user_id,video_id,date,hourmin,time_ms\n"
RANDOM = "KuaiRand-1K/data/log_random_4_22_to_5_08_1k.csv"
EARLY = "KuaiRand-1K/data/log_standard_4_08_to_4_21_1k.csv"
LATE = "KuaiRand-1K/data/log_standard_4_22_to_5_08_1k.csv"
LOGS = {
    RANDOM: HEADER + "1,99,0,0,1\n",
    LATE: HEADER + "1,10,0,0,200\n2,10,0,0,50\n",
    EARLY: HEADER + "1,20,0,0,100\n",
}


def tarred(path, files, links=()):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
        for name, target, kind in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            archive.addfile(entry)


def test_kuairand_is_two_logs_of_a_tar_archive_one_after_the_other(tmp_path):
    tarred(tmp_path / "KuaiRand-1K.tar.gz", LOGS)
    assert_ratings(data.load("kuairand-1k", folder=str(tmp_path), min_interactions=1))


HARMFUL = ["../outside", "/outside", "a/../../outside", "C:/outside", "..\\outside"]


@pytest.mark.parametrize("name", HARMFUL)
def test_an_archive_with_a_name_that_leaves_its_folder_is_refused(tmp_path, name, cache):
    folder = tmp_path / "here"
    zipped(folder)
    with zipfile.ZipFile(folder / "ml-1m.zip", "a") as archive:
        archive.writestr(name, "harm")
    tarred(folder / "KuaiRand-1K.tar.gz", {name: "harm", **LOGS})
    before = sorted(folder.rglob("*"))
    for source in ("ml-1m", "kuairand-1k"):
        with pytest.raises(ValueError, match=f"not the archive {source} .*which points outside its folder"):
            data.load(source, folder=str(folder), min_interactions=1)
    assert sorted(folder.rglob("*")) == before
    assert not list(tmp_path.rglob("outside*"))
    assert list((cache / "prepared").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_in_an_archive_is_not_followed(tmp_path, kind):
    (tmp_path / "secret.csv").write_text(LOGS[RANDOM])
    tarred(tmp_path / "KuaiRand-1K.tar.gz", {}, [(EARLY, str(tmp_path / "secret.csv"), kind)])
    with pytest.raises(ValueError, match=r"not the archive kuairand-1k \(it holds the link"):
        data.load("kuairand-1k", folder=str(tmp_path))
    entry = zipfile.ZipInfo("ml-1m/ratings.dat")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "ml-1m.zip", "w") as archive:
        archive.writestr(entry, str(tmp_path / "secret.csv"))
    with pytest.raises(ValueError, match=r"not the archive ml-1m \(it holds the link"):
        data.load("ml-1m", folder=str(tmp_path))


def test_cut_archives_are_refused(tmp_path):
    tarred(tmp_path / "KuaiRand-1K.tar.gz", {name: text * 9999 for name, text in LOGS.items()})
    whole = (tmp_path / "KuaiRand-1K.tar.gz").read_bytes()
    (tmp_path / "KuaiRand-1K.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"KuaiRand-1K.tar.gz") as error:
        data.load("kuairand-1k", folder=str(tmp_path))
    assert "\n" not in str(error.value)


def real(name):
    path = REAL / f"{name}.csv.gz"
    return pytest.mark.skipif(not path.is_file(), reason=f"{path} is not on this machine")


@real("ml-1m")
def test_the_real_ml_1m_has_its_known_counts():
    found = data.load("ml-1m", folder=str(REAL))
    assert (found.n_users, found.n_items, found.n_events) == (6040, 3416, 999_611)
    assert found.ordinal


@real("ml-100k")
def test_the_real_ml_100k_has_its_known_counts():
    found = data.load("ml-100k", folder=str(REAL), min_interactions=1)
    assert (found.n_users, found.n_items, found.n_events) == (943, 1682, 100_000)
    assert not found.ordinal
    steps = found.timestamps[1:] - found.timestamps[:-1]
    steps[found.offsets[1:-1] - 1] = 0
    assert steps.min() == 0
