"""What players wait for: answers to Subsonic's and AudioMuse-AI's clients, songs encoded anew."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from benchmarks import sounds
from benchmarks.catalogs import make_catalog
from benchmarks.served import served
from benchmarks.table import Cell, Table

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.setting import Setting

RUNS = 30
"""Questions of each kind, each of another song."""
SONG_S = 240.0
ENCODINGS = (("MP3, 192 kbit/s", "mp3", 192), ("Opus, 128 kbit/s", "opus", 128))

Ask = Callable[[httpx.Client, int], httpx.Response]


def measure(setting: Setting) -> tuple[Table, ...]:
    """Milliseconds of answers, and how fast a song is sent in another encoding."""
    folder = setting.folder / "players"
    folder.mkdir()
    return _answers(setting, folder), _encodings(setting, folder)


def _answers(setting: Setting, folder: Path) -> Table:
    count = setting.sizes.served_tracks
    catalog = folder / "catalog.db"
    make_catalog(catalog, count, seed=setting.seed)
    songs = cycle(np.random.default_rng(setting.seed).permutation(count) + 1)
    rows = []
    with served(catalog) as url, httpx.Client(base_url=url, timeout=120) as client:
        client.params = httpx.QueryParams(_login(catalog))
        for name, ask in _questions(count).items():
            first = _ms(ask, client, int(next(songs)))
            others = [_ms(ask, client, int(next(songs))) for _ in range(RUNS)]
            rows.append((name, first, median(others), max(others)))
    return Table(
        title=f"Answers to players, {count:,} tracks, one client, loopback, milliseconds",
        columns=("question", "first", "p50", "worst"),
        rows=tuple(rows),
        notes=f"After the first, {RUNS} of each, one after the other, each of another song. "
        "The first of all makes the tree of artists and albums, as after each change.",
    )


def _questions(count: int) -> dict[str, Ask]:
    def rest(endpoint: str, **parameters: Callable[[int], object] | object) -> Ask:
        def ask(client: httpx.Client, song: int) -> httpx.Response:
            given = {name: one(song) if callable(one) else one for name, one in parameters.items()}
            answer = client.get(f"rest/{endpoint}", params=_with(client, given))
            if answer.json()["subsonic-response"]["status"] != "ok":
                raise RuntimeError(f"the server answered {answer.text[:300]}")
            return answer

        return ask

    def other(song: int) -> int:
        return song % count + 1

    def track(song: int) -> str:
        return f"tr-{song}"

    return {
        "getArtists": rest("getArtists"),
        "getAlbumList2, 500 albums": rest("getAlbumList2", type="alphabeticalByName", size=500),
        'search3 "", 500 songs': rest(
            "search3", query='""', songCount=500, songOffset=lambda song: song % (count - 500)
        ),
        "search3, a word": rest("search3", query="love"),
        "getSimilarSongs, 50": rest("getSimilarSongs", id=track, count=50),
        "getSonicSimilarTracks, 10": rest("getSonicSimilarTracks", id=track, count=10),
        "findSonicPath, 25": rest(
            "findSonicPath",
            startSongId=track,
            endSongId=lambda song: track(other(song)),
            count=25,
        ),
        "AudioMuse similar_tracks, 10": lambda client, song: client.get(
            "api/similar_tracks", params=_with(client, {"item_id": song, "n": 10})
        ).raise_for_status(),
        "AudioMuse find_path, 25": lambda client, song: client.get(
            "api/find_path",
            params=_with(
                client,
                {"start_song_id": song, "end_song_id": other(song), "max_steps": 25},
            ),
        ).raise_for_status(),
    }


def _with(client: httpx.Client, parameters: dict[str, object]) -> dict[str, Any]:
    # Those of one request would take the place of the login.
    return {**client.params, **parameters}


def _login(catalog: Path) -> dict[str, str]:
    secret = catalog.with_suffix(".players-secret").read_text(encoding="ascii").strip()
    return {"apiKey": secret, "v": "1.16.1", "c": "benchmark", "f": "json"}


def _ms(ask: Ask, client: httpx.Client, song: int) -> float:
    began = time.perf_counter()
    ask(client, song)
    return 1000 * (time.perf_counter() - began)


def _encodings(setting: Setting, folder: Path) -> Table:
    music = folder / "music"
    music.mkdir()
    sound = sounds.load(setting.music, SONG_S)
    seconds = sound.shape[1] / sounds.SAMPLE_RATE
    sounds.encode(music / "song.flac", sound, sounds.BY_SUFFIX["flac"])
    catalog = folder / "one.db"
    index = [sys.executable, "-m", "recommender", "index", str(music), "--catalog", str(catalog)]
    subprocess.run(index, check=True, capture_output=True)
    rows: list[tuple[Cell, ...]] = []
    with served(catalog) as url, httpx.Client(base_url=url, timeout=300) as client:
        login = _login(catalog)
        for name, fmt, rate in ENCODINGS:
            asked = {**login, "id": "tr-1", "format": fmt, "maxBitRate": rate}
            runs = [_stream(client, asked) for _ in range(setting.sizes.runs)]
            first, whole = (median(column) for column in zip(*runs, strict=True))
            rows.append((name, 1000 * first, whole, seconds / whole))
    return Table(
        title=f"A FLAC of {seconds:.0f} s sent in another encoding",
        columns=("encoding", "first byte ms", "whole s", "times real time"),
        rows=tuple(rows),
        notes="Medians; the reader takes what comes. The first run starts the worker too.",
    )


def _stream(client: httpx.Client, parameters: dict[str, Any]) -> tuple[float, float]:
    """Seconds to the first byte and to the last."""
    began = time.perf_counter()
    with client.stream("GET", "rest/stream", params=parameters) as answer:
        answer.raise_for_status()
        pieces: Iterator[bytes] = answer.iter_raw()
        next(pieces)
        first = time.perf_counter() - began
        for _ in pieces:
            pass
    return first, time.perf_counter() - began
