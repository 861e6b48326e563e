"""Networks, their weights, and the registry that finds a model by its name."""
