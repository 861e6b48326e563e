"""Players over a catalog on a PostgreSQL server: the same answers, the secret among its caches."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.catalogs import plant
from tests.postgres import embedded_or_skip, running_server
from tests.recommender.server.conftest import client_of
from tests.recommender.server.opensubsonic.library import TRACKS, Rest, secret_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_players_get_the_same_as_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDALIKE_CACHE", str(tmp_path / "cache"))
    # Characters that PostgreSQL cannot store are not what this is about.
    tracks = [
        # The folder, which is another one, has no part in the ids of albums that name an artist.
        replace(track, album_artist=track.album_artist or "Band")
        for track in TRACKS
        if "bad" not in (track.title or "")
    ]
    asked = (
        ("getArtists", {}),
        ("getAlbumList2", {"type": "alphabeticalByName", "size": 500}),
        ("getSong", {"id": "tr-13"}),
        ("search3", {"query": "blue"}),
        ("search3", {"query": '""', "songCount": 500}),
        ("getGenres", {}),
        ("getSimilarSongs", {"id": "tr-1"}),
    )
    answers = []
    with running_server(embedded_or_skip()) as server:
        on_server = server.address(server.create_database())
        for address in (None, on_server):
            folder = tmp_path / ("file" if address is None else "server")
            folder.mkdir()
            catalog = plant(folder, ["calm", "loud"], tracks, address=address)
            with client_of(address or catalog) as client:
                if address is not None:
                    (path,) = (tmp_path / "cache").glob("*/catalog.players-secret")
                    assert stat.S_IMODE(path.stat().st_mode) == 0o600
                rest = Rest(client, secret_of(catalog if address is None else path))
                answers.append([rest.ok(name, **parameters) for name, parameters in asked])
    assert answers[0] == answers[1]
