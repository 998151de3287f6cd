"""What every figure must hold: all lines, all failures, no overlapping words, the same bytes again."""

import numpy as np
import pandas as pd
import pytest

from linrec_bench.figures import FIGURES, NothingToDraw, cost, draw_all, learning, quality, save


def artists(figure, gid):
    found = [a for ax in figure.axes for a in (*ax.lines, *ax.texts) if (a.get_gid() or "").startswith(gid)]
    return found


def boxes(figure):
    """Name and extent in pixels of every visible text."""
    figure.canvas.draw()
    texts = [*figure.texts]
    for ax in figure.axes:
        if ax.axison:
            texts += [*ax.texts, ax.xaxis.label, ax.yaxis.label, ax._left_title]
            for axis in (ax.xaxis, ax.yaxis):
                low, high = axis.get_view_interval()
                texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [(t.get_text(), t.get_window_extent()) for t in texts if t.get_visible() and t.get_text()]


def assert_readable(figure):
    """All words lie inside the figure and none on another."""
    found = boxes(figure)
    whole = figure.bbox
    for text, box in found:
        assert whole.x0 <= box.x0, text
        assert box.x1 <= whole.x1, text
        assert whole.y0 <= box.y0, text
        assert box.y1 <= whole.y1, text
    for index, (text, box) in enumerate(found):
        for other, beside in found[index + 1 :]:
            apart = box.x1 <= beside.x0 or beside.x1 <= box.x0 or box.y1 <= beside.y0 or beside.y1 <= box.y0
            assert apart or shallow(box, beside), f"{text!r} overlaps {other!r}"


def shallow(one, other):
    """Extents include the room for letters below the line: two pixels of overlap are none to the eye."""
    return (
        min(one.x1, other.x1) - max(one.x0, other.x0) < 2 or min(one.y1, other.y1) - max(one.y0, other.y0) < 2
    )


@pytest.mark.parametrize("draw", [cost.draw_time, cost.draw_memory])
def test_cost_has_a_panel_a_setting_and_a_line_a_mechanism(draw, cost_summary, cost_samples):
    figure = draw(cost_summary, cost_samples)
    assert len(figure.axes) == 8
    assert len(artists(figure, "line ")) == 8 * 6
    assert len(artists(figure, "label")) == 2 * 6
    assert_readable(figure)


def test_lines_show_what_was_measured_and_nothing_else(cost_summary, cost_samples):
    figure = cost.draw_time(cost_summary, cost_samples)
    drawn = [line.get_ydata() for line in artists(figure, "line softmax")]
    measured = cost_summary.query("attention == 'softmax' and status == 'ok'")["time_s"]
    assert sorted(np.concatenate([y[~np.isnan(y)] for y in drawn])) == sorted(measured)
    assert all(np.isnan(y).sum() == 2 for y in drawn)


def test_failures_are_hollow_marks_on_top_with_their_reason(cost_summary, cost_samples):
    figure = cost.draw_time(cost_summary, cost_samples)
    marks = artists(figure, "failed ")
    assert len(marks) == 8
    for mark in marks:
        assert mark.get_fillstyle() == "none"
        assert list(mark.get_xdata()) == [8192, 16384]
        assert set(mark.get_ydata()) == {1 - 0.075 / 2}
    assert {text.get_text() for text in artists(figure, "why")} == {"out of memory, skipped"}


def test_a_case_that_failed_in_a_later_round_is_not_drawn_as_measured(cost_summary, cost_samples):
    partly = cost_summary.copy()
    partly.loc[partly["attention"] == "linrec", "status"] = "killed"
    figure = cost.draw_time(partly, cost_samples)
    linrec = [line for line in artists(figure, "line") if line.get_gid() == "line linrec"]
    assert len(linrec) == 8
    assert all(np.isnan(line.get_ydata()).all() for line in linrec)
    assert_readable(figure)


def test_all_mechanisms_failing_but_one_leaves_room_for_its_line(cost_summary, cost_samples):
    rows = cost_summary.query("batch_size == 1 and hidden_size == 64 and phase == 'forward'")
    many = [rows.query("attention == 'linrec'")]
    many += [many[0].assign(attention=f"mechanism-{k}", status="unsupported") for k in range(18)]
    figure = cost.draw_time(pd.concat(many), cost_samples)
    low, high = figure.axes[0].get_ylim()
    share = np.log(many[0]["time_s"].max() / low) / np.log(high / low)
    assert 0.4 < share < 0.6
    assert_readable(figure)


