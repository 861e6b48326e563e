"""How many tracks are encoded at a time, and which one makes room."""

from __future__ import annotations

from contextlib import aclosing, closing, contextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from indexer.audio.encoding import encoding_within
from recommender import Recommender
from recommender.server.problems import Problem
from recommender.server.sound import transcodes
from recommender.server.sound.transcodes import MOST_TRANSCODES, Transcodes
from recommender.server.sound.workers import PlaybackWorkers
from tests import sounds
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from recommender.server.sound.transcodes import TranscodedSound


@contextmanager
def beginning(folder: Path, workers: PlaybackWorkers) -> Iterator[Callable[[], TranscodedSound]]:
    """Begins to encode one song."""
    path = sounds.write_audio(folder / "a.flac", sounds.music(8))
    encoding = encoding_within("mp3", 128)
    with Recommender.open(plant(folder, ["piano"], [Planted("a", path=path)])) as recommender:
        track, file = recommender.track(1), recommender.track_file(1)
        several = Transcodes(workers)

        def begin() -> TranscodedSound:
            sound = several.prepare(track, file, encoding)
            sound.begin()
            return sound

        yield begin


def test_one_that_nobody_reads_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(begin: Callable[[], TranscodedSound]) -> None:
        held = [begin() for _ in range(MOST_TRANSCODES)]
        with pytest.raises(Problem) as refused:
            begin()
        assert refused.value.status == 503
        assert refused.value.headers["Retry-After"]
        async with aclosing(held[0].pieces()) as first, aclosing(held[1].pieces()) as second:
            assert await anext(first)
            assert await anext(second)
            monkeypatch.setattr(transcodes, "IDLE_S", 0.0)
            # Those that were never read have waited longest, then the first.
            later = [begin() for _ in range(3)]
            assert await anext(second)
            with pytest.raises(Problem, match="another one took its turn"):
                await anext(first)
        for one in (*held, *later):
            one.close()
            one.close()
        async with aclosing(begin().pieces()) as pieces:
            assert b"".join([piece async for piece in pieces]).startswith(b"\xff\xfb")

    with closing(PlaybackWorkers()) as workers, beginning(tmp_path, workers) as begin:
        anyio.run(ask, begin)
