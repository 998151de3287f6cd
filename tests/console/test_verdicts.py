from linrec_bench.analysis.verdicts import Verdict
from linrec_bench.console.verdicts import show_verdicts


def verdict(answer, detail):
    return Verdict(
        claim=f"m: exponent {answer}", place="core", answer=answer, found=1, low=1, high=1, detail=detail
    )


VERDICTS = [verdict("broken", "16 N + 64"), verdict("holds", "72 N")]


def test_what_holds_is_a_count(capsys):
    show_verdicts(VERDICTS, as_json=False)
    text = capsys.readouterr().out
    assert "found 1 (16 N + 64)" in text
    assert "72 N" not in text
    assert "1 holds, 1 broken, 0 undecided" in text


def test_in_full_it_shows_its_polynomial_too(capsys):
    show_verdicts(VERDICTS, as_json=False, in_full=True)
    text = capsys.readouterr().out
    assert "holds: m: exponent holds\n  core\n  found 1 (72 N)" in text
    assert "found 1 (16 N + 64)" in text
    assert "1 holds, 1 broken, 0 undecided" in text
