"""Features of items: read from every kind of file, kept beside the right item, through filters and splits."""

import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest

from linrec_bench.data import item_features, load
from linrec_bench.data.splits import SPLITS

EVENTS = "user_id,item_id,timestamp\na,30,1\na,4,2\na,30,3\na,100,4\nb,4,1\nb,30,2\nb,4,3\n"
RATINGS = "1::30::5::1\n1::4::4::2\n1::30::3::3\n1::100::3::4\n2::4::5::1\n2::30::5::2\n2::4::5::3\n"
# Of 30, 4 and 100, in another order; 5 has no events, 100 has no features.
ITEMS = "item_id,title,genres\n5,E,Zen\n30,Thirty,Drama|Action\n4,Four,Comedy\n100,Hundred,\n"


def written(folder, name, text):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode("latin-1"))
    return str(path)


def csv(folder, items=ITEMS, **params):
    given = {"feature": "genres", "min_interactions": 1, **params}
    return load(
        "csv",
        path=written(folder, "events.csv", EVENTS),
        features=written(folder, "items.csv.gz", items),
        **given,
    )


def test_each_item_has_its_own(tmp_path):
    found = csv(tmp_path)
    # Items in the order of their ids: 4, 30, 100. Names in order: Action, Comedy, Drama, Zen.
    assert found.item_features.tolist() == [[0, 0], [2, 0], [1, 3], [0, 0]]
    assert found.items.tolist() == [2, 1, 2, 3, 1, 2, 1]


def test_items_that_are_filtered_out_take_theirs_with_them(tmp_path):
    # 100 has one event.
    assert csv(tmp_path, min_interactions=2).item_features.tolist() == [[0, 0], [2, 0], [1, 3]]
    assert csv(tmp_path, "item_id,genres\n30,X\n").item_features.tolist() == [[0], [0], [1], [0]]


def test_a_file_without_features_gives_none(tmp_path):
    path = written(tmp_path, "events.csv", EVENTS)
    assert load("csv", path=path, min_interactions=1).item_features is None


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_keeps_them(split):
    # The names of items and features as numbers from 1, 0 for none and for the padding.
    given = load("synthetic", users=50, features=5)
    found = SPLITS[split](given)
    for part in (found.train, found.validation.histories, found.test.histories):
        np.testing.assert_array_equal(part.item_features, given.item_features)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("item_id,genre\n1,a\n", "no column 'genres'; .*Did you mean 'genre'"),
        ("item_id,genres\n1,a\n,b\n", "items.csv.gz: line 3: no id. Expected one line an item"),
        ("item_id,genres\n1,a\n2,b\n1,c\n", "items.csv.gz: line 4: repeats an id"),
        ("item_id,genres\n1,a\n2,b,c,d\n", "items.csv.gz: line 3: 4 fields, not 2"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(tmp_path, items, message):
    with pytest.raises(ValueError, match=message):
        csv(tmp_path, items)


def test_an_absent_file_is_named(tmp_path):
    path = written(tmp_path, "events.csv", EVENTS)
    with pytest.raises(ValueError, match=r"nowhere.csv: no such file"):
        load("csv", path=path, features=str(tmp_path / "nowhere.csv"))


# Colons in a title, and a letter outside ASCII.
MOVIES = "30::Thirty: Part II (1999)::Drama|Action\n4::Caf\xe9::Comedy\n100::H::\n"
GENRES = [[0, 0], [2, 0], [1, 3], [0, 0]]


def test_movielens_reads_genres_from_its_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "ml-1m.zip", "w") as archive:
        archive.writestr("ml-1m/ratings.dat", RATINGS)
        archive.writestr("ml-1m/movies.dat", MOVIES.encode("latin-1"))
    assert load("ml-1m", folder=str(tmp_path), min_interactions=1).item_features.tolist() == GENRES


def test_movielens_reads_genres_beside_its_ratings(tmp_path):
    written(tmp_path, "ratings.dat", RATINGS)
    assert load("ml-1m", folder=str(tmp_path), min_interactions=1).item_features is None
    written(tmp_path, "movies.dat", MOVIES)
    assert load("ml-1m", folder=str(tmp_path), min_interactions=1).item_features.tolist() == GENRES


def test_movielens_reads_genres_beside_a_csv(tmp_path):
    written(tmp_path, "ml-100k.csv.gz", EVENTS)
    assert load("ml-100k", folder=str(tmp_path), min_interactions=1).item_features is None
    written(tmp_path, "ml-100k-items.csv.gz", ITEMS)
    assert load("ml-100k", folder=str(tmp_path), min_interactions=1).item_features.tolist() == GENRES


def test_ml_100k_has_a_flag_a_genre(tmp_path):
    written(tmp_path, "u.data", RATINGS.replace("::", "\t"))
    none = "|0" * 16
    flags = ("4|Caf\xe9|1995||http|0|1|0", '30|"T|1995||http|1|0|1', "100|H|||http|0|0|0")
    written(tmp_path, "u.item", "".join(f"{line}{none}\n" for line in flags))
    found = load("ml-100k", folder=str(tmp_path), min_interactions=1)
    assert found.item_features.tolist() == [[0, 0], [2, 0], [1, 3], [0, 0]]
    written(tmp_path, "u.item", "4|no flags\n")
    with pytest.raises(ValueError, match=r"u.item: line 1: 2 fields between '[|]'; expected 24 or more"):
        load("ml-100k", folder=str(tmp_path), min_interactions=1)


def test_synthetic_items_have_their_arc_of_the_ring():
    found = load("synthetic", users=20, items=12, features=3, noise=0.0, distance=1, length=40)
    arc = found.item_features[:, 0]
    assert arc[0] == 0
    assert np.bincount(arc[1:]).tolist() == [0, 4, 4, 4]
    # A thread stays in its arc three times of four, and goes on to the next the fourth time.
    step = np.delete(np.diff(arc[found.items]), found.offsets[1:-1] - 1) % 3
    assert set(step) == {0, 1}
    assert 0.7 < np.mean(step == 0) < 0.8
    plain = load("synthetic", users=20, items=12, noise=0.0, distance=1, length=40)
    np.testing.assert_array_equal(plain.items, found.items)
    with pytest.raises(ValueError, match="features is 13; expected 0 for none"):
        load("synthetic", items=12, features=13)


def test_numbers_follow_the_names_and_repeats_count_once():
    found = item_features.numbered(pd.Series(["b|a|b", "", " c "], index=["x", "y", "z"]))
    assert found.tolist() == [[1, 2], [0, 0], [3, 0]]
    assert item_features.numbered(pd.Series([], dtype=object)).shape == (0, 1)
