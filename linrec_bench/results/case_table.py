"""The cases of a run as data: a JSON object a line in cases.jsonl, and the columns that rows get from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench.case import Case, Params
from linrec_bench.results.rows import COLUMNS, Row
from linrec_bench.results.samples_file import TEXTS, StoreError

if TYPE_CHECKING:
    import pandas as pd

CASES = "cases.jsonl"

CASE_DATA = {
    "attention_name": "name of the mechanism alone",
    "attention_params": "the parameters that were set, as a JSON object",
    "model_name": "name of the recommender alone",
    "model_params": "its parameters that were set",
    "dataset_name": "name of the data set alone",
    "dataset_params": "its parameters that were set",
    "lengths_of": "data set that lengths of a batch are drawn from, or `ramp`; empty where rows are full",
    "lengths_params": "its parameters that were set",
    "watermark": "dials of the planted run, as a JSON object; empty where nothing is planted",
    "watermark_distance": "events between a planted run and its target; missing where nothing is planted",
    "training": "all settings of training, as a JSON object; empty in tasks that read none",
    "evaluation": "all settings of the ranking, as a JSON object; empty in tasks that read none",
}
"""Columns that `Run.samples` and `Run.summary` add to what their files hold, and their meaning."""


def case_data(case: Case) -> dict[str, object]:
    """The columns `CASE_DATA` of one case."""
    watermark = dict(case.watermark)
    return {
        "attention_name": case.attention,
        "attention_params": canonical(case.attention_params),
        "model_name": case.model or "",
        "model_params": canonical(case.model_params),
        "dataset_name": case.dataset or "",
        "dataset_params": canonical(case.dataset_params),
        "lengths_of": case.lengths or "",
        "lengths_params": canonical(case.lengths_params),
        "watermark": canonical(case.watermark) if watermark else "",
        "watermark_distance": watermark.get("distance"),
        "training": case.training.model_dump_json() if case.training else "",
        "evaluation": case.evaluation.model_dump_json() if case.evaluation else "",
    }


def canonical(params: Params) -> str:
    """Parameters as a JSON object with sorted keys: equal texts are equal parameters."""
    return json.dumps(dict(params), sort_keys=True, separators=(",", ":"))


def joined(frame: pd.DataFrame, cases: Mapping[str, Case], *, where: Path = Path()) -> pd.DataFrame:
    """The rows with the columns `CASE_DATA` of their case, by `case_id`; rows of no case have empty ones.

    `cases` maps stored identifiers to cases. A later version may have added a field, which gives a stored
    case another identifier: rows come back under that one. Raises `StoreError`, which names the folder
    `where`, for a row of an unknown case.
    """
    unknown = set(frame["case_id"].unique()) - cases.keys() - {""}
    if unknown:
        lacking = min(map(str, unknown))
        raise StoreError(
            f"{where / CASES}: case {lacking} is not in it, though a row names it; left untouched"
        )
    import pandas as pd

    data = {stored: case_data(case) | {"case_id": case.id} for stored, case in cases.items()}
    data[""] = dict.fromkeys((*CASE_DATA, "case_id"), "") | {"watermark_distance": None}
    ids = frame["case_id"]
    if isinstance(ids.dtype, pd.CategoricalDtype):
        of_cases = pd.DataFrame([data[stored] for stored in ids.cat.categories], columns=list(data[""]))
        of_cases = of_cases.astype(dict.fromkeys(of_cases, "category") | {"watermark_distance": "Int64"})
        columns = of_cases.take(ids.cat.codes.to_numpy()).set_axis(frame.index)
    else:
        by_name = {name: {stored: values[name] for stored, values in data.items()} for name in data[""]}
        columns = pd.DataFrame({name: ids.map(known) for name, known in by_name.items()})
        columns = columns.astype({"watermark_distance": "Int64"})
    return frame.assign(**{str(name): column for name, column in columns.items()})


def frame_of(rows: Iterable[Row], cases: Iterable[Case]) -> pd.DataFrame:
    """Rows that are not stored, as `Run.samples` would return them."""
    import pandas as pd

    frame = pd.DataFrame([row.as_dict() for row in rows], columns=list(COLUMNS))
    frame = frame.astype(dict.fromkeys(TEXTS, "category"))
    return joined(frame, {case.id: case for case in cases})


def text_of(cases: Iterable[Case]) -> str:
    """The content of cases.jsonl: one JSON object a line, `case_id` and every field."""
    return "".join(f'{{"case_id":"{case.id}",{case.to_json()[1:]}\n' for case in cases)


def read_cases(folder: Path) -> dict[str, Case]:
    """Stored identifier -> case; `StoreError` with the line for a file that is missing or damaged."""
    path = folder / CASES
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); expected a run's folder") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: damaged, not UTF-8 text; left untouched") from error
    found: dict[str, Case] = {}
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
            stored = values.pop("case_id")
            found[stored] = Case.from_json(json.dumps(values))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StoreError(
                f"{path}:{number}: damaged, expected a JSON object with case_id and the fields of a case; "
                "left untouched"
            ) from error
    if len(found) != len(lines):
        raise StoreError(f"{path}: damaged, a case stands there twice; left untouched")
    return found
