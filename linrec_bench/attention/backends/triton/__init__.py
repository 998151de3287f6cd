"""The backend `triton`: kernels of our own for GPUs."""
