"""What every route of one server shares."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from indexer.analysis.sandbox import Limits
from indexer.catalog.reader import Catalog
from indexer.errors import InvalidOption, SoundalikeError
from recommender.engine import Recommender
from recommender.players.song_ids.id_map import KeptIdMap
from recommender.server.covers.covers import Covers
from recommender.server.indexing.accepted_files import AcceptedFiles
from recommender.server.indexing.runs import IndexRuns
from recommender.server.indexing.watching import require_watchfiles
from recommender.server.map_process import MapInBackground
from recommender.server.metrics import Metrics
from recommender.server.opensubsonic.authentication import players_secret
from recommender.server.slow_work import SlowWork
from recommender.server.sound.ranged_answers import Streams
from recommender.server.sound.sources import StoredFiles
from recommender.server.sound.transcodes import Transcodes
from recommender.server.sound.workers import PlaybackWorkers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.server.settings import Settings

ANALYSING = 4
"""Requests that wait for the worker at a time."""
LISTENING = 16
"""Connections that are told of changes at a time."""


@dataclass(frozen=True, eq=False)
class Context:
    """What every route of one server shares.

    Attributes
    ----------
    settings : Settings
    recommender : Recommender
    catalog : Catalog
        A connection of the event loop's own, on which no question waits.
    library_map : MapInBackground
    uploads : Path
        Folder of files that are analysed and then deleted.
    analysing : CapacityLimiter
        Slots of routes that wait for the worker: they must not take up every thread.
    playback : PlaybackWorkers
        Worker processes that read sound and covers.
    stored_files : StoredFiles
    transcodes : Transcodes
    streams : Streams
    covers : Covers
    players_secret : str or InvalidOption
        The password of players, or why there is none.
    song_ids : KeptIdMap
        Ids by which another server knows the tracks.
    index_runs : IndexRuns
    accepted : AcceptedFiles or None
        The uploads folder; None: no files are taken.
    event_places : CapacityLimiter
        Places of connections that are told of changes.
    slow_work : SlowWork
    metrics : Metrics
    closing : asyncio.Event
        Set when the server begins to shut down: answers without an end must end then.
    """

    settings: Settings
    recommender: Recommender
    catalog: Catalog
    library_map: MapInBackground
    uploads: Path
    index_runs: IndexRuns
    accepted: AcceptedFiles | None
    playback: PlaybackWorkers
    stored_files: StoredFiles
    transcodes: Transcodes
    covers: Covers
    players_secret: str | InvalidOption
    song_ids: KeptIdMap
    streams: Streams = field(default_factory=Streams)
    analysing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(ANALYSING))
    event_places: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(LISTENING))
    slow_work: SlowWork = field(default_factory=SlowWork)
    metrics: Metrics = field(default_factory=Metrics)
    closing: asyncio.Event = field(default_factory=asyncio.Event)


@contextmanager
def open_context(settings: Settings) -> Iterator[Context]:
    """The context of a server, closed afterwards.

    Raises
    ------
    CatalogMissing, NotACatalog, CatalogTooNew
    InvalidOption
        The uploads folder or a named file of the players' secret cannot be used.
    ExtraMissing
        Folders are to be watched and nothing tells of changes.
    """
    if settings.watch:
        require_watchfiles()
    seconds = settings.upload.analyse_s
    limits = Limits(wall_s=seconds, cpu_s=seconds + 1)
    with (
        Recommender.open(settings.catalog, limits=limits) as recommender,
        closing(Catalog.open_for_reading(settings.catalog)) as catalog,
        closing(MapInBackground(catalog.address, recommender)) as library_map,
        tempfile.TemporaryDirectory(prefix="soundalike-") as uploads,
        closing(PlaybackWorkers()) as playback,
        _accepting(settings) as accepted,
    ):
        runs = IndexRuns(
            catalog,
            lambda: _folders(settings, recommender),
            on_indexed=lambda path: accepted.forget(path) if accepted else None,
            watching=settings.watch,
        )
        context = Context(
            settings,
            recommender,
            catalog,
            library_map,
            Path(uploads),
            runs,
            accepted,
            playback,
            StoredFiles(playback),
            Transcodes(playback),
            Covers(recommender, playback),
            players_secret(settings.players_secret, recommender.path),
            KeptIdMap(recommender.path, catalog_uuid=catalog.uuid),
        )
        try:
            yield context
        finally:
            context.slow_work.close()


@contextmanager
def _accepting(settings: Settings) -> Iterator[AcceptedFiles | None]:
    if settings.uploads is None:
        yield None
        return
    with closing(AcceptedFiles(settings.uploads)) as accepted:
        yield accepted


def _folders(settings: Settings, recommender: Recommender) -> list[bytes]:
    """Folders that a run may be started for, the uploads folder among them."""
    uploads = [] if settings.uploads is None else [bytes(settings.uploads)]
    return list(dict.fromkeys([*(settings.folders or recommender.folders()), *uploads]))


def warm_up(context: Context) -> None:
    """Load and compute what the first questions would wait for: packages, random pairs."""
    import scipy.sparse.csgraph  # noqa: F401 - of questions that meet near-duplicates

    with suppress(SoundalikeError):
        # Nothing to compute in a library without tracks.
        context.recommender.scores(0.5)


async def context_of(request: Request) -> Context:
    """The context of the server that a request came to."""
    found: Context = request.app.state.context
    return found


Server = Annotated[Context, Depends(context_of)]
"""The parameter of a route that is given the context."""
