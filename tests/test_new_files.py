"""A measure and a task dropped in as files are in rows, summary, lists and schema without another edit."""

import json
import subprocess
import sys
from textwrap import dedent

import pytest

MEASURE = """
from linrec_bench.declarations import Quantity
from linrec_bench.measures.spec import MeasureSpec, Reading

def readings(workload, sampling):
    yield Reading("pages", 7, "1", "at a guess")

SPEC = MeasureSpec(
    name="pages",
    title="pages that a call touches",
    quantities=(Quantity("pages", "1", "pages touched", summarised="extra"),),
    readings=readings,
)
"""

TASK = """
from linrec_bench.declarations import Quantity
from linrec_bench.tasks.spec import TaskSpec

def build(case):
    import torch
    from linrec_bench.tasks.workloads import Workload

    x = torch.ones(case.seq_len, case.hidden_size, device=case.device)
    facts = {"rows_sorted": case.seq_len}
    return Workload(lambda: x.sort(dim=0), torch.device(case.device), minimum_bytes=2 * x.nbytes, facts=facts)

SPEC = TaskSpec(
    name="sort",
    title="sort the tokens",
    phases={"ascending": "ascending sort"},
    quantities=(Quantity("rows_sorted", "1", "rows sorted", summarised="extra"),),
    build=build,
)
"""

WALK = """
import json, sys
from pathlib import Path
import linrec_bench.measures, linrec_bench.tasks
linrec_bench.measures.__path__.append(sys.argv[1] + "/measures")
linrec_bench.tasks.__path__.append(sys.argv[1] + "/tasks")

from linrec_bench.analysis.summary import summarise
from linrec_bench.commands.catalogue import entries
from linrec_bench.execution import worker
from linrec_bench.execution.driver import predicted_samples
from linrec_bench.presentation import words
from linrec_bench.results.case_table import joined
from linrec_bench.results.rows import TRIAL, row_of
from linrec_bench.suite.expand import expand
from linrec_bench.suite.json_schema import suite_schema
from linrec_bench.suite.load import load
import pandas as pd

(job,) = expand(load(Path(sys.argv[1]) / "s.yaml", device="cpu", settings=[]), device="cpu")
rows = []

def report(measure, value, unit, *, phase="", repeat=0, detail=""):
    rows.append(row_of(job.case, run_id="r", suite="s", measure=measure, unit=unit, value=value))

worker.measure(job, 0, report)
for sample in predicted_samples(job, worker.predict(job.case)):
    report(sample.measure, sample.value, sample.unit)
report(TRIAL, 1.0, "s")
samples = joined(pd.DataFrame([row.as_dict() for row in rows]), {job.case.id: job.case})
summary = summarise(samples, reference="no-op")
print(json.dumps({
    "rows": {row.measure: [row.task, row.phase, row.unit] for row in rows},
    "summary": {name: int(summary[name].iloc[0]) for name in ("pages", "rows_sorted")},
    "measures": [entry["name"] for entry in entries("measures")],
    "schema": json.dumps(suite_schema()),
    "words": words.work("sort", "ascending"),
}))
"""


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """What a process tells of the new task with the new measure, given both files and nothing else."""
    folder = tmp_path_factory.mktemp("new")
    for room, text in (("measures", MEASURE), ("tasks", TASK)):
        (folder / room).mkdir()
        (folder / room / f"new_{room}.py").write_text(text)
    (folder / "s.yaml").write_text(
        dedent("""\
        title: s
        task: sort
        attention: [no-op]
        fixed: {seq_len: 16}
        measures: [time, pages]
        sampling: {seconds: 0.01, min: 1, max: 2}
        """)
    )
    done = subprocess.run([sys.executable, "-c", WALK, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_rows_have_the_new_task_and_measure(walked):
    for name in ("time", "pages", "rows_sorted"):
        assert walked["rows"][name][:2] == ["sort", "ascending"]
    assert walked["rows"]["pages"][2] == "1"


def test_the_summary_has_their_columns(walked):
    assert walked["summary"] == {"pages": 7, "rows_sorted": 16}


def test_lists_schema_and_words_know_them(walked):
    assert "pages" in walked["measures"]
    for name in ("pages", "sort", "ascending"):
        assert f'"{name}"' in walked["schema"]
    assert walked["words"] == "ascending sort"
