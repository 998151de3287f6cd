"""`python -m docs.generator` updates the generated pages and prints those that changed."""

from pathlib import Path

from docs.generator import update

for path in update(Path(__file__).parents[1]):
    print(path)
