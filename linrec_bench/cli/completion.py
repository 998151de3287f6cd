"""Names that a shell completes: suites, mechanisms, data sets and folders of runs."""

from __future__ import annotations

from pathlib import Path


def _that_start(names: list[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def suites(incomplete: str) -> list[str]:
    """Suites that ship with the package, and suite files below the current folder."""
    from linrec_bench.suite.shipped import shipped_suites

    files = sorted(Path(incomplete).parent.glob("*.yaml")) if incomplete else sorted(Path().glob("*.yaml"))
    return _that_start([*shipped_suites(), *map(str, files)], incomplete)


def mechanisms(incomplete: str) -> list[str]:
    """Mechanisms of the package."""
    from linrec_bench.commands import catalogue

    return _that_start([entry["name"] for entry in catalogue.entries("attention")], incomplete)


def data_sets(incomplete: str) -> list[str]:
    """Data sets, and files below the current folder."""
    from linrec_bench import data

    return _that_start([*data.registry(), *map(str, Path().iterdir())], incomplete)


def runs(incomplete: str) -> list[str]:
    """Folders of runs, suites and results."""
    folders = [path for path in (*Path().glob("*"), *Path("results").glob("*"), *Path("results").glob("*/*"))]
    return _that_start(sorted({str(path) for path in folders if path.is_dir()}), incomplete)
