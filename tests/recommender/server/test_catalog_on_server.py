"""A page whose catalog, and whose vectors, are on a PostgreSQL server that can go away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.catalog.address import with_vectors_on_server
from tests.catalogs import Planted, plant
from tests.postgres import embedded_or_skip, running_server
from tests.recommender.server.conftest import client_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize("vectors", ["file", "pgvector"])
def test_a_server_that_goes_away_costs_a_sentence_and_then_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vectors: str
) -> None:
    monkeypatch.setenv("SOUNDALIKE_CACHE", str(tmp_path / "cache"))
    with running_server(embedded_or_skip()) as server:
        address = server.address(server.create_database())
        plant(tmp_path, ["piano"], [Planted(f"Song {n}") for n in range(9)], address=address)
        if vectors == "pgvector":
            address = with_vectors_on_server(address)
        with client_of(address) as client:
            before = client.get("similar", params={"like": 3, "n": 4}).json()["neighbours"]
            assert len(before) == 4
            server.stop()
            gone = client.get("similar", params={"like": 3, "n": 5})
            assert gone.status_code == 503
            assert "cannot be reached" in gone.json()["detail"]
            assert str(tmp_path) not in gone.text
            server.start()
            again = client.get("similar", params={"like": 3, "n": 6})
            assert again.status_code == 200
            assert again.json()["neighbours"][:4] == before
