"""Work of seconds that answers ask for: in one process beside the server's, one after another.

Drawing and clustering hold the interpreter's lock, so that a thread of the server would make every
other answer wait.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from recommender.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

WAITING = 8
"""Pieces of work that wait or run at most."""
LONGEST_S = 120.0
"""Seconds that one may take."""


class SlowWork:
    """One process that does what takes seconds; started with the first piece of work."""

    def __init__(self, *, longest_s: float = LONGEST_S) -> None:
        self._longest_s = longest_s
        self._pool: ProcessPool | None = None
        self._count = 0

    async def run(
        self,
        work: Callable[Parameters, Result],
        /,
        *args: Parameters.args,
        **options: Parameters.kwargs,
    ) -> Result:
        """What a function returns, called in the process; it must be importable.

        Raises
        ------
        Problem
            503: too much is waiting, it took too long, or its process died.
        """
        if self._count >= WAITING:
            raise Problem(503, "too much is being drawn already", headers={"Retry-After": "10"})
        if self._pool is None or not self._pool.active:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPool(max_workers=1, context=context)
        self._count += 1
        try:
            future = self._pool.schedule(
                work, args=list(args), kwargs=dict(options), timeout=self._longest_s
            )
            found: Any = await asyncio.wrap_future(future)
        except FutureTimeout as error:
            raise Problem(503, f"that took longer than {self._longest_s:g} s") from error
        except (ProcessExpired, BrokenProcessPool) as error:
            raise Problem(503, "the process that worked on it has died") from error
        finally:
            self._count -= 1
        return found  # type: ignore[no-any-return]  # pebble has no types

    def close(self) -> None:
        """End the process at once."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
