"""MovieLens: found where it lies, fetched only when asked, nothing half-written; the real counts."""

import gc
import gzip
import hashlib
import os
import threading
import time
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from linrec_bench import data
from linrec_bench.data import movielens

RATINGS = "1::10::5::200\n1::20::4::100\n2::10::3::50\n"
REAL = Path(os.environ.get("LINREC_BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no folder named by the environment."""
    monkeypatch.delenv("LINREC_BENCH_DATA", raising=False)
    monkeypatch.setattr(movielens.pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "linrec-bench"


def zipped(folder, *, member="ml-1m/ratings.dat", text=RATINGS):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "ml-1m.zip", "w") as archive:
        archive.writestr(member, text)
        archive.writestr("../outside.txt", "never unpacked")
    return folder / "ml-1m.zip"


def assert_ratings(sequences):
    assert sequences.items.tolist() == [2, 1, 1]
    assert sequences.timestamps.tolist() == [100, 200, 50]
    assert sequences.offsets.tolist() == [0, 2, 3]


def test_the_archive_is_read_in_place(tmp_path):
    zipped(tmp_path / "here")
    assert_ratings(data.load("ml-1m", folder=str(tmp_path / "here"), min_interactions=1))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["ml-1m.zip"]


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


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format, *arguments):
        pass


class CutHandler(QuietHandler):
    """Promises more than it sends."""

    def send_header(self, keyword, value):
        super().send_header(keyword, str(int(value) + 999) if keyword == "Content-Length" else value)


@pytest.fixture
def served(tmp_path):
    """An archive behind a web server on this machine: (archive, handler) -> how to fetch it."""
    archive = zipped(tmp_path / "served")
    servers = []

    def serve(handler, *, known_hash=None):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=archive.parent))
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return replace(
            movielens.ML_1M,
            url=f"http://127.0.0.1:{server.server_port}/ml-1m.zip",
            known_hash=known_hash or f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}",
        )

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
    gc.collect()


def test_a_fetched_archive_is_checked_and_found(served, cache):
    told = []
    path = movielens.fetch(served(QuietHandler), None, lambda done, total: told.append((done, total)))
    assert path == cache / "ml-1m.zip"
    assert [file.name for file in cache.iterdir()] == ["ml-1m.zip"]
    assert told[-1] == (path.stat().st_size, path.stat().st_size)
    assert_ratings(data.load("ml-1m", min_interactions=1))


def test_what_is_there_is_not_fetched_again(served, tmp_path):
    archive = served(QuietHandler)
    folder = tmp_path / "mine"
    movielens.fetch(archive, folder, lambda done, total: None)
    gone = replace(archive, url="http://127.0.0.1:1/ml-1m.zip")
    assert movielens.fetch(gone, folder, lambda done, total: None) == folder / "ml-1m.zip"


# The HTTP client leaves the socket of a failed answer to the garbage collector.
failing = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def refused(archive, folder, message):
    with pytest.raises(ValueError, match=message) as error:
        movielens.fetch(archive, folder, lambda done, total: None)
    assert "\n" not in str(error.value)


@failing
def test_a_wrong_hash_leaves_nothing_behind(served, tmp_path):
    refused(served(QuietHandler, known_hash=f"sha256:{'0' * 64}"), tmp_path / "mine", "does not match")
    assert list((tmp_path / "mine").iterdir()) == []


@failing
def test_a_cut_download_leaves_nothing_behind(served, tmp_path):
    refused(served(CutHandler), tmp_path / "mine", "data ml-1m: .* was not fetched")
    assert list((tmp_path / "mine").iterdir()) == []


@failing
def test_no_server_and_no_such_file_are_said(served, tmp_path):
    archive = served(QuietHandler)
    refused(replace(archive, url=archive.url + "x"), tmp_path / "mine", "was not fetched; 404")
    refused(replace(archive, url="http://127.0.0.1:1/x"), tmp_path / "mine", "was not fetched")
    assert list((tmp_path / "mine").iterdir()) == []


@failing
def test_a_failed_download_leaves_the_old_file(served, tmp_path):
    archive = served(QuietHandler)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "ml-1m.zip").write_bytes(b"older")
    refused(replace(archive, known_hash=f"sha256:{'0' * 64}"), folder, "does not match")
    assert (folder / "ml-1m.zip").read_bytes() == b"older"


def real(name):
    path = REAL / f"{name}.csv.gz"
    return pytest.mark.skipif(not path.is_file(), reason=f"{path} is not on this machine")


@real("ml-1m")
def test_the_real_ml_1m_has_its_known_counts_and_loads_in_three_seconds_of_cpu():
    started = time.process_time()
    found = data.load("ml-1m", folder=str(REAL))
    cpu_s = time.process_time() - started
    assert (found.n_users, found.n_items, found.n_events) == (6040, 3416, 999_611)
    assert cpu_s < 3
    assert found.ordinal


@real("ml-100k")
def test_the_real_ml_100k_has_its_known_counts():
    found = data.load("ml-100k", folder=str(REAL), min_interactions=1)
    assert (found.n_users, found.n_items, found.n_events) == (943, 1682, 100_000)
    assert not found.ordinal
    steps = found.timestamps[1:] - found.timestamps[:-1]
    steps[found.offsets[1:-1] - 1] = 0
    assert steps.min() == 0
