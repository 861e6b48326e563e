"""How the project's own network is trained; `scripts/train.py` is the command line.

Nothing here is imported by the packages at run time.
"""
