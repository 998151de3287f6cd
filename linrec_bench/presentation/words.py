"""The words of what rows name by a key: statuses, phases, tasks, directions, measures, verdicts. Pure."""

from __future__ import annotations

from linrec_bench.declarations import tasks

STATUS = {
    "ok": "measured",
    "oom": "out of memory",
    "timeout": "out of time",
    "killed": "killed",
    "error": "failed",
    "unsupported": "unsupported",
    "skipped": "skipped",
    "suspect": "suspect",
}
"""How a case ended."""

SHORT_STATUS = {
    "ok": "",
    "skipped": "skip",
    "unsupported": "n/a",
    "timeout": "time",
    "oom": "oom",
    "killed": "kill",
    "error": "err",
    "suspect": "sus",
}
"""The same for a cell of a narrow table."""

STATUS_VERB = {
    "oom": "runs out of memory",
    "timeout": "runs out of time",
    "killed": "is killed",
    "error": "fails",
    "skipped": "is skipped",
    "unsupported": "is not supported",
    "suspect": "cannot be believed",
}
"""The same as what happens to a mechanism."""

TASK = {name: task.word for name, task in tasks().items()}
"""What one call of a task is; a task with several phases is named with them, see `work`."""


def _phases() -> dict[str, str]:
    said: dict[str, set[str]] = {}
    for task in tasks().values():
        for name, word in task.phases.items():
            said.setdefault(name, set()).add(word)
    return {name: words.pop() if len(words) == 1 else name for name, words in said.items()}


PHASE = _phases()
"""The phases without their task, in the order of their work."""

MEASURE = {
    "peak_memory": "peak memory",
    "saved_memory": "bytes saved for backward",
    "time": "time of one call",
    "train_time": "training time",
    "peak_live_bytes": "peak memory",
    "peak_allocated_bytes": "peak memory",
    "peak_process_bytes": "peak memory of the process",
    "saved_bytes": "bytes saved for backward",
    "state_bytes": "state",
    "flops": "FLOPs",
}
"""Measures of rows."""

COST = {
    "time_s": "time of one call",
    "memory_bytes": "peak memory",
    "state_bytes": "state",
    "train_time_s": "training time",
    "peak_process_bytes": "peak memory of the process",
    "energy_j": "energy",
}
"""Columns of a summary."""

MEMORY_KIND = {
    "saved": "saved for backward",
    "live": "other live tensors",
    "process": "rest of the process",
    "allocated": "allocated tensors",
    "reserved": "reserved by the allocator",
    "driver": "beyond the allocator",
}
"""Parts of peak memory."""

GROWTH = {
    "constant": "a constant",
    "linear": "floor + N",
    "n_log_n": "floor + N log N",
    "quadratic": "floor + N^2",
    "linear_quadratic": "floor + N + N^2",
    "power": "floor + N^p",
}
"""Forms of growth with sequence length."""

NO_EXPONENT = {
    "few_lengths": "fewer than four lengths",
    "one_process": "one process at some length",
    "short_range": "range too short",
    "no_single_power": "no single power",
    "flat": "no growth",
    "n_log_n": "N log N fits",
}
"""Why a growth has no exponent, or what to know of it."""

CHEAPER = {"time_s": "faster", "memory_bytes": "leaner"}
"""A mechanism that costs less of it is called so."""

VERDICT_COLOUR = {
    "broken": "red",
    "not reproduced": "red",
    "worse": "red",
    "better": "green",
    "undecided": "yellow",
}
"""Colours in a terminal; the word says the same."""

_SLOWER = {"worse": "slower", "better": "faster", "same": "no difference"}
_MORE = {"worse": "more", "better": "less", "same": "no difference"}
_CHANGE = {
    "time": _SLOWER,
    "train_time": _SLOWER,
    "sampled": _MORE,
    "counted": _MORE | {"same": "equal"},
    "quality": {"worse": "worse", "better": "better", "same": "no difference"},
}

_METRIC = {"ndcg": "NDCG", "recall": "Recall", "mrr": "MRR"}


def direction(causal: object) -> str:
    """Whether a token sees earlier tokens only."""
    return "causal" if causal else "bidirectional"


def status(name: str, detail: str = "") -> str:
    """`out of time: stopped after its limit of 8 s`."""
    word = STATUS.get(name, name)
    return f"{word}: {detail}" if detail else word


def phase(task: str, name: str) -> str:
    """What one call of a task does: `forward + backward`, `training step`, `decoding step`, `training`."""
    return (tasks()[task].phases if task in tasks() else PHASE).get(name, name)


def work(task: str, name: str) -> str:
    """The same with the task: `layer forward + backward`."""
    said = phase(task, name)
    return said if said == TASK.get(task) else f"{TASK.get(task, task)} {said}"


def measure(name: str) -> str:
    """`peak memory` of `peak_live_bytes`; a ranking metric as `metric`, any other measure by its name."""
    return MEASURE.get(name) or (metric(name) if "@" in name else name)


def metric(name: str) -> str:
    """`ndcg@10` -> `NDCG@10`, `recall@10` -> `Recall@10`, `pop_ndcg@10` -> `pop NDCG@10`."""
    words, _, k = name.partition("@")
    *before, kind = words.split("_")
    return " ".join([*before, f"{_METRIC.get(kind, kind)}@{k}"])


def change(measure: str, family: str, verdict: str) -> str:
    """The verdict of a comparison as what became of a measure: `slower`, `less`, `no difference`."""
    words = _CHANGE.get(measure) or _CHANGE[family]
    return words.get(verdict, verdict)
