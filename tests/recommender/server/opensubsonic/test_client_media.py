"""Music Assistant's own client, py-opensonic, plays, stars and shows: a real server, real files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from libopensonic import AsyncConnection
from libopensonic.errors import DataNotFoundError, SonicError

from tests.recommender.server.conftest import start_server
from tests.recommender.server.opensubsonic.library import secret_of
from tests.recommender.server.opensubsonic.songs import NAMES, SECONDS, decode, write_songs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.recommender.server.conftest import Running

    Ask = Callable[[Callable[[AsyncConnection], Awaitable[object]]], object]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = write_songs(tmp_path_factory.mktemp("client"))
    (found.parent / "a.lrc").write_text("[00:01.00]One\n[00:02.00]Two\n")
    (found.parent / "music" / "mine.m3u8").write_text("../b.flac\n../a.mp3\n")
    return found


@pytest.fixture(scope="module")
def running(catalog: Path) -> Iterator[Running]:
    with start_server(catalog, "--allow-writes") as found:
        yield found


@pytest.fixture(scope="module", params=["form", "get"])
def ask(request: pytest.FixtureRequest, running: Running, catalog: Path) -> Ask:
    """Asks something of a client that is logged in, by POST or by GET."""
    base, _, port = running.url.rstrip("/").rpartition(":")

    def run(question: Callable[[AsyncConnection], Awaitable[object]]) -> object:
        async def connected() -> object:
            client = AsyncConnection(
                base,
                port=int(port),
                username="soundalike",
                password=secret_of(catalog),
                use_get=request.param == "get",
            )
            try:
                return await question(client)
            finally:
                await client.cleanup()

        return asyncio.run(connected())

    return run


def test_it_plays_a_file_in_ranges(ask: Ask, catalog: Path) -> None:
    whole = (catalog.parent / NAMES[1]).read_bytes()

    async def play(client: AsyncConnection) -> bytes:
        played = b""
        while len(played) < len(whole):
            last = len(played) + 99_999
            answer = await client.stream("tr-2", byte_range=f"bytes={len(played)}-{last}")
            assert answer.status == 206
            assert answer.headers["Content-Range"].endswith(f"/{len(whole)}")
            played += await answer.read()
        return played

    assert ask(play) == whole

    async def download(client: AsyncConnection) -> bytes:
        return await (await client.download("tr-7")).read()

    assert ask(download) == (catalog.parent / NAMES[6]).read_bytes()


@pytest.mark.parametrize("codec", ["mp3", "opus"])
def test_it_plays_another_encoding(ask: Ask, codec: str) -> None:
    async def play(client: AsyncConnection) -> tuple[str, bytes]:
        answer = await client.stream("tr-3", max_bit_rate=96, tformat=codec, time_offset=2)
        return answer.headers["Content-Type"], await answer.read()

    kind, data = ask(play)
    assert kind == {"mp3": "audio/mpeg", "opus": "audio/ogg"}[codec]
    samples, rate = decode(data)
    assert len(samples) / rate == pytest.approx(SECONDS - 2, abs=0.01)


def test_it_gives_stars_and_ratings(ask: Ask) -> None:
    async def rate(client: AsyncConnection) -> tuple[list[str], int | None, list[str]]:
        song = await client.get_song("tr-4")
        await client.star(sids=["tr-4", "tr-5"], album_ids=[song.album_id])
        await client.set_rating("tr-6", 2)
        starred = await client.get_starred2()
        folders = await client.get_starred()
        assert [one.id for one in folders.song] == [one.id for one in starred.song]
        assert [one.title for one in folders.album] == [one.name for one in starred.album]
        rating = (await client.get_song("tr-6")).user_rating
        await client.unstar(sids=["tr-4", "tr-5"], album_ids=[song.album_id])
        await client.set_rating("tr-6", 0)
        left = await client.get_starred2()
        return (
            sorted(one.id for one in (*starred.song, *starred.album)),
            rating,
            [one.id for one in left.song or ()],
        )

    ids, rating, left = ask(rate)
    assert ids[1:] == ["tr-4", "tr-5"]
    assert ids[0].startswith("al-")
    assert (rating, left) == (2, [])


def test_it_shows_lyrics_covers_and_playlists(ask: Ask) -> None:
    async def show(client: AsyncConnection) -> None:
        (lyrics,) = await client.get_lyrics_by_song_id("tr-1")
        assert lyrics.synced
        assert [(one.start, one.value) for one in lyrics.line] == [(1000, "One"), (2000, "Two")]
        cover = await client.get_cover_art("tr-1", size=40)
        assert cover.headers["Content-Type"] == "image/png"
        assert (await cover.read()).startswith(b"\x89PNG")
        names = {one.name: one for one in await client.get_playlists()}
        mine = await client.get_playlist(names["mine"].id)
        assert [one.id for one in mine.entry] == ["tr-2", "tr-1"]
        assert await client.scrobble("tr-1")

    ask(show)


def test_it_is_told_what_is_not_there(ask: Ask) -> None:
    async def fail(client: AsyncConnection) -> None:
        for question in (client.stream, client.download, client.get_cover_art):
            with pytest.raises(DataNotFoundError):
                await question("tr-999")
        with pytest.raises(SonicError):
            await client.get_playlist("pl-none")

    ask(fail)
