"""For every test: one thread, because the tensors are small and the cores may be busy; a cache of its own."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """What tests prepare and download stays out of the user's cache; theirs is found by new processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINREC_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
