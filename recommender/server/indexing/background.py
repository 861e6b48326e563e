"""What a server does about index runs while it answers."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from recommender.server.indexing.watching import watch_folders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from recommender.server.context import Context

log = logging.getLogger(__name__)


@asynccontextmanager
async def indexing_in_background(context: Context) -> AsyncIterator[None]:
    """Index what waits, watch folders, and end both when the server ends."""
    runs, settings = context.index_runs, context.settings
    for file in context.accepted.pending() if context.accepted else ():
        runs.add(bytes(file.path), file.key)
    working = asyncio.create_task(_logged(runs.work()))
    helpers = [asyncio.create_task(_close_with(context))]
    if settings.watch:

        def note(why: str | None) -> None:
            runs.note = why
            runs.changed.ring()

        watching = watch_folders(
            lambda: runs.folders,
            runs.rescan,
            catalog=context.catalog.path,
            settle_s=settings.settle_s,
            sweep_s=settings.sweep_s,
            on_blind=note,
        )
        helpers.append(asyncio.create_task(_logged(watching)))
    try:
        yield
    finally:
        context.closing.set()
        for helper in helpers:
            helper.cancel()
        runs.close()
        await asyncio.gather(working, *helpers, return_exceptions=True)


async def _close_with(context: Context) -> None:
    """Begin to end the run as soon as the server begins to end."""
    await context.closing.wait()
    context.index_runs.close()


async def _logged(work: Coroutine[object, object, None]) -> None:
    try:
        await work
    except Exception:
        # Raised again: a task that nobody waits for would end without a word.
        log.exception("no index runs any more: start the server again")
        raise
