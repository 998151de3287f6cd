"""What the task that trains and ranks is made of."""
