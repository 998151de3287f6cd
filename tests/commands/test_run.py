"""What is said before a run begins."""

from dataclasses import replace
from datetime import datetime

from linrec_bench.commands import run
from linrec_bench.execution.devices import Located


def test_other_processes_on_a_device_are_named(tmp_path):
    notes = []
    planned = run.prepare("quick", device="cpu")
    for count in (0, 2):
        located = Located(state={"other_processes": count})
        run.open_store(
            replace(planned, located=located), tmp_path, fresh=True, now=datetime.now(), on_note=notes.append
        )
    assert notes == ["cpu: other processes on it: 2; times and free memory depend on them"]
