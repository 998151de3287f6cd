"""Hashes of content, short enough to read, and that of the package's own source."""

from __future__ import annotations

import hashlib
from pathlib import Path

import linrec_bench


def short_hash(content: bytes) -> str:
    """Twelve hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:12]


def code_hash() -> str:
    """That of the package's own source: other code makes other numbers."""
    package = Path(linrec_bench.__file__).parent
    sources = sorted(path for kind in ("*.py", "*.cpp", "*.h") for path in package.rglob(kind))
    parts = (str(path.relative_to(package)).encode() + path.read_bytes() for path in sources)
    return short_hash(b"".join(parts))
