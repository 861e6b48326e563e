"""Attacks on the program, with a table of what it answers: see `check_robustness.py`."""
