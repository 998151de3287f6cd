"""The list of measures is complete, and the command line can read it without torch."""

import subprocess
import sys

from linrec_bench.measures import MEASURES


def test_the_words_of_a_suite():
    assert set(MEASURES) == {"time", "peak_memory", "flops", "energy", "attention_share", "ranking"}


def test_every_row_has_one_unit():
    units = [(name, unit) for measure in MEASURES.values() for name, unit in measure.rows.items()]
    assert len({name for name, _ in units}) == len(units)
    assert all(unit for _, unit in units)


def test_listing_does_not_import_torch():
    script = "import sys, linrec_bench.measures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
