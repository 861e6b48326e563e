"""Processes beside the server that are given a request as JSON and tell what they do in lines.

A byte in its stdin stops a process when it has done what it is at, however long that takes. Where
stdin is closed it has a few seconds: the system closes it when the server is gone, however it went,
so no process outlives the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from asyncio.subprocess import PIPE
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Mapping

GRACE_S = 10.0
"""Seconds that a process which is to end has for it."""
LINE_BYTES = 1 << 20


class Child:
    """A process beside the server, from the server's side.

    Attributes
    ----------
    module : str
        What it runs; its `main` talks to the server through a `Parent`.
    """

    def __init__(self, module: str, process: Process) -> None:
        self.module = module
        self._process = process

    @classmethod
    async def start(cls, module: str, request: Mapping[str, Any]) -> Self:
        """Start a module as a process and send it a request."""
        # The child finds packages where this process finds them, and not in the current folder.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", module),
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, "PYTHONPATH": path},
            # A terminal's Ctrl-C is for the server, which then ends the child.
            start_new_session=True,
            limit=LINE_BYTES,
        )
        child = cls(module, process)
        child._pipe.write(json.dumps(request).encode() + b"\n")
        return child

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """What it tells, until it ends."""
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        async for line in self._process.stdout:
            yield json.loads(line)

    async def wait(self) -> int:
        """Wait for its end; returns its exit status, or minus the signal that ended it."""
        return await self._process.wait()

    def stop(self) -> None:
        """Let it end when it has done what it is at."""
        if not self._pipe.is_closing():
            self._pipe.write(b"\n")

    def end(self) -> None:
        """Let it end, and kill it if that takes longer than `GRACE_S`."""
        if not self._pipe.is_closing():
            self._pipe.close()
            asyncio.get_running_loop().call_later(GRACE_S, self.kill)

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def finish(self) -> None:
        """Kill it, and wait until nothing is left of it."""
        self.kill()
        self._pipe.close()
        async for _ in self.messages():
            pass
        await self.wait()

    @property
    def _pipe(self) -> asyncio.StreamWriter:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        return self._process.stdin


class Parent:
    """The server, from the side of a process that it has started.

    Attributes
    ----------
    request : dict
        What it asks for.
    wants_end : Event
        Set once this process is to stop or end, or the server is gone.
    """

    def __init__(self) -> None:
        # Nothing else that this process or one of its own prints may come between the lines.
        self._out = os.fdopen(os.dup(1), "w", encoding="ascii")
        os.dup2(2, 1)
        # Without a buffer, which would keep what comes behind the line from `_wait_for_end`.
        with open(0, "rb", buffering=0, closefd=False) as stdin:
            self.request: dict[str, Any] = json.loads(stdin.readline())
        self.wants_end = threading.Event()
        threading.Thread(target=self._wait_for_end, daemon=True).start()

    def say(self, **message: Any) -> None:
        """Tell the server something."""
        # A server that is gone is told nothing; the end of stdin tells of it.
        with suppress(OSError):
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()

    def _wait_for_end(self) -> None:
        while os.read(0, 1):
            self.wants_end.set()
        self.wants_end.set()
        threading.Event().wait(GRACE_S)
        os._exit(1)
