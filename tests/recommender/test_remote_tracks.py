"""Tracks whose files are on a server: what can be asked of them, and what is refused."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from recommender import Recommender
from recommender.playlists.files import write_m3u8
from tests.recommender.server.conftest import client_of
from tests.remote_folder import RemoteFolder, remote_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool


@pytest.fixture(scope="module")
def server(original_songs: Path) -> Iterator[RemoteFolder]:
    with remote_folder(original_songs) as running:
        yield running


@pytest.fixture(scope="module")
def catalog(
    server: RemoteFolder, pool: AnalysisPool, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A catalog of the twelve songs on a server; not to be changed."""
    path = tmp_path_factory.mktemp("remote") / "catalog.db"
    with closing(Library.open_for_writing(path, create=True)) as library:
        index_paths(library, [server.url], pool=pool)
    return path


def test_a_track_on_a_server_answers_as_any_other(server: RemoteFolder, catalog: Path) -> None:
    with Recommender.open(catalog) as recommender:
        url = f"{server.url}album%200/02.mp3"
        track = recommender.track(url)
        assert (track.id, track.path) == (3, url.encode())
        assert recommender.similar_to_track(url, 1).to_json()["seed"] == "Band 0 - Song 2"
        assert recommender.similar_to_file(url, 1, include_same=True)[0].id == 3
        (neighbour,) = recommender.similar_to_track(3, 1, why="windows")
        assert neighbour.why is not None
        assert neighbour.why.windows is not None
        text = write_m3u8([track], None, relative_to=catalog.parent)
        assert text.splitlines()[-1] == url


def test_the_page_does_not_play_it_and_says_why(catalog: Path) -> None:
    with client_of(catalog) as client:
        answer = client.get("tracks/3/audio")
        assert answer.status_code == 503
        assert answer.json()["detail"].endswith(
            "track 3 was indexed from another server, whose files are not played from here: open "
            "it there"
        )
        wav = client.get("tracks/3/audio")
        assert wav.status_code == 503
        cover = client.get("tracks/3/cover")
        assert (cover.status_code, cover.headers["content-type"]) == (200, "image/svg+xml")
        assert client.get("tracks/3").status_code == 200


@pytest.mark.slow
def test_the_command_line_takes_addresses(
    run: Callable[..., tuple[int, str, str]], server: RemoteFolder
) -> None:
    code, out, err = run("index", f"{server.url}album%201", "--workers", 1, "--json")
    assert (code, json.loads(out)["new"], err) == (0, 6, "")
    code, out, err = run("add", f"{server.url}album%200/02.mp3", "-n", 1)
    assert (code, err) == (0, "")
    assert out.startswith("sounds like Band 0 - Song 2:")
    assert json.loads(run("index", "--json")[1])["unchanged"] == 6
    code, out, err = run("index", "https://user:secret@host/")
    assert (code, out) == (1, "")
    assert err.startswith("soundalike: https://host/ would be stored with a password: ")
    code, out, err = run("index", f"{server.url}none/")
    assert (code, out) == (1, "")
    assert err == (
        f"soundalike: {server.url}none/ cannot be reached (it is not there): check the name, or "
        "connect the disk it is on\n"
    )
