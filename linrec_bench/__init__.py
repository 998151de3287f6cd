"""linrec-bench: what attention costs on long user histories, and what quality it buys.

Importing the package imports neither torch nor pandas; the rooms that need them do.
"""

__version__ = "0.1.0"
