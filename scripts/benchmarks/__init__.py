"""What indexing and asking cost, measured on this machine: one module for each table.

Each table is measured in a process of its own, so that the memory and the threads of one do not
weigh on the next. `benchmark.py` beside this folder is the command.
"""
