"""How good answers are: metrics, a check of a library, robustness to degradations."""
