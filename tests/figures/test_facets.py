"""The words of panels."""

from linrec_bench.figures import facets
from linrec_bench.presentation import case_names


def test_a_long_name_breaks_between_its_parameters_and_fits_beside_a_panel():
    setting = case_names.settings(
        {"dataset": "ml-100k+watermark(distance=16,patterns=4,share=0.03)", "seq_len": 50}
    )
    lines = facets.beside(setting, "test NDCG@10").splitlines()
    assert lines[0] == "ml-100k+watermark(distance=16,"
    assert lines[-1] == "test NDCG@10"
    assert max(map(len, lines)) <= facets.HEIGHT
    assert facets.beside("", "time") == "time"
