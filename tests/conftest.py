"""For every test: one thread, because the tensors are small and the cores may be busy; a cache of its own."""

import hypothesis
import pytest
import torch

torch.set_num_threads(1)

# How long an example takes says something of the machine, nothing of the code.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """What tests prepare and download stays out of the user's cache; theirs is found by new processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINREC_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
