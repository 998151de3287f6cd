import pytest

from linrec_bench.analysis.samples_table import SEVERITY
from linrec_bench.declarations import tasks
from linrec_bench.presentation import words
from linrec_bench.results.rows import STATUSES


def test_every_status_task_and_phase_has_words():
    for statuses in (words.STATUS, words.SHORT_STATUS):
        assert set(statuses) == set(STATUSES) == set(SEVERITY)
    assert set(words.STATUS_VERB) == set(STATUSES) - {"ok"}
    assert set(words.TASK) == set(tasks())
    assert set(words.PHASE) == {phase for task in tasks().values() for phase in task.phases}


@pytest.mark.parametrize(
    ("task", "phase", "work", "alone"),
    [
        ("layer", "forward_backward", "layer forward + backward", "forward + backward"),
        ("train_step", "step", "training step", "training step"),
        ("decode", "step", "decoding step", "decoding step"),
        ("recommend", "train_and_rank", "training", "training"),
    ],
)
def test_what_one_call_does(task, phase, work, alone):
    assert (words.work(task, phase), words.phase(task, phase)) == (work, alone)


def test_names_of_metrics_and_measures():
    assert [words.metric(name) for name in ("ndcg@10", "recall@5", "pop_ndcg@10")] == [
        "NDCG@10",
        "Recall@5",
        "pop NDCG@10",
    ]
    assert [words.measure(name) for name in ("peak_live_bytes", "mrr@10", "operations")] == [
        "peak memory",
        "MRR@10",
        "operations",
    ]


def test_a_change_is_told_as_what_became_of_the_measure():
    assert words.change("time", "sampled", "worse") == "slower"
    assert words.change("flops", "counted", "same") == "equal"
    assert words.change("ndcg@10", "quality", "better") == "better"
    assert words.change("ndcg@10", "quality", "undecided") == "undecided"


def test_a_status_with_its_reason():
    assert words.status("timeout", "stopped after its limit of 8 s") == (
        "out of time: stopped after its limit of 8 s"
    )
    assert words.status("ok") == "measured"
