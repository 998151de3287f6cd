"""A C++ file of this package made into a library for the machine that it runs on.

Built once for each set of definitions, compiler and processor, and kept in the cache of the user.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from ctypes import CDLL
from hashlib import sha256
from pathlib import Path

from linrec_bench.attention.spec import Unsupported

FLAGS = (
    "-O3",
    "-march=native",
    "-std=c++17",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp",
    "-shared",
    "-fPIC",
)


def library(source: Path, definitions: Mapping[str, object]) -> CDLL:
    """The library that `source` becomes with these macros defined.

    torch is imported by then, so that its OpenMP runtime, which is loaded, serves the library too: one pool
    of threads. Raises `Unsupported` without a compiler (CXX, else g++), or where it refuses the file.
    """
    # It brings a client for the web with it, which importing a mechanism should not wait for.
    import pooch

    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise Unsupported(f"backend native needs a C++ compiler; {compiler} was not found (set CXX)")
    arguments = [*FLAGS, *(f"-D{name}={value}" for name, value in definitions.items())]
    # What "native" means to this compiler on this processor: a cache may be shared between machines.
    meaning = _run(compiler, ["-march=native", "-E", "-v", "-x", "c++", os.devnull, "-o", os.devnull]).stderr
    texts = [path.read_text(encoding="utf-8") for path in (source, *sorted(source.parent.glob("*.h")))]
    named = "\0".join((*texts, *arguments, meaning))
    target = Path(pooch.os_cache("linrec-bench")) / "native" / f"{sha256(named.encode()).hexdigest()[:24]}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder, target.name)
            done = _run(compiler, [*arguments, str(source), "-o", str(made)])
            if done.returncode != 0:
                reason = next(
                    (line for line in done.stderr.splitlines() if "error" in line), "no reason given"
                )
                raise Unsupported(f"backend native: {compiler} could not build {source.name}: {reason}")
            # Whole or not at all: another process may build the same.
            made.replace(target)
    return CDLL(str(target))


def _run(compiler: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    # Messages in plain English, for they are searched and shown.
    plain = os.environ | {"LC_ALL": "C"}
    return subprocess.run([compiler, *arguments], capture_output=True, text=True, check=False, env=plain)
