"""Faults at the N-th change of a file: an error of the system, or death.

A small library, loaded before the C library, counts what a process does to files once it is armed.
`walk` runs an operation in forked processes, each with a fault at another point.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIBRARY = "SOUNDALIKE_FAULTS"
"""Environment variable with the path of the library, in a process that it is loaded into."""
KILL = 0
FAULTS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "kill": KILL}

_CALLS = {
    "write": "ssize_t|int f, const void *b, size_t n|f, b, n",
    "pwrite": "ssize_t|int f, const void *b, size_t n, off_t o|f, b, n, o",
    "pwrite64": "ssize_t|int f, const void *b, size_t n, long o|f, b, n, o",
    "ftruncate": "int|int f, off_t n|f, n",
    "ftruncate64": "int|int f, long n|f, n",
    "fsync": "int|int f|f",
    "fdatasync": "int|int f|f",
    "rename": "int|const char *a, const char *b|a, b",
    "unlink": "int|const char *a|a",
}
_HEAD = """
#include <errno.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>
void *dlsym(void *handle, const char *name);
static long at = -1, count = 0;
static int fault = 0;
void faults_arm(long n, int number) { at = n; fault = number; count = 0; }
long faults_count(void) { return count; }
static int fails(void) {
    if (at < 0 || count++ != at) return 0;
    if (!fault) kill(getpid(), SIGKILL);
    errno = fault;
    return 1;
}
"""


CRASHED = "crashed"


@dataclass(frozen=True)
class Point:
    """A fault at one point, and what became of the operation."""

    fault: str
    number: int
    outcome: str


def compile_library(folder: Path) -> Path | None:
    """Compile the library; None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source = _HEAD
    for name, signature in _CALLS.items():
        result, parameters, arguments = signature.split("|")
        source += (
            f"{result} {name}({parameters}) {{\n"
            f"    static {result} (*real)({parameters});\n"
            f'    if (!real) real = ({result} (*)({parameters}))dlsym((void *)-1L, "{name}");\n'
            f"    return fails() ? -1 : real({arguments});\n}}\n"
        )
    (folder / "faults.c").write_text(source)
    library = folder / "faults.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(folder / "faults.c"), "-ldl"]
    subprocess.run(command, check=True)
    return library


def walk(
    operation: Callable[[], object], prepare: Callable[[], object], *, step: int = 1
) -> Iterator[Point]:
    """Run an operation with each fault at every `step`-th point; yields each one after its run.

    Only in a process that the library is loaded into.

    Parameters
    ----------
    prepare : function
        Called before each run, in this process.
    """
    library = ctypes.CDLL(os.environ[LIBRARY])
    for name, number in FAULTS.items():
        point = 0
        while True:
            prepare()
            child = os.fork()
            if child == 0:
                os._exit(_run_armed(library, operation, point, number))
            _, status = os.waitpid(child, 0)
            end = os.waitstatus_to_exitcode(status)
            if end == _PASSED_BY:
                break
            yield Point(name, point, _OUTCOMES.get(end, CRASHED))
            point += step


_WHOLE, _REFUSED, _CRASHED, _PASSED_BY = 0, 1, 2, 3
"""Exit status: as without the fault; with an error of ours; otherwise; before the fault."""
_OUTCOMES = {_WHOLE: "done", _REFUSED: "an error", -signal.SIGKILL: "killed"}


def _run_armed(
    library: ctypes.CDLL, operation: Callable[[], object], point: int, number: int
) -> int:
    from indexer.errors import SoundalikeError

    library.faults_arm(ctypes.c_long(point), number)
    try:
        operation()
    except SoundalikeError:
        return _REFUSED
    except BaseException:  # noqa: BLE001 - reported by the exit status
        traceback.print_exc()
        return _CRASHED
    return _WHOLE if library.faults_count() > point else _PASSED_BY
