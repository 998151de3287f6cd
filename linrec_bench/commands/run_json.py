"""What `run --json` and `report --json` print of a run: its findings, and the tables that they are from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def run_record(
    folder: Path, summary: pd.DataFrame, *, reference: str, differences: pd.DataFrame | None
) -> dict[str, object]:
    """`run_id`, `folder`, `reference`, `findings` (`analysis.findings.Finding`), `summary` (a row a case) and
    `differences` (of quality, paired by user and seed); null where a cell is empty."""
    from linrec_bench.analysis.headline import findings

    return {
        "run_id": folder.name,
        "folder": str(folder),
        "reference": reference,
        "findings": [finding.as_record() for finding in findings(summary, reference, differences)],
        "summary": _rows(summary),
        "differences": [] if differences is None else _rows(differences),
    }


def _rows(table: pd.DataFrame) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(table.to_json(orient="records"))
    return rows
