"""Names that a shell completes: suites, mechanisms, data sets and folders of runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def _that_start(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _beside(incomplete: str) -> list[Path]:
    """What lies in the folder that is typed so far."""
    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    return sorted(folder.iterdir()) if folder.is_dir() else []


def suites(incomplete: str) -> list[str]:
    """Suites that ship with the package, and suite files in the folder that is typed."""
    from linrec_bench.suite.shipped import shipped_suites

    files = [str(path) for path in _beside(incomplete) if path.suffix == ".yaml"]
    return _that_start([*shipped_suites(), *files], incomplete)


def mechanisms(incomplete: str) -> list[str]:
    """Mechanisms of the package."""
    from linrec_bench.commands import catalogue

    return _that_start((entry["name"] for entry in catalogue.entries("attention")), incomplete)


def data_sets(incomplete: str) -> list[str]:
    """Data sets, and files in the folder that is typed."""
    from linrec_bench import data

    return _that_start([*data.registry(), *map(str, _beside(incomplete))], incomplete)


def runs(incomplete: str) -> list[str]:
    """Folders of runs, suites and results; those of `results` before anything is typed."""
    folders = (*_beside(incomplete), *Path("results").glob("*"), *Path("results").glob("*/*"))
    return _that_start(sorted({str(path) for path in folders if path.is_dir()}), incomplete)
