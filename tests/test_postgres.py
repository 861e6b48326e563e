import signal

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.postgres import (
    GUARDED,
    PASSWORD,
    debian_binaries,
    embedded_or_skip,
    running_server,
)


def test_a_database_for_each_test_may_be_made_like_another(postgres_server):
    first = postgres_server.create_database()
    postgres_server.run("CREATE TABLE songs AS SELECT 'Waltz' AS title", first)
    like_it = postgres_server.create_database(template=first)
    engine = create_engine(postgres_server.address(like_it))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT title FROM songs")).all() == [("Waltz",)]
    postgres_server.drop_database(like_it)  # which the engine's pool is still connected to
    engine.dispose()
    postgres_server.drop_database(first)
    names = postgres_server.run("SELECT datname FROM pg_database")
    assert not {(first,), (like_it,)} & set(names)


def test_one_role_must_give_its_password(postgres_server):
    with pytest.raises(psycopg.OperationalError, match="password"):
        postgres_server.connect(role=GUARDED)
    told = create_engine(postgres_server.address(role=f"{GUARDED}:{PASSWORD}"))
    told.connect().close()
    told.dispose()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_stops_and_starts_with_what_it_holds(how):
    binaries = debian_binaries()
    if binaries is None:
        pytest.skip("Debian's postgresql is not installed")
    with running_server(binaries) as server:
        server.run("CREATE TABLE kept (n int)")
        with server.connect() as connection:
            server.stop(how)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        server.start()
        assert server.run("SELECT count(*) FROM kept") == [(0,)]


def test_the_package_brings_vectors_and_trigrams(postgres_server):
    if postgres_server.binaries != embedded_or_skip():
        pytest.fail("programs of the package are preferred")
    found = postgres_server.run("SELECT name FROM pg_available_extensions")
    assert {("vector",), ("pg_trgm",)} <= set(found)
