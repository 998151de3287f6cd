"""Planted runs for the tests of the analysis."""

from tests.planted import layer_case, planted, recommend_case

__all__ = ["layer_case", "planted", "recommend_case"]
