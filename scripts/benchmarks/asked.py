"""Processes that answer lines of JSON, asked by this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

HERE = Path(__file__).parents[2]
"""The checkout that this is part of."""


def environment(checkout: Path) -> dict[str, str]:
    """An environment with the packages of a checkout and the `benchmarks` of this one."""
    scripts = Path(__file__).parents[1]
    return {**os.environ, "PYTHONPATH": f"{scripts}{os.pathsep}{checkout}"}


class Asked:
    """A process that `python -m MODULE ARGUMENTS` starts; a context manager that ends it.

    Parameters
    ----------
    checkout : Path
        Whose packages it imports.
    """

    def __init__(self, module: str, *arguments: object, checkout: Path = HERE) -> None:
        self.name = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(checkout),
            cwd=checkout,
        )

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def __enter__(self) -> Asked:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """End the process, at once."""
        self._process.kill()
        self._process.communicate()

    def send(self, do: str, **arguments: Any) -> None:
        """Begin a request; `receive` waits for its answer."""
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The answer to the last request.

        Raises
        ------
        RuntimeError
            The process has ended instead.
        """
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"the process {self.name} has ended instead of answering; see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One request and its answer."""
        self.send(do, **arguments)
        return self.receive()


def run(module: str, *arguments: object, checkout: Path = HERE) -> None:
    """Run `python -m MODULE ARGUMENTS` to its end.

    Raises
    ------
    CalledProcessError
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(command, check=True, env=environment(checkout), cwd=checkout)
