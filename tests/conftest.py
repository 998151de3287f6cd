"""For every test: one thread, because the tensors are small and the cores may be busy; a cache of its own;
shapes and types checked in every call of the modules that state shapes."""

import gc
import sys
from pathlib import Path

import hypothesis
import pytest
import torch
from jaxtyping import install_import_hook

ROOT = Path(__file__).parents[1]
STATE_SHAPES = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for file in (ROOT / "linrec_bench").rglob("*.py")
    if "\nfrom jaxtyping import" in file.read_text(encoding="utf-8")
]
# beartype takes no member of an archive for IO[bytes].
STATE_SHAPES.remove("linrec_bench.data.item_features")
install_import_hook(STATE_SHAPES, "beartype.beartype")

torch.set_num_threads(1)

# How long an example takes says something of the machine, nothing of the code.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True, scope="module")
def _frozen():
    """What was imported stays: every count asks for a collection, which need not look through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """What tests prepare and download stays out of the user's cache; theirs is found by new processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINREC_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def exit_code(monkeypatch):
    """`exit_code(*words)`: that of `linrec-bench` with these words; what plugins gave is unloaded."""
    from linrec_bench import attention, cli

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["linrec-bench", *words])
        try:
            with pytest.raises(SystemExit) as caught:
                cli.main()
        finally:
            attention.unload_plugins()
        return caught.value.code

    return run
