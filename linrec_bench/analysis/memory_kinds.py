"""Peak memory, part by part: what backward needs, what else is alive, and what lies outside of tensors."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.samples_table import CASE_COLUMNS

KINDS = ("saved", "live", "process", "allocated", "reserved", "driver")
"""The parts in the order in which they are stacked; the first three on a CPU, saved and the rest on CUDA."""


def memory_kinds(summary: pd.DataFrame) -> pd.DataFrame:
    """One row a case that ended ok and kind of memory: the case columns, `kind` and `bytes`.

    On a CPU `saved` (`saved_bytes`), `live` (`peak_live_bytes` beyond it) and `process` (how far
    `peak_process_bytes` exceeds the live peak: workspaces, fragments, code). On CUDA `allocated`
    (`peak_allocated_bytes`), `reserved` (beyond that) and `driver` (beyond both). The peaks are taken in
    passes of their own, so that a part can be a little off; one that would be negative is 0, and a measure
    that is missing leaves its part out. Cases that lack a split (only one measure) are left out.
    """
    records = []
    for row in summary[summary["status"] == "ok"].to_dict("records"):
        on_cuda = pd.notna(row.get("peak_allocated_bytes"))
        columns = ("peak_allocated_bytes", "peak_reserved_bytes", "peak_driver_bytes")
        parts = ("allocated", "reserved", "driver")
        if not on_cuda:
            columns, parts = (
                ("saved_bytes", "peak_live_bytes", "peak_process_bytes"),
                ("saved", "live", "process"),
            )
        known = [
            (part, float(row[c])) for part, c in zip(parts, columns, strict=True) if pd.notna(row.get(c))
        ]
        if len(known) < 2 or known[0][0] != parts[0]:
            continue
        below = 0.0
        for part, total in known:
            case = {column: row[column] for column in CASE_COLUMNS}
            records.append(case | {"kind": part, "bytes": max(total - below, 0.0)})
            below = max(total, below)
    return pd.DataFrame.from_records(records, columns=[*CASE_COLUMNS, "kind", "bytes"])