def test_more_panels_than_fit_beside_each_other_go_below(cost_summary, cost_samples):
    rows = cost_summary.query("phase == 'forward' and hidden_size == 64 and batch_size == 1")
    wide = pd.concat([rows.assign(batch_size=b) for b in (1, 2, 4, 8, 16, 32)])
    figure = cost.draw_time(wide, cost_samples)
    assert [ax.axison for ax in figure.axes] == [True] * 6 + [False] * (2 * cost.WIDEST - 6)
    assert {ax.get_title(loc="left") for ax in figure.axes[:6]} == {
        f"batch {b}" for b in (1, 2, 4, 8, 16, 32)
    }
    assert_readable(figure)


@pytest.mark.parametrize("draw", [cost.draw_time, cost.draw_memory])
def test_nothing_measured_is_said(draw, cost_summary, cost_samples):
    failed = cost_summary.query("attention == 'softmax' and seq_len > 4096")
    with pytest.raises(NothingToDraw, match="no case that ended ok"):
        draw(failed, cost_samples)
    with pytest.raises(NothingToDraw, match="one sequence length"):
        draw(cost_summary.query("seq_len == 128"), cost_samples)


def test_quality_shows_means_seed_intervals_and_what_is_missing(quality_summary, quality_samples):
    figure = quality.draw(quality_summary, quality_samples)
    assert [ax.get_xlabel() for ax in figure.axes] == ["training time", "peak memory"]
    points = [container[0].get_ydata()[0] for container in figure.axes[0].containers]
    means = quality_summary.groupby("attention", sort=False)["ndcg@10"].mean()
    assert points == pytest.approx(list(means))
    small_print = " ".join(figure.texts[1].get_text().split())
    assert "over 2 to 3 seeds" in small_print
    assert "Seeds that did not end ok: softmax 1" in small_print
    assert_readable(figure)


def test_one_seed_has_no_bars(quality_summary, quality_samples):
    figure = quality.draw(quality_summary.query("seed == 0"), quality_samples)
    assert not any(container.has_xerr or container.has_yerr for container in figure.axes[0].containers)
    assert "one seed, no interval" in figure.texts[1].get_text()


def test_learning_curves_sum_epoch_times_and_mark_the_best_epoch(quality_summary, quality_samples):
    figure = learning.draw(quality_summary, quality_samples)
    lines = artists(figure, "line ")
    # The seed that ran out of time is not drawn: its trial did not end ok.
    assert len(lines) == 8
    slow = artists(figure, "line softmax")[0]
    assert slow.get_xdata() == pytest.approx(np.arange(1, 11) * 90)
    assert slow.get_markevery() == [9]
    assert_readable(figure)


def test_a_run_without_recommend_has_no_quality_figures(cost_summary, cost_samples, tmp_path):
    drawn = draw_all(cost_samples, cost_summary, tmp_path / "figures")
    assert set(drawn) == {"time_layer", "memory_layer", "quality", "learning_curves"}
    assert drawn["quality"] == "the run has no case of task recommend"
    for path in (*drawn["time_layer"], *drawn["memory_layer"]):
        assert path.stat().st_size > 10_000


def test_a_summary_read_from_a_file_draws_the_same(quality_summary, quality_samples, tmp_path):
    quality_summary.to_csv(tmp_path / "summary.csv", index=False)
    stored = pd.read_csv(tmp_path / "summary.csv", dtype={"case_id": str})
    for name, summary in (("a", quality_summary), ("b", stored)):
        draw_all(quality_samples, summary, tmp_path / name)
    assert (tmp_path / "a/quality.svg").read_bytes() == (tmp_path / "b/quality.svg").read_bytes()


def test_the_same_rows_give_the_same_bytes(cost_summary, cost_samples, tmp_path):
    part = cost_summary.query("batch_size == 1 and hidden_size == 64")
    first, again = (save(FIGURES["time"].draw(part, cost_samples), tmp_path / name / "time") for name in "ab")
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
