"""The data columns of rows that a test writes by hand."""

import json

from linrec_bench.case import read_name
from linrec_bench.results.case_table import CASE_DATA


def with_case_data(row):
    """The row with what `Run.summary` would add, as its labels say."""
    data = dict.fromkeys(CASE_DATA, "")
    distance = row.get("watermark_distance")
    marked = distance is not None
    for column in ("attention", "model", "dataset"):
        text = str(row.get(column) or "").partition("+watermark")[0]
        if text.startswith("lengths of "):
            data["lengths_of"], text = text.removeprefix("lengths of "), ""
        name, params = read_name(text) if text else ("", {})
        data |= {f"{column}_name": name, f"{column}_params": json.dumps(params, separators=(",", ":"))}
    data |= {
        "watermark_distance": distance,
        "watermark": json.dumps({"distance": distance}) if marked else "",
    }
    return data | row
