"""What `import linrec_bench` offers to a notebook, and how little it costs."""

import pkgutil
import subprocess
import sys
import warnings

import pytest

import linrec_bench


def test_the_public_names_are_these():
    assert linrec_bench.__all__ == [
        "across_seeds",
        "analysis",
        "compare_mechanisms",
        "compare_runs",
        "crossover",
        "exact_exponent",
        "findings",
        "fit_scaling",
        "headline",
        "holm",
        "load_results",
        "median_interval",
        "ratio_interval",
        "summarise",
    ]
    assert set(linrec_bench.__all__) <= set(dir(linrec_bench))


@pytest.mark.parametrize("name", sorted({*linrec_bench.__all__} - {"analysis"}))
def test_every_public_name_is_a_documented_function(name):
    found = getattr(linrec_bench, name)
    assert callable(found)
    assert found.__name__ == name
    assert found.__doc__
    assert f"\n    {name} " in linrec_bench.__doc__


def test_no_public_name_is_that_of_a_module():
    """Once imported, a module would hide the function of its name."""
    modules = {module.name for module in pkgutil.iter_modules(linrec_bench.__path__)}
    assert {*linrec_bench.__all__} & modules == {"analysis"}


def test_the_modules_of_the_analysis_are_listed_and_reached():
    analysis = linrec_bench.analysis
    for module in pkgutil.iter_modules(analysis.__path__):
        assert module.name in analysis.__doc__
        assert getattr(analysis, module.name).__doc__
    for absent in ("nothing", "_private"):
        with pytest.raises(AttributeError, match=absent):
            getattr(analysis, absent)
    with pytest.raises(AttributeError, match="nothing"):
        _ = linrec_bench.nothing


def test_importing_the_package_is_light_and_loading_never_needs_torch():
    code = (
        "import sys, linrec_bench\n"
        "heavy = ('torch', 'pandas', 'numpy', 'scipy', 'matplotlib')\n"
        "print([m for m in heavy if m in sys.modules])\n"
        "linrec_bench.load_results, linrec_bench.summarise, linrec_bench.analysis.scaling\n"
        "import pandas\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "False"]


def test_a_star_import_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec("from linrec_bench import *", {})
