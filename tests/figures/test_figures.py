"""What every figure must hold: all lines, all failures, no overlapping words, the same bytes again."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from linrec_bench import figures
from linrec_bench.analysis.summary import summarise
from linrec_bench.figures import (
    FIGURES,
    PAPER,
    NothingToDraw,
    draw_all,
    layout,
    parts,
    save,
    style_of,
)
from linrec_bench.results.case_table import CASE_DATA
from linrec_bench.results.rows import COLUMNS as ROW_COLUMNS
from linrec_bench.results.samples_file import plain

STYLES = [PAPER, style_of("slides", "dark")]
STYLE_NAMES = [style.suffix or "paper" for style in STYLES]


@pytest.fixture(scope="module")
def time_figure(cost_summary, cost_samples):
    """Eight panels, which take seconds; look at it only."""
    return FIGURES["time"].draw(cost_summary, cost_samples)


@pytest.fixture(scope="module")
def one_panel(cost_summary):
    return cost_summary.query("batch_size == 1 and hidden_size == 64 and phase == 'forward'")


@pytest.fixture(scope="module")
def one_panel_figure(one_panel, cost_samples):
    """Look at it only."""
    return FIGURES["time"].draw(one_panel, cost_samples)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["time", "memory"])
def test_cost_has_a_panel_a_setting_and_a_line_a_mechanism(
    name, time_figure, cost_summary, cost_samples, artists, assert_readable
):
    figure = time_figure if name == "time" else FIGURES[name].draw(cost_summary, cost_samples)
    assert len(figure.axes) == 8
    assert len(artists(figure, "line ")) == 8 * 6
    # Four panels a phase go in two lines, each of which is labelled.
    assert len(artists(figure, "label")) == 4 * 6
    assert_readable(figure)


@pytest.mark.slow
def test_lines_show_what_was_measured_and_nothing_else(time_figure, cost_summary, artists):
    drawn = [line.get_ydata() for line in artists(time_figure, "line softmax")]
    measured = cost_summary.query("attention == 'softmax' and status == 'ok'")["time_s"]
    assert sorted(np.concatenate([y[~np.isnan(y)] for y in drawn])) == sorted(measured)
    assert all(np.isnan(y).sum() == 2 for y in drawn)


def test_fits_follow_the_planted_law_inside_what_was_measured(one_panel_figure, artists, planted):
    (fit,) = artists(one_panel_figure, "fit softmax")
    floor, slope, power = planted.COSTS["softmax"]
    lengths, times = fit.get_data()
    assert (lengths[0], lengths[-1]) == pytest.approx((128, 4096))
    assert times == pytest.approx(floor + slope * lengths**power, rel=0.12)


def test_an_interval_beyond_the_axis_is_cut_off_with_an_arrowhead(
    one_panel, one_panel_figure, cost_samples, artists
):
    one = one_panel.copy()
    assert not artists(one_panel_figure, "cut off")
    one.loc[(one["attention"] == "linrec") & (one["seq_len"] == 1024), "time_s_high"] = 1e6
    figure = FIGURES["time"].draw(one, cost_samples)
    (arrowhead,) = artists(figure, "cut off")
    assert arrowhead.get_gid() == "cut off linrec"
    (length,), (edge,) = arrowhead.get_data()
    assert length == 1024
    assert one["time_s"].max() < edge < figure.axes[0].get_ylim()[1]
    assert "Arrowhead" in next(text.get_text() for text in figure.texts if text.get_gid() == "small print")


def test_a_time_of_launches_is_hollow_and_said(one_panel, one_panel_figure, cost_samples, artists):
    one = one_panel.copy()
    assert not artists(one_panel_figure, "warned")
    one["launch_bound"] = float("nan")
    one.loc[one["attention"] == "linrec", "launch_bound"] = (one["seq_len"] <= 512).astype(float)
    figure = FIGURES["time"].draw(one, cost_samples)
    (marks,) = artists(figure, "warned linrec")
    assert set(marks.get_xdata()) == set(one.loc[one["seq_len"] <= 512, "seq_len"])
    assert marks.get_markerfacecolor() != marks.get_color()
    assert "launch-bound" in next(t.get_text() for t in figure.texts if t.get_gid() == "small print")


def test_crossings_stand_at_the_planted_lengths(one_panel_figure, artists, assert_readable):
    figure = one_panel_figure
    (mark,) = artists(figure, "crossing linrec")[:1]
    # 3e-5 + 5e-11 N^2 = 9e-5 + 2e-8 N
    truth = max(np.roots([5e-11, -2e-8, -6e-5]))
    assert mark.get_xdata()[0] == pytest.approx(truth, rel=0.06)
    assert not artists(figure, "crossing copy")
    assert not artists(figure, "crossing softmax")
    assert_readable(figure)


def test_without_a_reference_nothing_crosses(one_panel, cost_samples, artists):
    figure = FIGURES["time"].draw(one_panel.assign(reference=""), cost_samples)
    assert not artists(figure, "crossing")


@pytest.mark.slow
def test_failures_are_hollow_marks_on_top_with_their_reason(time_figure, artists):
    marks = artists(time_figure, "failed ")
    assert len(marks) == 8
    for mark in marks:
        assert mark.get_fillstyle() == "none"
        assert list(mark.get_xdata()) == [8192, 16384]
        assert 0.94 < mark.get_ydata()[0] < 1
    assert {text.get_text() for text in artists(time_figure, "why")} == {"out of memory, skipped"}


def test_a_case_that_failed_in_a_later_round_is_not_drawn_as_measured(
    one_panel, cost_samples, artists, assert_readable
):
    partly = one_panel.copy()
    partly.loc[partly["attention"] == "linrec", "status"] = "killed"
    figure = FIGURES["time"].draw(partly, cost_samples)
    linrec = [line for line in artists(figure, "line") if line.get_gid() == "line linrec"]
    assert len(linrec) == 1
    assert all(np.isnan(line.get_ydata()).all() for line in linrec)
    assert_readable(figure)


def test_many_failures_leave_room_for_the_lines(cost_summary, cost_samples, assert_readable):
    rows = cost_summary.query("batch_size == 1 and hidden_size == 64 and phase == 'forward'")
    many = [rows.query("attention == 'linrec'")]
    many += [many[0].assign(attention=f"mechanism-{k}", status="unsupported") for k in range(7)]
    figure = FIGURES["time"].draw(pd.concat(many), cost_samples)
    low, high = figure.axes[0].get_ylim()
    share = np.log(many[0]["time_s"].max() / low) / np.log(high / low)
    assert 0.6 < share < 0.75
    assert_readable(figure)


def test_more_panels_than_fit_beside_each_other_go_below(cost_summary, cost_samples, assert_readable):
    rows = cost_summary.query("phase == 'forward' and hidden_size == 64 and batch_size == 1")
    wide = pd.concat([rows.assign(batch_size=b) for b in (1, 2, 4, 8, 16)])
    figure = FIGURES["time"].draw(wide, cost_samples)
    assert [ax.axison for ax in figure.axes] == [True] * 5 + [False]
    assert {ax.get_title(loc="left") for ax in figure.axes[:5]} == {
        f"batch\u00a0{b}" for b in (1, 2, 4, 8, 16)
    }
    # The panel above the empty place has the lengths under it.
    assert [ax.get_xlabel() != "" for ax in figure.axes] == [False, False, True, True, True, False]
    assert_readable(figure)


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES, ids=STYLE_NAMES)
def test_many_mechanisms_are_shown_in_groups(style, zoo_summary, zoo_samples, artists, assert_readable):
    figure = FIGURES["time"].draw(zoo_summary, zoo_samples, style)
    shown = [
        [text.get_text() for text in ax.texts if text.get_gid() == "label"] for ax in figure.axes if ax.axison
    ]
    assert all("softmax" in names for names in shown)
    assert max(map(len, shown)) <= layout.GROUP + 1
    others = [name for names in shown for name in names if name != "softmax"]
    assert sorted(others) == sorted(set(zoo_summary["attention"]) - {"softmax"})
    for ax, names in zip(figure.axes, shown, strict=True):
        lines = [line for line in ax.lines if (line.get_gid() or "").startswith("line ")]
        assert len({line.get_color() for line in lines}) == len(names)
        assert sum((line.get_gid() or "").startswith("behind ") for line in ax.lines) == 25 - len(names)
    assert_readable(figure)


def test_groups_go_from_the_cheapest_to_the_dearest(zoo_summary):
    found = layout.lay_out(zoo_summary, down=("phase",), across=(), value="time_s")
    means = zoo_summary.groupby("attention")["time_s"].median()
    groups = [means[[n for n in cell.shown if n != "softmax"]].median() for cell in found.cells]
    assert groups == sorted(groups)


@pytest.mark.parametrize("draw", [FIGURES["time"].draw, FIGURES["memory"].draw])
def test_nothing_measured_is_said(draw, cost_summary, cost_samples):
    failed = cost_summary.query("attention == 'softmax' and seq_len > 4096")
    with pytest.raises(NothingToDraw, match="no case that ended ok"):
        draw(failed, cost_samples)
    with pytest.raises(NothingToDraw, match="one sequence length"):
        draw(cost_summary.query("seq_len == 128"), cost_samples)


def test_growth_recovers_the_planted_exponents(cost_summary, cost_samples, artists, assert_readable):
    figure = FIGURES["growth"].draw(cost_summary, cost_samples)
    assert len(artists(figure, "exponent ")) == 8 * 6
    for name, power in (("sdpa", 2), ("linrec", 1)):
        drawn = [line.get_xdata()[0] for line in artists(figure, f"exponent {name}")]
        assert np.median(drawn) == pytest.approx(power, abs=0.06)
    assert_readable(figure)


def test_growth_without_raw_samples_is_not_guessed(cost_summary, cost_samples):
    with pytest.raises(NothingToDraw, match="no raw samples"):
        FIGURES["growth"].draw(cost_summary, cost_samples[:0])


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES, ids=STYLE_NAMES)
def test_speed_ups_are_written_in_their_cells(style, cost_summary, cost_samples, artists, assert_readable):
    figure = FIGURES["speedup"].draw(cost_summary, cost_samples, style)
    rows = cost_summary.query("attention not in ('copy', 'sdpa')")
    assert len(artists(figure, "speed")) == rows["time_ratio"].notna().sum()
    # A cell and its cross.
    assert len(artists(figure, "failed")) == 2 * (rows["status"] != "ok").sum()
    assert not artists(figure, "alone")
    first = next(ax for ax in figure.axes if ax.get_title(loc="left").startswith("linrec,"))
    one = rows.query("attention == 'linrec' and phase == 'forward' and batch_size == 1 and hidden_size == 64")
    said = [float(text.get_text()) for text in first.texts[:8]]
    assert said == pytest.approx(list(1 / one.sort_values("seq_len")["time_ratio"]), rel=0.06)
    assert_readable(figure)


def test_cells_without_the_reference_are_hatched_and_without_a_map_nothing_is_drawn(
    planted, artists, cost_samples
):
    summary = summarise(cost_samples, reference="softmax")
    figure = FIGURES["speedup"].draw(summary, cost_samples)
    alone = artists(figure, "alone")
    assert len(alone) == 2 * 4 * 2 * 4
    assert all(patch.get_hatch() for patch in alone)
    with pytest.raises(NothingToDraw, match="neither batch nor width"):
        FIGURES["speedup"].draw(summary.query("batch_size == 1 and hidden_size == 64"), cost_samples)
    with pytest.raises(NothingToDraw, match="reference"):
        FIGURES["speedup"].draw(summary.assign(reference=""), cost_samples)


def test_a_mechanism_that_takes_no_memory_has_no_bar(cost_summary, cost_samples):
    one = cost_summary.query("phase == 'forward' and batch_size == 16 and hidden_size == 64").copy()
    kinds = ["saved_bytes", "peak_live_bytes", "peak_process_bytes"]
    one.loc[one["attention"] == "linrec", kinds] = 0.0
    figure = FIGURES["memory_kinds"].draw(one, cost_samples)
    assert any(bar.get_width() == 0 for bar in figure.axes[0].patches)


def test_memory_is_stacked_to_the_measured_sum(cost_summary, cost_samples, artists, assert_readable):
    one = cost_summary.query("phase == 'forward_backward' and batch_size == 16 and hidden_size == 64")
    figure = FIGURES["memory_kinds"].draw(one, cost_samples)
    left, right = figure.axes
    # softmax failed at the two longest, so all of them meet at 4,096.
    assert "N = 4,096" in left.get_title(loc="left").replace("\u00a0", " ")
    at_length = one.query("seq_len == 4096").set_index("attention")
    names = [label.get_text() for label in left.get_yticklabels()]
    for kind in ("saved", "live", "process"):
        bars = [p for p in left.patches if p.get_gid() == f"bars {kind}"]
        assert len(bars) == len(names)
    ends = [max(p.get_x() + p.get_width() for p in left.patches if abs(p.get_y() + 0.36 - at) < 0.01)
            for at in range(len(names))]  # fmt: skip
    assert ends == pytest.approx(list(at_length.loc[names, "peak_process_bytes"].astype(float)))
    assert {round(p.get_x() + p.get_width(), 9) for p in right.patches if p.get_gid() == "bars process"} == {
        1
    }
    assert_readable(figure)


def test_memory_that_was_not_split_is_not_stacked(cost_summary, cost_samples):
    with pytest.raises(NothingToDraw, match="by kind"):
        FIGURES["memory_kinds"].draw(cost_summary.drop(columns="saved_bytes"), cost_samples)


@pytest.mark.parametrize("style", STYLES, ids=STYLE_NAMES)
def test_amdahl_has_a_panel_a_width_and_catalogue(
    style, step_summary, step_samples, artists, assert_readable
):
    figure = FIGURES["amdahl"].draw(step_summary, step_samples, style)
    titles = {ax.get_title(loc="left").replace("\u00a0", " ").replace("\n", " ") for ax in figure.axes}
    assert titles == {f"hidden {d}, catalogue {n}" for d in (64, 128) for n in ("2,000", "100,000")}
    drawn = np.concatenate([line.get_ydata() for line in artists(figure, "line ")])
    assert np.nanmin(drawn) > 0
    assert np.nanmax(drawn) <= 1
    assert len(artists(figure, "failed softmax")) == 2
    assert_readable(figure)


def test_padding_has_a_line_a_mechanism_and_says_how_much_is_real(artists, assert_readable, tmp_path):
    place = {"run_id": "r", "suite": "s", "task": "core", "model": "", "batch_size": 4, "hidden_size": 8}
    place |= {"heads": 2, "layers": 1, "dtype": "float32", "device": "cpu", "causal": True, "seed": 0}
    place |= {"phase": "forward", "status": "ok"}
    rows = [
        place
        | {"attention": name, "seq_len": length, "dataset": dataset, "padded_tokens": 4 * length}
        | {"effective_tokens": 4 * length // (2 if dataset else 1), "time_per_token_s": cost}
        | {"lengths_of": "ml-1m" if dataset else "", "attention_name": name, "attention_params": "{}"}
        for name in ("softmax", "linrec")
        for length in (64, 128, 256)
        for dataset, cost in (("", 1e-6), ("lengths of ml-1m", 3e-6))
    ]
    figure = FIGURES["padding"].draw(pd.DataFrame(rows), pd.DataFrame())
    for line in artists(figure, "line "):
        assert line.get_ydata().tolist() == pytest.approx([3, 3, 3])
    assert len(artists(figure, "line ")) == 2
    assert_readable(figure)
    with pytest.raises(NothingToDraw, match="no case has lengths of a data set"):
        FIGURES["padding"].draw(pd.DataFrame(rows[::2]), pd.DataFrame())


@pytest.mark.parametrize("style", STYLES, ids=STYLE_NAMES)
def test_decoding_shows_latency_and_state(style, decode_summary, decode_samples, artists, assert_readable):
    latency = FIGURES["latency"].draw(decode_summary, decode_samples, style)
    assert len(artists(latency, "line ")) == 2 * 4
    assert len(artists(latency, "crossing linrec")) == 1
    assert latency.axes[0].get_xlabel() == "length of the history N"
    assert_readable(latency)
    state = FIGURES["state"].draw(decode_summary, decode_samples, style)
    flat, grows = (artists(state, f"line {name}")[0].get_ydata() for name in ("linrec", "softmax"))
    assert len(set(flat)) == 1
    assert grows[-1] / grows[0] == pytest.approx(256)
    assert "No state at all: copy." in " ".join(state.texts[1].get_text().split())
    assert not artists(state, "line copy")
    assert_readable(state)


def test_whole_models_are_lines_of_one_panel(decode_summary, decode_samples, artists):
    """A model that is met with one mechanism goes by its own name, another by both."""
    models = {"softmax": "sasrec", "linrec": "sasrec", "sdpa": "hstu", "copy": "gru4rec"}
    summary, samples = (
        frame[frame["batch_size"] == 1].assign(
            model=lambda rows: rows["attention"].map(models),
            model_name=lambda rows: rows["attention"].map(models),
        )
        for frame in (decode_summary, decode_samples)
    )
    latency = FIGURES["latency"].draw(summary, samples)
    for name in ("sasrec, softmax", "sasrec, linrec", "hstu", "gru4rec"):
        assert len(artists(latency, f"line {name}")) == 1
    assert len(artists(latency, "crossing sasrec, linrec")) == 1
    assert "than sasrec, softmax" in " ".join(latency.texts[1].get_text().split())
    state = FIGURES["state"].draw(summary, samples)
    assert "No state at all: gru4rec." in " ".join(state.texts[1].get_text().split())
    assert artists(state, "line sasrec, linrec")
    # One model alone keeps the names of its mechanisms.
    alone = FIGURES["state"].draw(summary.assign(model="sasrec", model_name="sasrec"), samples)
    assert artists(alone, "line linrec")


def test_floors_beside_one_model_stand_in_words_and_share_its_panel(quality_samples, artists):
    def with_floor(rows):
        mixing = rows["attention_name"] == "linrec"
        floor = {"case_id": "p" + rows["case_id"], "model": "popularity", "model_name": "popularity"}
        nothing = {"attention": "no-op", "attention_name": "no-op"}
        return pd.concat([rows, rows[mixing].assign(**floor, **nothing)], ignore_index=True)

    samples = with_floor(plain(quality_samples))
    summary = summarise(samples, reference="softmax")
    quality = FIGURES["quality"].draw(summary, samples)
    alone = FIGURES["quality"].draw(summarise(quality_samples, reference="softmax"), quality_samples)
    assert len(quality.axes) == len(alone.axes)
    assert "Not drawn, without a mechanism: popularity 0." in " ".join(quality.texts[1].get_text().split())
    by_history = FIGURES["quality_by_history"].draw(summary, samples)
    assert len([ax for ax in by_history.axes if ax.axison]) == 1
    assert artists(by_history, "line popularity")


@pytest.mark.parametrize("style", STYLES, ids=STYLE_NAMES)
def test_quality_shows_means_seed_intervals_and_what_is_missing(
    style, quality_summary, quality_samples, assert_readable
):
    figure = FIGURES["quality"].draw(quality_summary, quality_samples, style)
    assert [ax.get_xlabel() for ax in figure.axes] == ["training time", "peak memory", "energy"]
    points = [container[0].get_ydata()[0] for container in figure.axes[0].containers]
    means = quality_summary.groupby("attention", sort=False)["ndcg@10"].mean()
    assert sorted(points) == pytest.approx(sorted(means))
    small_print = " ".join(figure.texts[1].get_text().split())
    assert "over 2 to 3 seeds" in small_print
    assert "Seeds that did not end ok: softmax 1" in small_print
    assert_readable(figure)


def test_an_interval_beyond_the_axis_ends_in_an_arrowhead(quality_summary, quality_samples, artists):
    wild = quality_summary.copy()
    of = wild["attention"] == "linrec"
    wild.loc[of, "ndcg@10"] *= np.where(wild.loc[of, "seed"] == 0, 0.2, 1.8)
    figure = FIGURES["quality"].draw(wild, quality_samples)
    arrows = artists(figure, "cut off linrec")
    low, high = figure.axes[0].get_ylim()
    assert {float(line.get_ydata()[0]) for line in arrows} == {low, high}
    assert "Arrowhead: the interval goes on beyond" in " ".join(figure.texts[1].get_text().split())
    figure = FIGURES["quality"].draw(quality_summary, quality_samples)
    small_print = " ".join(figure.texts[1].get_text().split())
    assert bool(artists(figure, "cut off")) == ("Arrowhead" in small_print)


def test_one_seed_has_no_bars_and_nothing_is_called_dominated(quality_summary, quality_samples):
    figure = FIGURES["quality"].draw(quality_summary.query("seed == 0"), quality_samples)
    assert not any(container.has_xerr or container.has_yerr for container in figure.axes[0].containers)
    assert "one seed, no interval" in figure.texts[1].get_text()
    assert all(container[0].get_color() != PAPER.quiet for container in figure.axes[0].containers)


def test_the_front_joins_the_points_that_no_mean_beats(quality_summary, quality_samples, artists):
    figure = FIGURES["quality"].draw(quality_summary, quality_samples)
    front = artists(figure, "front")[0].get_xydata()
    means = quality_summary.groupby("attention")[["train_time_s", "ndcg@10"]].mean()
    assert front == pytest.approx(means.loc[["linrec", "sdpa"]].to_numpy())


@pytest.fixture(scope="module")
def of_systems(quality_samples, planted):
    """Rows of whole systems, made of those of mechanisms: two of sasrec, one of another model and width."""
    models = {"softmax": "sasrec(dropout=0.2)", "linrec": "sasrec(dropout=0.2)", "sdpa": "hstu"}
    layers = {"softmax": 2, "linrec": 2, "sdpa": 4}
    names = {attention: model.partition("(")[0] for attention, model in models.items()}
    samples = quality_samples.assign(
        model=quality_samples["attention"].map(models),
        model_name=quality_samples["attention"].map(names),
        layers=quality_samples["attention"].map(layers),
    )
    return summarise(samples, reference="softmax"), samples


def test_systems_stand_in_one_panel_a_cost(of_systems, artists, assert_readable):
    summary, samples = of_systems
    figure = FIGURES["quality"].draw(summary, samples)
    assert [ax.get_xlabel() for ax in figure.axes] == ["training time", "peak memory", "energy"]
    for ax in figure.axes:
        assert len(ax.containers) == 3
        assert {text.get_text() for text in ax.texts} >= {"sasrec, softmax", "sasrec, linrec", "hstu"}
    small_print = " ".join(figure.texts[1].get_text().split())
    assert "layers" not in small_print, "it is a system's own"
    assert "Seeds that did not end ok: sasrec, softmax 1" in small_print
    colours = {container[0].get_color() for container in figure.axes[0].containers}
    assert len(colours - {PAPER.quiet}) >= 2
    assert_readable(figure)


def test_systems_are_lines_of_one_panel_of_history_and_of_learning(of_systems, artists):
    summary, samples = of_systems
    for figure in (
        FIGURES["quality_by_history"].draw(summary, samples),
        FIGURES["learning_curves"].draw(summary, samples),
    ):
        assert len(figure.axes) == 1
        for name in ("sasrec, softmax", "sasrec, linrec", "hstu"):
            assert artists(figure, f"line {name}")


def test_mechanisms_within_models_have_a_panel_a_model(quality_samples, artists):
    quality_samples = plain(quality_samples)
    both = pd.concat(
        [
            quality_samples.assign(model=model, model_name=name, case_id=quality_samples["case_id"] + model)
            for model, name in (("sasrec(dropout=0.2)", "sasrec"), ("core", "core"))
        ]
    )
    figure = FIGURES["quality"].draw(summarise(both, reference="softmax"), both)
    assert len(figure.axes) == 6
    assert [ax.get_ylabel() for ax in figure.axes[::3]] == ["core\ntest NDCG@10", "sasrec\ntest NDCG@10"]
    assert {"softmax", "linrec", "sdpa"} <= {text.get_text() for text in figure.axes[0].texts}


def test_learning_curves_sum_epoch_times_and_mark_the_best_epoch(
    quality_summary, quality_samples, artists, assert_readable
):
    figure = FIGURES["learning_curves"].draw(quality_summary, quality_samples)
    lines = artists(figure, "line ")
    # The seed that ran out of time is not drawn: its trial did not end ok.
    assert len(lines) == 8
    slow = artists(figure, "line softmax")[0]
    spent = quality_samples.query("attention == 'softmax' and seed == 0 and measure == 'epoch_time'")["value"]
    assert slow.get_xdata() == pytest.approx(np.cumsum(spent))
    assert slow.get_markevery() == [9]
    assert_readable(figure)


def test_quality_by_history_has_a_point_a_group(quality_summary, quality_samples, artists, assert_readable):
    figure = FIGURES["quality_by_history"].draw(quality_summary, quality_samples)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [
        "5-19", "20-49", "50-199", "200+",
    ]  # fmt: skip
    linrec = artists(figure, "line linrec")[0].get_ydata()
    assert all(np.diff(linrec) < 0)
    assert "Queries: 5-19: 900, 20-49: 700" in " ".join(figure.texts[1].get_text().split())
    assert_readable(figure)
    assert len(FIGURES["quality_by_users"].draw(quality_summary, quality_samples).axes) == 1
    with pytest.raises(NothingToDraw, match="by history"):
        FIGURES["quality_by_history"].draw(
            quality_summary, quality_samples[quality_samples["group_by"] == ""]
        )


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES, ids=STYLE_NAMES)
@pytest.mark.parametrize("draw", [FIGURES["learning_curves"].draw, FIGURES["quality_by_history"].draw])
def test_trainings_of_many_mechanisms_stay_readable(draw, style, zoo_training_samples, assert_readable):
    summary = summarise(zoo_training_samples, reference="softmax")
    assert_readable(draw(summary, zoo_training_samples, style))


def test_the_pareto_front_of_many_mechanisms_names_every_point(zoo_training_samples, artists):
    summary = summarise(zoo_training_samples, reference="softmax")
    figure = FIGURES["quality"].draw(summary, zoo_training_samples)
    assert len(figure.axes) == 2
    for ax in figure.axes:
        assert {t.get_text() for t in ax.texts if t.get_gid() == "label"} == set(summary["attention"])


@pytest.mark.parametrize("axis", ["x", "y"])
def test_names_of_points_stand_clear_of_the_intervals(quality_summary, quality_samples, axis):
    figure = FIGURES["quality"].draw(quality_summary, quality_samples)
    bars = 0
    for ax in figure.axes:
        for bar in ax.collections:
            low, high = ax.transData.transform(bar.get_segments()[0])
            if (low[0] == high[0]) != (axis == "y"):
                continue
            bars += 1
            box = Bbox([low, high]).padded(0.5)
            assert not any(t.get_window_extent().overlaps(box) for t in ax.texts if t.get_gid() == "label")
    assert bars


def test_a_run_draws_what_it_has_rows_for(decode_summary, decode_samples, tmp_path):
    style = style_of("slides", "dark")
    drawn = draw_all(decode_samples, decode_summary, tmp_path, style=style, formats=("svg",))
    assert drawn["quality"] == "the run has no case of task recommend"
    files = {path.name for paths in drawn.values() if not isinstance(paths, str) for path in paths}
    assert files == {"latency_slides_dark.svg", "state_slides_dark.svg"}
    assert {path.name for path in tmp_path.iterdir()} == files


def test_a_summary_read_from_a_file_draws_the_same(quality_summary, quality_samples, tmp_path):
    quality_summary.to_csv(tmp_path / "summary.csv", index=False)
    stored = pd.read_csv(tmp_path / "summary.csv", dtype={"case_id": str})
    for name, summary in (("a", quality_summary), ("b", stored)):
        drawn = draw_all(quality_samples[:0], summary, tmp_path / name, formats=("svg",))
        assert drawn["learning_curves"].startswith("no trial")
    assert (tmp_path / "a/quality.svg").read_bytes() == (tmp_path / "b/quality.svg").read_bytes()


@pytest.mark.slow
def test_files_are_small_and_the_same_rows_give_the_same_bytes(cost_summary, cost_samples, tmp_path):
    part = cost_summary.query("batch_size == 1 and hidden_size == 64")
    first, again = (
        save(FIGURES["time"].draw(part, cost_samples, PAPER), tmp_path / name / "time") for name in "ab"
    )
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert 5_000 < one.stat().st_size < 150_000
    with Image.open(first[0]) as picture:
        assert picture.size[0] > 600
    assert b"linear-transformer</text>" in first[1].read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("source", ["cost", "step", "decode", "quality"])
def test_a_run_whose_samples_are_not_stored_is_drawn_from_its_summary(source, request):
    summary = request.getfixturevalue(f"{source}_summary").query("batch_size != 16")
    found = set()
    for part in figures.parts(pd.DataFrame(columns=[*ROW_COLUMNS, *CASE_DATA]), summary):
        with contextlib.suppress(NothingToDraw):
            part.draw()
            found.add(part.stem.partition("_layer")[0])
    assert (
        found
        == {
            "cost": {"time", "memory", "speedup", "memory_kinds"},
            "step": {"time_train_step", "speedup_train_step"},
            "decode": {"latency", "state"},
            "quality": {"quality"},
        }[source]
    )


def test_nothing_is_no_point_of_a_log_axis(planted):
    """`no-op` needs no memory, and a clock may not have moved: every figure is drawn all the same."""
    mechanisms = {name: planted.COSTS[name] for name in ("copy", "sdpa", "linrec")}
    samples = planted.costs(mechanisms, batches=(1,), widths=(64,), phases=("forward",))
    memory = samples["measure"].isin(["peak_live_bytes", "predicted_peak_bytes"])
    first = (samples["measure"] == "time") & (samples["seq_len"] == samples["seq_len"].min())
    samples.loc[(memory | first) & (samples["attention"] == "copy"), "value"] = 0.0
    summary = summarise(samples, reference="sdpa")
    drawn = {}
    for part in figures.parts(samples, summary):
        with contextlib.suppress(figures.NothingToDraw):
            drawn[part.spec.name] = part.draw()
    assert {"time", "memory", "growth"} <= set(drawn)
    words = " ".join(text.get_text() for text in drawn["memory"].findobj(Text))
    assert "0, which a log axis cannot show: copy." in " ".join(words.split())


@pytest.mark.slow
@pytest.mark.parametrize("value", [1e300, 1e-300, np.inf])
@pytest.mark.parametrize("kind", ["cost", "quality"])
def test_numbers_that_no_axis_holds_are_missing_and_the_rest_is_drawn(request, kind, value):
    summary = request.getfixturevalue(f"{kind}_summary").copy()
    samples = request.getfixturevalue(f"{kind}_samples").copy()
    numbers = ["time_s", "memory_bytes", "train_time_s", "peak_process_bytes", "energy_j", "ndcg@10"]
    of = summary["attention"] == "linrec"
    for column in summary.columns.intersection(numbers):
        summary[column] = summary[column].astype(float).mask(of, value)
    samples.loc[samples["attention"] == "linrec", "value"] = value
    drawn = []
    for part in parts(samples, summary):
        with contextlib.suppress(NothingToDraw):
            drawn.append(part.draw())
    assert drawn
