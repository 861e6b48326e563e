"""Folders in which files appear: looked at again after a change, and all of them now and then."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from indexer.errors import ExtraMissing
from recommender.server.indexing import watch_process
from recommender.server.indexing.child_process import Child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)


def require_watchfiles() -> None:
    """Refuse to watch where nothing tells of changes.

    Raises
    ------
    ExtraMissing
    """
    if importlib.util.find_spec("watchfiles") is None:
        raise ExtraMissing(
            "watchfiles is not installed: pip install 'soundalike[watch]', or leave out --watch"
        )


async def watch_folders(
    folders: Callable[[], list[bytes]],
    rescan: Callable[[bytes], None],
    *,
    catalog: Path,
    settle_s: float,
    sweep_s: float,
    on_blind: Callable[[str | None], None] = lambda _why: None,
) -> None:
    """Have folders looked at again when they have been still after a change; until cancelled.

    Network drives tell of no changes, and a system may have too few watches: so all folders are
    looked at when this begins and every `sweep_s` seconds, and are watched anew then, since one
    may have come or gone.

    Parameters
    ----------
    rescan : function of a folder
        Has it looked at soon.
    catalog : Path
        Changes of its own files do not count.
    settle_s : float
        Seconds without a change after which a folder is still: a file that is being written is
        left alone.
    on_blind : function of str or None
        Told why changes are not noticed, or that they are.
    """
    while True:
        watched = folders()
        with suppress(TimeoutError):
            async with asyncio.timeout(sweep_s):
                why = await _follow(watched, rescan, catalog=catalog, settle_s=settle_s)
                log.warning("changes in folders are found by the sweep only: %s", why)
                on_blind(f"new files are noticed at the next sweep only: {why}")
                await asyncio.Event().wait()
        on_blind(None)


async def _follow(
    folders: list[bytes], rescan: Callable[[bytes], None], *, catalog: Path, settle_s: float
) -> str:
    """Have all folders looked at, then each again that changes; returns why that ended."""
    loop = asyncio.get_running_loop()
    due: dict[int, asyncio.TimerHandle] = {}
    child: Child | None = None
    why, began = "the process that watches them has ended", False
    try:
        child = await Child.start(
            watch_process.__name__, watch_process.watch_request(folders, own=bytes(catalog))
        )
        async for message in child.messages():
            why = message.get("blind", why)
            if "began" in message:
                began = True
                _rescan_all(folders, rescan)
            for number in message.get("changed", ()):
                if number in due:
                    due[number].cancel()
                due[number] = loop.call_later(settle_s, rescan, folders[number])
    except OSError as error:
        why = error.strerror or str(error)
    except asyncio.CancelledError:
        # The sweep that cuts off a process which is slow to begin is a sweep all the same.
        if not began:
            _rescan_all(folders, rescan)
        raise
    finally:
        for timer in due.values():
            timer.cancel()
        if child is not None:
            await child.finish()
    # What changed before it ended may not have been told.
    if due or not began:
        _rescan_all(folders, rescan)
    return why


def _rescan_all(folders: list[bytes], rescan: Callable[[bytes], None]) -> None:
    for folder in folders:
        rescan(folder)
