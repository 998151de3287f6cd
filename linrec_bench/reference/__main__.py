"""`python -m linrec_bench.reference docs/` writes the generated pages and names those that changed."""

import sys
from collections.abc import Sequence
from pathlib import Path

from linrec_bench.reference import write


def main(arguments: Sequence[str]) -> None:
    """Bring the folder, the only argument, up to date; exit 2 where it is none."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m linrec_bench.reference FOLDER, which holds the pages: docs/", file=sys.stderr)
        raise SystemExit(2)
    for path in write(Path(arguments[0])):
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
