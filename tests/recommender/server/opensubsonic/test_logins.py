"""Who may ask: three ways of logging in, and all that is none."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from indexer.errors import InvalidOption
from recommender.server.context import open_context
from recommender.server.opensubsonic.authentication import FAILURES, Logins, players_secret
from recommender.server.opensubsonic.parameters import Parameters
from recommender.server.opensubsonic.refusals import Refused
from recommender.server.opensubsonic.routing import players_login
from recommender.server.safety.tokens import session_cookie
from recommender.server.settings import Settings
from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import client_of
from tests.recommender.server.opensubsonic.library import Rest, secret_of, token_of

if TYPE_CHECKING:
    from pathlib import Path

    import httpx


def code(response: httpx.Response) -> int | None:
    assert response.status_code == 200
    found = response.json()["subsonic-response"]
    return found["error"]["code"] if found["status"] == "failed" else None


def login_code(rest: Rest, name: str = "ping", **parameters: str) -> int | None:
    return code(rest.get(name, f="json", **parameters))


@pytest.mark.parametrize("name", ["ping", "ping.view"])
def test_each_way_of_logging_in(rest: Rest, name: str) -> None:
    salt = "c19b2d"
    ways = (
        {"u": "soundalike", "p": rest.secret},
        {"u": "soundalike", "p": f"enc:{rest.secret.encode().hex()}"},
        {"u": "soundalike", "t": token_of(rest.secret, salt), "s": salt},
        {"u": "soundalike", "t": token_of(rest.secret, salt).upper(), "s": salt},
        {"apiKey": rest.secret},
    )
    for way in ways:
        assert login_code(rest, name, **way) is None, way
        posted = rest.client.post(f"http://127.0.0.1/rest/{name}", data={**way, "f": "json"})
        assert code(posted) is None, way


def test_all_that_is_no_login(rest: Rest) -> None:
    token = token_of(rest.secret, "salt")
    for way, expected in (
        ({}, 10),
        ({"u": "soundalike"}, 10),
        ({"u": "soundalike", "s": "salt"}, 10),
        ({"u": "soundalike", "t": token}, 10),
        ({"p": rest.secret}, 10),
        ({"u": "soundalike", "p": "wrong"}, 40),
        ({"u": "soundalike", "p": ""}, 40),
        ({"u": "soundalike", "p": "enc:nothex"}, 40),
        ({"u": "soundalike", "p": "enc:"}, 40),
        ({"u": "soundalike", "t": token, "s": "another salt"}, 40),
        ({"u": "%", "p": rest.secret}, 40),
        ({"u": "SOUNDALIKE", "p": rest.secret}, 40),
        ({"u": "soundalike", "p": rest.secret, "t": token, "s": "salt"}, 43),
        ({"u": "soundalike", "apiKey": rest.secret}, 43),
        ({"p": rest.secret, "apiKey": rest.secret}, 43),
        ({"t": token, "s": "salt", "apiKey": rest.secret}, 43),
        ({"apiKey": "wrong"}, 44),
        ({"apiKey": ""}, 44),
        ({"apiKey": f"{rest.secret}\x00"}, 44),
    ):
        assert login_code(rest, **way) == expected, way


def test_extensions_are_public_and_nothing_else_is(rest: Rest) -> None:
    assert login_code(rest, "getOpenSubsonicExtensions") is None
    for name in ("ping", "getArtists", "stream", "no such thing", "getopensubsonicextensions"):
        assert login_code(rest, name, u="soundalike", p="wrong wrong") == 40, name


def test_neither_cookies_nor_the_tokens_of_the_api_count(tmp_path: Path) -> None:
    token = "of the API and of nothing else"  # noqa: S105 - of a test
    catalog = plant(tmp_path, ["calm"], [Planted("one")])
    with client_of(catalog, token=token) as client:
        rest = Rest(client, secret_of(catalog))
        client.cookies.set("soundalike", session_cookie(token))
        headers = {"Authorization": f"Bearer {token}"}
        address = "http://127.0.0.1/rest/ping?f=json"
        assert code(client.get(address, headers=headers)) == 10
        assert code(client.get(f"{address}&apiKey={token}", headers=headers)) == 44
        # And the secret of players opens nothing of the API.
        client.cookies.clear()
        assert rest.ok("ping")["openSubsonic"] is True
        api = "http://127.0.0.1/api/v1/tracks"
        for headers in ({}, {"Authorization": f"Bearer {rest.secret}"}):
            assert client.get(f"{api}?apiKey={rest.secret}", headers=headers).status_code == 401


def test_who_shows_many_wrong_secrets_waits_and_others_do_not() -> None:
    now = 1000.0
    logins = Logins("the secret of players", clock=lambda: now)

    def attempt(secret: str, client: str) -> str | None:
        try:
            logins.require(Parameters({"apiKey": (secret,)}, None), client)  # type: ignore[arg-type]
        except Refused as refused:
            return str(refused)
        return None

    for number in range(FAILURES + 1):
        assert "wait" not in (attempt(f"guess {number}", "10.0.0.1") or "")
    assert "try again in 3 s" in (attempt("guess", "10.0.0.1") or "")
    # Not even the right one is looked at: who guesses would know it by that.
    assert "try again" in (attempt("the secret of players", "10.0.0.1") or "")
    assert attempt("the secret of players", "10.0.0.2") is None
    now += 3.1
    assert attempt("the secret of players", "10.0.0.1") is None


def test_the_secret_lies_beside_the_catalog_for_its_owner_alone(tmp_path: Path) -> None:
    made = players_secret(None, tmp_path / "catalog.db")
    path = tmp_path / "catalog.players-secret"
    assert isinstance(made, str)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert players_secret(None, tmp_path / "catalog.db") == made
    named = players_secret(tmp_path / "named", tmp_path / "catalog.db")
    assert named != made
    path.chmod(0o644)
    refused = players_secret(None, tmp_path / "catalog.db")
    assert isinstance(refused, InvalidOption)
    assert "chmod 600" in str(refused)
    assert "--players-secret" in str(refused)
    with pytest.raises(InvalidOption, match="chmod 600"):
        players_secret(path, tmp_path / "catalog.db")


def test_where_no_secret_can_be_written_players_cannot_log_in(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = players_secret(None, tmp_path / "file" / "catalog.db")
    assert isinstance(refused, InvalidOption)
    assert "--players-secret" in str(refused)


def test_where_others_may_read_the_secret_nobody_logs_in(tmp_path: Path) -> None:
    catalog = plant(tmp_path, ["calm"], [Planted("one")])
    path = tmp_path / "catalog.players-secret"
    path.write_text("a secret that is no secret\n")
    path.chmod(0o640)
    with open_context(Settings(catalog=catalog)) as context:
        said = players_login(context)
        assert said.startswith("players cannot log in")
        assert f"chmod 600 {path}" in said
        assert "--players-secret FILE" in said
    with client_of(catalog) as client:
        found = client.get("http://127.0.0.1/rest/ping?f=json&apiKey=a secret that is no secret")
        assert found.json()["subsonic-response"]["error"]["code"] == 0
        assert str(tmp_path) not in found.text
        # All else is served.
        assert client.get("health").status_code == 200


def test_the_server_says_where_the_password_lies(tmp_path: Path) -> None:
    catalog = plant(tmp_path, ["calm"], [Planted("one")])
    with open_context(Settings(catalog=catalog)) as context:
        path = tmp_path / "catalog.players-secret"
        said = players_login(context)
        assert said == f"players log in as soundalike, with the password in {path}"
        assert path.read_text().strip() not in said
