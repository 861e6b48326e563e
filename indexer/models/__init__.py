"""The networks, their weights, and how they are found by name."""
