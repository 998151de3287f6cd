"""What measures are taken with: clocks, watches of operations, meters of memory and energy, fake tensors."""
