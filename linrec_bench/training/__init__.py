"""Losses, objectives, the fit loop and the evaluator: no files, no prints."""
