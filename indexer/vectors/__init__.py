"""Vector indexes: the contract (`base`), and a mapped base with what changed since."""
