"""Imported once by the fork server, so that a trial starts with everything already there.

Nothing here may start a thread or touch an accelerator: the children are forks of this process.
"""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from linrec_bench import attention, data, models
from linrec_bench.execution import worker  # noqa: F401
from linrec_bench.measures import operations
from linrec_bench.tasks import core, decode, layer, recommend, train_step  # noqa: F401

# The first dispatch mode of a process imports several hundred modules of torch and sympy.
with FakeTensorMode(), operations.Watch():
    torch.ones(1) + 1

attention.registry()
models.registry()
data.registry()
