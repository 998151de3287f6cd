"""Losses, objectives, the fit loop and the evaluator: no prints, no file but a checkpoint."""
