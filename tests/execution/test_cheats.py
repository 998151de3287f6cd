"""What makes a mechanism look faster than it is leaves marked rows, from the suite to the summary."""

from datetime import datetime

import pytest

from linrec_bench import attention
from linrec_bench.commands import run
from tests import cheats

# As few tokens as the reference answers for whatever the time.
SUITE = """\
title: cheats
task: core
attention: [{names}]
fixed: {{seq_len: 128, batch_size: 2, hidden_size: 16, heads: 2, causal: {causal}}}
phases: [forward]
measures: [time, flops]
rounds: 1
sampling: {{seconds: 0.05}}
reference: honest
"""

REASONS = {
    "pointer-replay": "on the inputs of the last one",
    "object-replay": "on the inputs of the last one",
    "content-replay": "on the inputs of the last one",
    "hidden-replay": "on the inputs of the last one",
    "every-other-replay": ("on the inputs of the last one", "two timed calls of other inputs gave the same"),
    # What is not written yet holds the numbers of an earlier call; a busy machine may write it in time.
    "side-work": (
        "of a timed call differs from the reference",
        "two timed calls of other inputs gave the same",
        "operations; fake tensors showed",
    ),
    "lazy": "no plain tensor",
    "clock": "time.perf_counter was replaced",
    "harness-clock": "WallClock.seconds was replaced",
    "synchronise": "torch.cuda.synchronize was replaced",
    "bfloat16": "of a timed call differs from the reference",
    "half-scores": "of a timed call differs from the reference",
    "precision-of-the-process": "precision of float32 matrix products of the process went from highest",
    "overwrites": "wrote into its inputs",
    "keeps-state": "of a timed call differs from the reference",
    "shape-table": "of a timed call differs from the reference",
    "tells-fake": "fake tensors showed",
}


@pytest.fixture(scope="module", params=["false", "true"], ids=["bidirectional", "causal"])
def samples(request, tmp_path_factory):
    """One run of all of them."""
    folder = tmp_path_factory.mktemp("cheats")
    suite = folder / "cheats.yaml"
    suite.write_text(SUITE.format(names=", ".join(cheats.BODIES), causal=request.param))
    plugins = [cheats.write(folder, name) for name in cheats.BODIES]
    try:
        planned = run.prepare(str(suite), device="cpu", plugins=plugins)
        stored, _ = run.open_store(planned, folder / "results", fresh=True, now=datetime.now(), on_note=print)
        summary = run.execute(planned, stored, lambda _: None)
    finally:
        attention.unload_plugins()
    return stored.samples(), summary.set_index("attention")


def test_each_has_a_reason():
    assert set(cheats.BODIES) == {"honest", *REASONS}


@pytest.mark.parametrize("name", REASONS)
def test_it_is_suspect_with_its_reason_and_its_times_enter_nothing(samples, name):
    rows, summary = samples
    ended = summary.loc[name]
    assert (ended["status"], ended["rounds"]) == ("suspect", 0)
    # A draw decides which calls are checked, and so which of two reasons comes first.
    reasons = REASONS[name] if isinstance(REASONS[name], tuple) else (REASONS[name],)
    assert any(reason in ended["detail"] for reason in reasons)
    assert summary[["time_s", "time_ratio", "ceiling_share"]].loc[name].isna().all()
    # The values stay where they were measured.
    taken = rows[(rows["attention"] == name) & (rows["measure"] == "time")]
    assert taken["value"].notna().all()
    assert len(taken) >= 3


def test_the_honest_one_is_not(samples):
    _, summary = samples
    assert (summary.loc["honest"]["status"], summary.loc["honest"]["detail"]) == ("ok", "")
    assert summary.loc["honest"]["time_s"] > 0
