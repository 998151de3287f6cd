"""`ml-100k`, `ml-1m` and `ml-20m`: the ratings of MovieLens (Harper and Konstan 2015), each one an event.

The archives may not be redistributed; `linrec-bench data fetch` downloads them from GroupLens.
"""

from __future__ import annotations

from functools import partial

from linrec_bench.data import item_features
from linrec_bench.data.published import Published, source
from linrec_bench.data.source import Remote
from linrec_bench.data.text_files import Form

_LICENCE = "GroupLens: research use, no redistribution; see the README of the archive"
_HOME = "https://files.grouplens.org/datasets/movielens"

ML_100K = Published(
    name="ml-100k",
    title="a hundred thousand ratings of 943 users",
    licence=_LICENCE,
    remote=Remote(
        url=f"{_HOME}/ml-100k.zip", file="ml-100k.zip", known_hash="md5:0e33842e24a9c977be4e0107933c0723"
    ),
    form=Form(columns=(0, 1, 3), separator="\t", quotes="none"),
    members=("ml-100k/u.data",),
    items="ml-100k/u.item",
    # The flags of 19 genres follow id, title, two dates and an address.
    features=partial(
        item_features.read_flags,
        form=Form(columns=(0, *range(5, 24)), separator="|", quotes="none"),
    ),
)
ML_1M = Published(
    name="ml-1m",
    title="a million ratings of 6040 users",
    licence=_LICENCE,
    remote=Remote(
        url=f"{_HOME}/ml-1m.zip",
        file="ml-1m.zip",
        known_hash="sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    ),
    form=Form(columns=(0, 1, 3), separator="::"),
    members=("ml-1m/ratings.dat",),
    items="ml-1m/movies.dat",
    features=partial(item_features.read, form=Form(columns=(0, 2), separator="::")),
)
ML_20M = Published(
    name="ml-20m",
    title="twenty million ratings of 138,493 users",
    licence=_LICENCE,
    remote=Remote(
        url=f"{_HOME}/ml-20m.zip", file="ml-20m.zip", known_hash="md5:cd245b17a1ae2cc31bb14903e1204af3"
    ),
    form=Form(columns=("userId", "movieId", "timestamp")),
    members=("ml-20m/ratings.csv",),
    items="ml-20m/movies.csv",
    features=partial(item_features.read, form=Form(columns=("movieId", "genres"))),
)

SOURCES = (source(ML_100K), source(ML_1M), source(ML_20M))
