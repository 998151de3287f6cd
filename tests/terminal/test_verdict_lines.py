from linrec_bench import terminal
from linrec_bench.analysis.verdict import Basis, Bound, Claim, Verdict
from linrec_bench.terminal.verdict_lines import show_verdicts


def verdict(answer, polynomial="", *, place="core"):
    claim = Claim(attention="m", measure="flops", quantity="exponent", bound=Bound(1, 1, answer))
    basis = Basis("polynomial", {"polynomial": polynomial}) if polynomial else Basis()
    return Verdict(claim=claim, where={"case": place}, answer=answer, found=1, low=1, high=1, basis=basis)


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
    assert "holds: m: exponent of flops holds\n  core\n  found 1 (72 N)" in text
    assert "found 1 (16 N + 64)" in text
    assert "1 holds, 1 broken, 0 undecided" in text


def test_a_long_place_is_broken_in_its_middle(capsys, monkeypatch):
    monkeypatch.setattr(terminal.out, "width", 80)
    place = "lightsans train_step step bidirectional N=65536 B=1 D=64 H=4 float32 lightsans L=2"
    show_verdicts([verdict("broken", place=place)], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == [
        "  lightsans train_step step bidirectional",
        "    N=65536 B=1 D=64 H=4 float32 lightsans L=2",
        "  found 1",
    ]


def test_a_word_longer_than_the_line_stays_whole(capsys, monkeypatch):
    monkeypatch.setattr(terminal.out, "width", 30)
    word = "w" * 40
    show_verdicts([verdict("broken", place=f"a {word} b")], as_json=False)
    assert word in capsys.readouterr().out
