"""Imported once by the fork server, so that a trial starts with everything already there.

Nothing here may start a thread or ask anything of an accelerator: the children are forks of this process,
and a fork cannot use CUDA once its parent has counted the devices. `FakeTensorMode` counts them when entered.
"""

import torch

# Several hundred modules, which torch imports when a custom operation or an optimiser is first called.
import torch._dynamo

from linrec_bench import attention, data, models
from linrec_bench.execution import worker  # noqa: F401
from linrec_bench.measures.instruments import operations

with operations.Watch():
    torch.ones(1) + 1

attention.registry()
models.registry()
data.registry()
