"""Tables from planted rows: what stands where, and that it fits."""

import math

import pandas as pd
import pytest

from linrec_bench.analysis.systems import mechanisms
from linrec_bench.terminal import quality_table
from linrec_bench.terminal import run_summary as module
from linrec_bench.terminal.block_chart import BLOCKS
from linrec_bench.terminal.run_summary import spread
from linrec_bench.terminal.streams import listed
from tests.case_columns import with_case_data

LENGTHS = [2**power for power in range(7, 15)]
NAMES = ["softmax", "linrec", "a-mechanism-with-a-long-name(features=elu,scale=1.0)"]


def panel(names, lengths):
    rows = [
        {
            "system": name,
            "seq_len": length,
            "time_s": math.nan if name == "softmax" and length > 4096 else 1.234e-7 * length**power,
            "status": "oom" if name == "softmax" and length > 4096 else "ok",
        }
        for power, name in zip((2, 1, 1), names, strict=False)
        for length in lengths
    ]
    return pd.DataFrame(rows)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("names", [NAMES[:2], NAMES])
def test_a_table_fits_with_the_first_and_the_last_length(names, capsys):
    module.show_panel("core forward", panel(names, LENGTHS), order=["linrec"])
    title, head, *rows = capsys.readouterr().out.rstrip().splitlines()
    assert title == "core forward: median time of one call"
    assert head.split()[0::1][1] == "128"
    assert head.split()[-2:] == ["16384", "growth"]
    assert max(map(len, [title, head, *rows])) <= 80
    # No name is folded to make room for lengths.
    assert [row.split()[0] for row in rows] == ["linrec", *(name for name in names if name != "linrec")]
    assert rows[0].startswith("linrec ")
    assert "15.8 µs" in rows[0]
    assert "oom" in rows[1]
    assert rows[1].rstrip().endswith(BLOCKS[-1])


def test_without_utf_8_there_are_no_blocks(capsys, monkeypatch):
    monkeypatch.setattr(module, "draws_blocks", lambda: False)
    module.show_panel("core forward", panel(NAMES[:2], LENGTHS), order=[])
    printed = capsys.readouterr().out
    assert "growth" not in printed
    assert not set(BLOCKS) & set(printed)


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(3, 6, [0, 1, 2]), (8, 3, [0, 4, 7]), (8, 2, [0, 7]), (1, 2, [0])]
)
def test_lengths_are_spread_with_both_ends(count, most, expected):
    assert spread(range(count), most) == expected


def test_findings_hang_under_a_dash_and_break_between_words(capsys):
    listed("linrec overtakes softmax at N = 700 [610, 820], forward + backward " + "word " * 12)
    first, second = capsys.readouterr().out.rstrip().splitlines()
    assert first.startswith("- linrec overtakes")
    assert "[610, 820]" in first
    assert second.startswith("  word")
    assert max(len(first), len(second)) <= 80


def ranked(**fields):
    row = {"attention": "softmax", "causal": True, "seq_len": 50, "seed": 0, "ndcg@10": 0.25, "status": "ok"}
    return with_case_data(row | {"epochs": 7, "train_time_s": 2.0, "model": ""} | fields)


def test_quality_tells_directions_where_there_are_both_and_epochs_where_there_are_some(capsys):
    quality_table.show_cases(
        "a title", mechanisms(pd.DataFrame([ranked(), ranked(causal=False, status="error")]))
    )
    title, head, first, second = capsys.readouterr().out.rstrip().splitlines()
    assert title == "Ranking quality on test, a title, N = 50"
    assert head.split()[:3] == ["attention", "direction", "seed"]
    assert first.split() == ["softmax", "causal", "0", "0.2500", "7", "2.00", "s"]
    assert second.split()[:4] == ["softmax", "bidirectional", "0", "err"]
    counted = pd.DataFrame([ranked(attention="no-op", epochs=pd.NA)]).astype({"epochs": "Int64"})
    quality_table.show_cases("a title", mechanisms(counted))
    _, head, row = capsys.readouterr().out.rstrip().splitlines()
    assert "direction" not in head
    assert row.split() == ["no-op", "0", "0.2500", "-", "2.00", "s"]


