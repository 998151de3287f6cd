"""Time an event at real lengths beside full batches: which row stands beside which."""

import pytest

from linrec_bench.analysis.padding import padding_cost
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.results.case_table import frame_of
from linrec_bench.results.rows import TRIAL, row_of

FULL = {"padded_tokens": 64, "effective_tokens": 64}
DRAWN = {"padded_tokens": 48, "effective_tokens": 16}


def rows(case, time_s, tokens):
    values = [
        ("time", time_s, "s"),
        *((name, count, "1") for name, count in tokens.items()),
        (TRIAL, 1.0, "s"),
    ]
    made = [
        row_of(case, run_id="r", suite="s", measure=name, unit=unit, value=value)
        for name, value, unit in values
    ]
    return case, made


def case(attention="linrec", seq_len=16, **fields):
    shape = {"seq_len": seq_len, "batch_size": 4, "hidden_size": 8}
    return Case(task="core", phase="forward", attention=attention, **shape, **fields)


def summary(*samples):
    made = frame_of([row for _, part in samples for row in part], [case for case, _ in samples])
    return summarise(made, reference="softmax")


def test_an_event_costs_so_many_times_that_of_a_full_batch():
    table = summary(
        rows(case(), 6.4, FULL),
        rows(case(lengths="toy"), 4.8, DRAWN),
        rows(case(seq_len=32), 9.0, FULL),
        rows(case("softmax", lengths="toy"), 4.8, DRAWN),
    )
    assert table["time_per_token_s"].tolist() == pytest.approx([0.1, 0.3, 9 / 64, 0.3])
    found = padding_cost(table)
    # softmax has no full batch beside it, and another N is another shape.
    assert found["attention"].tolist() == ["linrec"]
    assert found["dataset"].tolist() == ["lengths of toy"]
    assert found["token_ratio"].tolist() == pytest.approx([3.0])
    assert found["real_share"].tolist() == pytest.approx([1 / 3])


def test_a_run_without_drawn_lengths_has_none():
    assert padding_cost(summary(rows(case(), 6.4, FULL))).empty
    without = summary(rows(case(), 6.4, {}))
    assert "time_per_token_s" not in without
    assert padding_cost(without).empty
