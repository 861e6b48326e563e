"""What every route of one server shares."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from indexer.analysis.sandbox import Limits
from recommender.engine import Recommender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.server.settings import Settings

ANALYSING = 4
"""Requests that wait for the worker at a time."""


@dataclass(frozen=True, eq=False)
class Context:
    """What every route of one server shares.

    Attributes
    ----------
    settings : Settings
    recommender : Recommender
    uploads : Path
        Folder of files that are analysed and then deleted.
    analysing : CapacityLimiter
        Slots of routes that wait for the worker: they must not take up every thread.
    closing : asyncio.Event
        Set when the server begins to shut down: answers without an end must end then.
    """

    settings: Settings
    recommender: Recommender
    uploads: Path
    analysing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(ANALYSING))
    closing: asyncio.Event = field(default_factory=asyncio.Event)


@contextmanager
def open_context(settings: Settings) -> Iterator[Context]:
    """The context of a server, closed afterwards.

    Raises
    ------
    CatalogMissing, NotACatalog, CatalogTooNew
    """
    seconds = settings.upload.analyse_s
    limits = Limits(wall_s=seconds, cpu_s=seconds + 1)
    with (
        Recommender.open(settings.catalog, limits=limits) as recommender,
        tempfile.TemporaryDirectory(prefix="soundalike-") as uploads,
    ):
        yield Context(settings, recommender, Path(uploads))


def context_of(request: Request) -> Context:
    """The context of the server that a request came to."""
    found: Context = request.app.state.context
    return found


Server = Annotated[Context, Depends(context_of)]
"""The parameter of a route that is given the context."""
