"""`kuairand-1k`: short videos shown to a thousand users of Kuaishou (Gao et al. 2022), each one an event.

The two logs under the standard policy, one after the other; the log of randomly inserted videos is left out.
A video that was shown is an event whether or not it was clicked on. Times are in milliseconds.
"""

from __future__ import annotations

from linrec_bench.data.published import Published, source
from linrec_bench.data.source import Remote
from linrec_bench.data.text_files import Form

KUAIRAND_1K = Published(
    name="kuairand-1k",
    title="11.7 million videos shown to 1000 users: long histories",
    licence="CC BY-SA 4.0",
    remote=Remote(
        url="https://zenodo.org/records/10439422/files/KuaiRand-1K.tar.gz",
        file="KuaiRand-1K.tar.gz",
        known_hash="md5:6b0b9c8222d67fcd4c676218edca3f1f",
    ),
    form=Form(columns=("user_id", "video_id", "time_ms")),
    members=(
        "KuaiRand-1K/data/log_standard_4_08_to_4_21_1k.csv",
        "KuaiRand-1K/data/log_standard_4_22_to_5_08_1k.csv",
    ),
)

SOURCES = (source(KUAIRAND_1K),)
