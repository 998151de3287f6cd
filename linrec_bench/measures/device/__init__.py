"""All that the package asks of a device: streams, memory counters, limits, caches, random state, names.

Nothing outside of this folder names a kind of device but the CPU and the kernels written for one. What torch
offers for every accelerator is used for every accelerator. Only `names` does without torch.
"""
