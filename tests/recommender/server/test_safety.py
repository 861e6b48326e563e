from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from indexer.errors import InvalidOption
from recommender.server.problems import without_paths
from recommender.server.run import serve
from recommender.server.safety.hosts import host_name
from recommender.server.safety.rate_limit import BURST_S, RateLimit
from recommender.server.safety.tokens import COOKIE, read_or_make_token, session_cookie
from recommender.server.settings import Settings
from tests.recommender.server.conftest import client_of

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "a-token-of-many-characters"  # noqa: S105 - of these tests
OWN_HOSTS = ["localhost", "127.0.0.1", "LOCALHOST:7707", "127.0.0.1:1", "localhost."]
OTHER_HOSTS = ["evil.example", "127.0.0.1.nip.io", "localhost.evil.example", "", "a b", "127.0.0.2"]
OTHER_HOSTS += ["[::1", "user@localhost", "localhost:7707/", "localhost:port", "192.168.0.1", "0"]


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_the_names_of_this_machine_are_answered(original_catalog: Path, host: str) -> None:
    with client_of(original_catalog) as client:
        assert client.get("ready", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_a_host_that_is_not_ours_is_refused(original_catalog: Path, host: str) -> None:
    with client_of(original_catalog) as client:
        answer = client.get("ready", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"


def test_hosts_that_were_allowed_are_answered(original_catalog: Path) -> None:
    with client_of(original_catalog, allowed_hosts=("Music.home",)) as client:
        assert client.get("ready", headers={"Host": "music.home:443"}).status_code == 200
        assert client.get("ready", headers={"Host": "music.home.evil"}).status_code == 421


def test_two_host_headers_are_refused(original_catalog: Path) -> None:
    with client_of(original_catalog) as client:
        answer = client.get("ready", headers=[("Host", "127.0.0.1"), ("Host", "evil.example")])
    assert answer.status_code == 421


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "same-site"}, 403),
        ("DELETE", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ("POST", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": ""}, 403),
        ("POST", {"Origin": "http://127.0.0.1:1"}, 403),
        ("POST", {"Origin": "http://[::1"}, 403),
        ("GET", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "http://127.0.0.1"}, 405),
        ("POST", {"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 405),
        ("POST", {}, 405),
        ("GET", {"Sec-Fetch-Site": "none"}, 200),
    ],
)
def test_other_sites_may_not_ask(
    original_catalog: Path, method: str, headers: dict[str, str], status: int
) -> None:
    with client_of(original_catalog) as client:
        assert client.request(method, "ready", headers=headers).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer \u00e9".encode("latin-1").decode("latin-1")},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}={session_cookie('another token, as long')}"},
        {"Cookie": "soundalike"},
        {"Authorization": "Bearer wrong", "Cookie": f"{COOKIE}={session_cookie(TOKEN)}"},
        {"X-Original-URL": "/api/v1/health"},
        {"X-Rewrite-URL": "/api/v1/health"},
    ],
)
def test_without_the_token_nothing_is_said(original_catalog: Path, headers: dict[str, str]) -> None:
    with client_of(original_catalog, token=TOKEN) as client:
        raw = {name: value.encode("latin-1") for name, value in headers.items()}
        answer = client.get("openapi.json", headers=raw)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert client.get("health").status_code == 200


@pytest.mark.parametrize(
    "path", ["//api/v1/openapi.json", "/api/v1//openapi.json", "/API/v1/openapi.json"]
)
def test_no_spelling_of_a_path_goes_around_the_token(original_catalog: Path, path: str) -> None:
    with client_of(original_catalog, token=TOKEN) as client:
        assert client.get(f"http://127.0.0.1{path}").status_code in (401, 404)


def test_the_token_and_its_cookie_are_let_in(original_catalog: Path) -> None:
    with client_of(original_catalog, token=TOKEN) as client:
        for headers in (
            {"Authorization": f"bearer {TOKEN}"},
            {"Cookie": f"a=b; {COOKIE}={session_cookie(TOKEN)}"},
        ):
            assert client.get("openapi.json", headers=headers).status_code == 200


def test_a_token_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = read_or_make_token(path)
    assert len(token) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_or_make_token(path) == token
    path.chmod(0o640)
    with pytest.raises(InvalidOption, match="chmod 600"):
        read_or_make_token(path)


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret\n")
    path.chmod(0o600)
    with pytest.raises(InvalidOption, match="shorter"):
        read_or_make_token(path)


def test_an_address_of_other_machines_needs_a_token(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "music.home"):  # noqa: S104 - refused
        with pytest.raises(InvalidOption, match="--token-file"):
            serve(Settings(catalog=tmp_path / "none.db", host=host))


def test_every_answer_carries_the_policy(original_catalog: Path) -> None:
    with client_of(original_catalog) as client:
        for answer in (
            client.get("health"),
            client.get("none"),
            client.get("health", headers={"Host": "evil.example"}),
        ):
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_client_that_asks_too_often_waits() -> None:
    now = 100.0
    guard = RateLimit(PlainTextResponse("yes"), per_s=5, clock=lambda: now)
    client = TestClient(guard, client=("10.0.0.1", 1))
    burst = round(5 * BURST_S)
    assert [client.get("/").status_code for _ in range(burst + 1)] == [200] * burst + [429]
    assert client.get("/").headers["retry-after"] == "1"
    assert TestClient(guard, client=("10.0.0.2", 1)).get("/").status_code == 200
    now += 1
    assert [client.get("/").status_code for _ in range(6)] == [200] * 5 + [429]


def test_names_of_hosts() -> None:
    assert host_name("[::1]:80") == "[::1]"
    assert host_name("Example.org.:8080") == "example.org"
    assert host_name("a:b:c") is None


@pytest.mark.parametrize("below", ["", "a b/", "B: c/it's/", 'it\'s "so"/e\\f/\n/', "ü/"])
def test_folders_of_this_machine_are_cut_from_sentences(below: str) -> None:
    folders = ["/home/me/my müsic".encode(), b"/home/me"]
    path = f"/home/me/my müsic/{below}i j.mp3"
    found = without_paths(f"{path!r} is damaged (1/2), not like {path!r}", folders)
    assert found.replace('"', "'") == "'i j.mp3' is damaged (1/2), not like 'i j.mp3'"
    if ": " not in below and "\n" not in below:
        assert without_paths(f"{path} is silent: 3/4", folders) == "i j.mp3 is silent: 3/4"


def test_what_looks_like_a_folder_is_cut_from_sentences() -> None:
    assert without_paths("see /var/lib/x/catalog.db: 3/4 of it") == ("see catalog.db: 3/4 of it")
