"""The measures declare whole rows, and the command line can read them without torch."""

import subprocess
import sys

from linrec_bench import measures
from linrec_bench.declarations import PREDICTED, tasks


def test_the_measures_of_a_suite_in_the_order_in_which_they_are_taken():
    names = ["time", "flops", "attention_share", "energy", "peak_memory", "ranking"]
    assert list(measures.registry()) == names


def test_every_quantity_has_one_unit_and_every_column_one_quantity():
    quantities = {
        quantity
        for source in (*measures.registry().values(), *tasks().values())
        for quantity in source.quantities
    }
    quantities |= set(PREDICTED)
    assert len({quantity.measure for quantity in quantities}) == len(quantities)
    assert all(quantity.unit for quantity in quantities)
    columns = [quantity.column for quantity in quantities if quantity.column]
    assert len(set(columns)) == len(columns)
    assert all(quantity.meaning for quantity in quantities if quantity.column)


def test_declarations_are_read_without_torch():
    script = (
        "import sys; from linrec_bench import declarations, measures, tasks; "
        "declarations.tasks(), measures.registry(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
