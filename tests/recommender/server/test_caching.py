from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from indexer.catalog import writer
from indexer.catalog.reader import Catalog
from indexer.catalog.status import TrackStatus
from recommender.server.caching import MARK, AnswerCache
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Message, Receive, Scope, Send


def test_answers_are_kept_until_a_track_changes(tmp_path: Path) -> None:
    path = plant(tmp_path, ("loud",), [Planted("a"), Planted("b")])
    asked = 0

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal asked
        asked += 1
        await Response(str(asked), headers={MARK: "1"})(scope, receive, send)

    def get(cache: AnswerCache) -> bytes:
        body = b""

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            nonlocal body
            body += message.get("body", b"")

        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
        asyncio.run(cache({**scope, "query_string": b""}, receive, send))
        return body

    with (
        closing(Catalog.open_for_reading(path)) as catalog,
        closing(Catalog.open_for_writing(path)) as writing,
    ):
        cache = AnswerCache(route, catalog=catalog)
        assert [get(cache), get(cache)] == [b"1", b"1"]
        with writing.writing() as connection:
            writer.add_root(connection, b"/elsewhere")
        assert get(cache) == b"1"
        with writing.writing() as connection:
            writer.set_status(connection, [2], TrackStatus.REMOVED)
        assert [get(cache), get(cache)] == [b"2", b"2"]
