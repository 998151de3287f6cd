"""A script for `commands.paired_times`: trials of a suite by the code of the commit that it runs in.

Prints `ready`, then answers lines `{"case": name, "round": number}` until its input ends, each from a process
of its own: `{"status": how it ended, "detail": why, "times": seconds of each call}`.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from linrec_bench.commands import run
from linrec_bench.execution.trial import Executor, Trial
from linrec_bench.execution.worker import measure
from linrec_bench.gate.baseline import name_of
from linrec_bench.suite.expand import Job


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("suite")
    parser.add_argument("--device")
    for flag in ("--set", "--plugin"):
        parser.add_argument(flag, action="append", default=[])
    given = parser.parse_args()
    # What a plugin prints is no answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    plugins = [Path(plugin) for plugin in given.plugin]
    planned = run.prepare(given.suite, device=given.device, settings=given.set, plugins=plugins)
    jobs = {name_of(job.case): replace(job, measures=("time",)) for job in planned.jobs}
    with closing(run.start_executor(planned)) as executor:
        # Its server has imported all there is: nothing of this commit runs while the other one is timed.
        executor.call(len, "").result()
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            job = jobs.get(asked["case"])
            answer = _trial(executor, job, asked["round"]) if job else {"status": "not in the suite"}
            print(json.dumps(answer), file=answers, flush=True)


def _trial(executor: Executor, job: Job, round: int) -> dict[str, object]:
    limits = job.limits
    trial = Trial(
        work=partial(measure, job, round),
        seconds=limits.case_seconds,
        compile_seconds=limits.compile_seconds,
    )
    result = executor.submit(trial).result()
    times = [sample.value for sample in result.samples if sample.measure == "time"]
    return {"status": result.status, "detail": result.detail, "times": times}


if __name__ == "__main__":
    main()
