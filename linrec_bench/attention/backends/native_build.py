"""A C++ file of this package made into a library for the machine that it runs on.

Built once for each set of definitions, compiler and processor, and kept in the cache of the user.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from ctypes import CDLL
from hashlib import sha256
from pathlib import Path

from linrec_bench.attention.spec import Unsupported

FLAGS = (
    "-O3",
    "-std=c++17",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp",
    "-shared",
    "-fPIC",
)


PROCESSOR = "LINREC_BENCH_MARCH"
"""Names the processor to build for, as the compiler's -march does; without it this one (`native`)."""

_ELSEWHERE = "expected what you alone can write to (chmod go-w), or set XDG_CACHE_HOME to another folder"


def processor() -> str:
    """What is built for, as -march: `native`, unless LINREC_BENCH_MARCH says otherwise."""
    return os.environ.get(PROCESSOR) or "native"


def no_compiler(backend: str) -> str | None:
    """Why nothing can be built here; None where there is a C++ compiler (CXX, else g++)."""
    if shutil.which(_compiler()) is None:
        return f"backend {backend} needs a C++ compiler; {_compiler()} was not found (set CXX)"
    return None


def _compiler() -> str:
    return os.environ.get("CXX", "g++")


def library(source: Path, definitions: Mapping[str, object], march: str = "native") -> CDLL:
    """The library that `source` becomes with these macros defined, for the processor `march`.

    torch is imported by then, so that its OpenMP runtime, which is loaded, serves the library too: one pool
    of threads. Raises `Unsupported` without a compiler (CXX, else g++), where it refuses the file, and where
    others can write to the cache.
    """
    # It brings a client for the web with it, which importing a mechanism should not wait for.
    import pooch

    if reason := no_compiler("native"):
        raise Unsupported(reason)
    compiler = _compiler()
    target_flag = f"-march={march}"
    arguments = [target_flag, *FLAGS, *(f"-D{name}={value}" for name, value in definitions.items())]
    # What "native" means to this compiler on this processor: a cache may be shared between machines.
    meaning = _run(compiler, [target_flag, "-E", "-v", "-x", "c++", os.devnull, "-o", os.devnull]).stderr
    texts = [path.read_text(encoding="utf-8") for path in (source, *sorted(source.parent.glob("*.h")))]
    named = "\0".join((*texts, *arguments, meaning))
    folder = Path(pooch.os_cache("linrec-bench")).absolute() / "native"
    target = folder / f"{sha256(named.encode()).hexdigest()[:24]}.so"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_own(folder)
        if not target.exists():
            _build(compiler, [*arguments, str(source)], target)
        _check_own(target)
    except OSError as error:
        raise Unsupported(f"backend native: {folder}: {error.strerror}; {_ELSEWHERE}") from error
    return CDLL(str(target))


def _check_own(path: Path) -> None:
    """Raise `Unsupported` unless nobody else can write what is loaded here as code."""
    found = path.stat(follow_symlinks=False)
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022 or stat.S_ISLNK(found.st_mode):
        raise Unsupported(f"backend native: {path} can be written by others, or is a link; {_ELSEWHERE}")


def _build(compiler: str, arguments: list[str], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder, target.name)
        done = _run(compiler, [*arguments, "-o", str(made)])
        if done.returncode != 0:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), "no reason given")
            raise Unsupported(
                f"backend native: {compiler} could not build {Path(arguments[-1]).name}: {reason}"
            )
        made.chmod(0o755)
        # Whole or not at all: another process may build the same.
        made.replace(target)


def _run(compiler: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    # Messages in plain English, for they are searched and shown.
    plain = os.environ | {"LC_ALL": "C"}
    return subprocess.run([compiler, *arguments], capture_output=True, text=True, check=False, env=plain)
