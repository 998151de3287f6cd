"""`gowalla`: check-ins at places (Cho, Myers and Leskovec 2011), each one an event; places come back."""

from __future__ import annotations

from linrec_bench.data.published import Published, source
from linrec_bench.data.source import Remote
from linrec_bench.data.text_files import Form

GOWALLA = Published(
    name="gowalla",
    title="6.4 million check-ins of 107,092 users, with repeats",
    licence="none is named; SNAP asks for a citation",
    remote=Remote(
        url="https://snap.stanford.edu/data/loc-gowalla_totalCheckins.txt.gz",
        file="loc-gowalla_totalCheckins.txt.gz",
        known_hash="md5:8ebd5ed2dd376d8982987c49429cb9f9",
    ),
    # User, time, latitude, longitude, place.
    form=Form(columns=(0, 4, 1), separator="\t", quotes="none"),
    times="iso",
)

SOURCES = (source(GOWALLA),)