def test_names_of_mechanisms_stay_whole_beside_all_columns(capsys):
    full = {
        "recall@10": 0.3,
        "mrr@10": 0.1,
        "train_time_s": 1841.0,
        "quality_target": 0.1664,
        "to_target_s": 730.0,
    }
    rows = [ranked(attention="linrec-column", seq_len=200, **full), ranked(seq_len=200, **full)]
    quality_table.show_cases("a title", mechanisms(pd.DataFrame(rows)))
    _, head, first, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["attention", "seed"]
    assert first.split()[:2] == ["linrec-column", "0"]
    assert len(first) <= 80
    rows[1]["seq_len"] = 100
    quality_table.show_cases("a title", mechanisms(pd.DataFrame(rows)))
    title, head, *_ = capsys.readouterr().out.splitlines()
    assert title == "Ranking quality on test, a title"
    assert head.split()[:3] == ["attention", "N", "seed"]


def learnt(model, attention, ndcg, **fields):
    case = {"case_id": f"{model}{attention}{fields.get('seed', 0)}", "task": "recommend", "model": model}
    case |= {"dataset": "ml-1m", "phase": "train_and_rank", "run_id": "r", "suite": "s", "device": "cpu"}
    case |= {"batch_size": 64, "hidden_size": 64, "heads": 2, "layers": 2, "dtype": "float32"}
    costs = dict.fromkeys(
        ("events_per_s", "best_epoch", "memory_bytes", "peak_process_bytes", "energy_j"), 1.0
    )
    return ranked(attention=attention, **{"ndcg@10": ndcg, "reference": ""}, **case | costs | fields)


def test_systems_stand_in_one_table_the_best_first(capsys):
    rows = [
        learnt("sasrec(dropout=0.2)", "softmax", 0.2),
        learnt("sasrec(dropout=0.2)", "softmax", 0.3, seed=1),
        learnt("sasrec(dropout=0.2)", "linrec", 0.2, causal=False),
        learnt("recgrela(dropout=0.1)", "rela", 0.3, layers=4),
        learnt("lightsans", "lightsans", math.nan, status="oom", train_time_s=math.nan),
        learnt("gru4rec", "no-op", 0.1),
        learnt("gru4rec", "no-op", math.nan, seed=1, status="timeout", train_time_s=math.nan),
        learnt("popularity", "no-op", 0.05, epochs=math.nan),
    ]
    quality_table.show_quality(pd.DataFrame(rows), {"ml-1m": "whole catalogue"})
    title, head, *table = capsys.readouterr().out.rstrip().splitlines()
    assert title == "Ranking quality on test, whole catalogue: ml-1m, N = 50"
    assert head.split() == ["system", "seeds", "ndcg@10", "epochs", "training"]
    assert [row.split("  ")[0] for row in table] == [
        "recgrela",
        "sasrec, softmax",
        "sasrec, linrec",
        "gru4rec",
        "popularity",
        "lightsans",
    ]
    assert table[1].split()[2:4] == ["2", "0.2500"]
    assert table[3].split()[1:5] == ["1", "of", "2", "0.1000"]
    assert table[4].split()[3] == "-"
    assert "oom" in table[5]
    assert max(map(len, (title, head, *table))) <= 80


def test_mechanisms_of_several_models_stand_under_their_model(capsys):
    rows = [
        learnt(model, attention, 0.2, causal=causal)
        for attention, causal in (("softmax", True), ("linrec", False))
        for model in ("sasrec(dropout=0.2)", "core")
    ]
    rows.append(learnt("popularity", "no-op", 0.05, causal=False))
    quality_table.show_quality(pd.DataFrame(rows), {"ml-1m": "whole catalogue"})
    title, head, *table = capsys.readouterr().out.rstrip().splitlines()
    assert title == "Ranking quality on test, whole catalogue: ml-1m, N = 50"
    assert head.split()[:2] == ["attention", "direction"]
    assert [row[:14].rstrip() for row in table] == [
        "sasrec",
        "  softmax",
        "  linrec",
        "core",
        "  softmax",
        "  linrec",
        "no mechanism",
        "  popularity",
    ]
