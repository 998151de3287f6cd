"""A script for `gate.instructions`: a call of each of some cores, between marks for valgrind.

Runs as a file, so that the code of another commit, which may lack it, is called in the same way. Prints
`ready`, then for each case its number among the counts that valgrind writes, or why it has none.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from pathlib import Path

import torch

from linrec_bench import attention, tasks
from linrec_bench.case import Case
from linrec_bench.measures.spec import Measurable

WARM_CALLS = 2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plugin", action="append", default=[], type=Path)
    parser.add_argument("--cases", required=True, type=Path, help="file with a case as JSON in each line")
    parser.add_argument("--begin", required=True, type=Path, help="file that is there once valgrind counts")
    given = parser.parse_args()
    # What a plugin prints is no answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    for plugin in given.plugin:
        attention.load_plugin(plugin)
    torch.set_num_threads(1)
    gc.disable()
    warm = [_warmed(line) for line in given.cases.read_text(encoding="utf-8").splitlines()]
    print("ready", file=answers, flush=True)
    # Busy: valgrind takes commands while it runs code.
    while not given.begin.exists():
        pass
    part = 0
    for workload in warm:
        if isinstance(workload, str):
            print(json.dumps({"error": workload}), file=answers)
            continue
        torch._C._valgrind_toggle()
        workload.call()
        torch._C._valgrind_toggle_and_dump_stats()
        part += 1
        print(json.dumps({"part": part}), file=answers)


def _warmed(line: str) -> Measurable | str:
    """The workload of a case, called before, or what its code raises."""
    try:
        case = Case.from_json(line)
        build = tasks.registry()[case.task].build
        assert build is not None, "a core is called"
        workload = build(case)
        for _ in range(WARM_CALLS):
            workload.call()
            workload.reset()
    except Exception as error:  # noqa: BLE001 - code of a plugin may raise anything
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return workload


if __name__ == "__main__":
    main()
