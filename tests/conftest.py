"""For every test: one thread, because the tensors are small and the cores may be busy."""

import torch

torch.set_num_threads(1)
