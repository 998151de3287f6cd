import pandas as pd
import pytest

from linrec_bench.results.export import export

FRAME = pd.DataFrame(
    {"attention": ["linrec", ""], "causal": [True, False], "round": [0, 1], "value": [1.5e-300, float("nan")]}
)


def test_parquet_comes_back_as_it_went_in(tmp_path):
    export([FRAME], tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "rows.parquet"), FRAME)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_csv_holds_every_digit(tmp_path):
    export([FRAME], tmp_path / "rows.csv")
    back = pd.read_csv(tmp_path / "rows.csv", keep_default_na=False, na_values={"value": [""]})
    pd.testing.assert_frame_equal(back, FRAME, check_exact=True)


def test_a_file_that_was_there_is_replaced_whole_or_kept(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("old")

    def fails(self, target, **_):
        target.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fails)
    with pytest.raises(ValueError, match=r"cannot be written \(No space left"):
        export([FRAME], path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_other_endings_and_absent_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"unknown ending '\.xlsx'; expected \.parquet or \.csv"):
        export([FRAME], tmp_path / "rows.xlsx")
    for name in ("rows.parquet", "rows.csv"):
        with pytest.raises(ValueError, match="cannot be written"):
            export([FRAME], tmp_path / "absent" / name)


def test_texts_that_a_spreadsheet_computes_are_escaped_where_asked_for(tmp_path):
    frame = pd.DataFrame(
        {"detail": ["=1+1", "+1", "-1", "@x", "\tx", "plain", "", None], "value": [-1.0] * 8}
    )
    for escape in (False, True):
        export([frame], tmp_path / "rows.csv", escape_formulas=escape)
        found = pd.read_csv(tmp_path / "rows.csv", keep_default_na=False)
        mark = "'" if escape else ""
        assert found["detail"].tolist() == [
            *(f"{mark}{text}" for text in frame["detail"][:5]),
            "plain",
            "",
            "",
        ]
        assert found["value"].tolist() == [-1.0] * 8
