"""Databases that can hold a catalog: tests that ask for `address` run on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def postgres_address(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of an empty database."""
    monkeypatch.setenv("SOUNDALIKE_CACHE", str(tmp_path / "cache"))
    name = postgres_server.create_database()
    yield postgres_server.address(name)
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a catalog can be made."""
    if request.param == "sqlite":
        return str(tmp_path / "catalog.db")
    found: str = request.getfixturevalue("postgres_address")
    return found


@pytest.fixture
def only_sqlite(address: str) -> None:
    """Skips a test of what only a file can have."""
    if address.startswith("postgresql"):
        pytest.skip("a server has no file that tests could change")
