"""Planted runs, whose findings are put into words."""

from tests.planted import layer_case, planted, recommend_case

__all__ = ["layer_case", "planted", "recommend_case"]
