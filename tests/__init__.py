"""Tests of the packages and scripts, each process on one thread.

pytest-xdist starts a process for each core; OpenMP threads beyond that spin while they wait.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
