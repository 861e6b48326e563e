"""Requests that are meant to do harm, against `soundalike serve`: none of them succeeds.

Those that take their time are in `test_attacks_on_time.py`, those of pages of other sites in
`test_attacks_by_browser.py`.
"""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import httpx
import pytest

from recommender.server import app as application
from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import TIMEOUT_S, client_of
from tests.recommender.server.sockets import exchange, get, port_of, post, statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

    from recommender.server.context import Context
    from tests.recommender.server.conftest import Running, Start

CANARY = "the canary in the folder beside"
TOKEN = "a-token-of-many-characters"  # noqa: S105 - of these tests
OCTETS = "Content-Type: application/octet-stream"
MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'; DROP TABLE track; --",
    "\u202egnp.exe",
    "a\r\nSet-Cookie: a=b",
    "a\n#EXTINF:1,b\n/etc/passwd",
    "\x1b[2J\x1b]0;title\x07",
    "nul\0nul",
    "{{7*7}}${7*7}",
    "\u2028\u2029\ufeff",
    "=cmd|'/c calc'!A1",
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "secret.txt").write_text(CANARY)
    tracks = [
        Planted(text, {"piano": 0.5}, artist=text, album=text, genre=text, duration_s=60.0)
        for text in MARKUP
    ]
    return plant(folder, ("piano", "calm"), tracks)


@pytest.fixture(scope="module")
def running(catalog: Path, server: Start) -> Iterator[Running]:
    uploads = catalog.parent / "incoming"
    uploads.mkdir()
    with server(catalog, "--uploads", str(uploads)) as found:
        yield found


@pytest.fixture(scope="module")
def port(running: Running) -> int:
    return port_of(running)


def paths_out() -> list[str]:
    """Targets that name files elsewhere, in every spelling."""
    ups = [
        "../../../../../../etc/passwd",
        "..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "%252e%252e%252f%252e%252e%252fetc%252fpasswd",
        "..%5c..%5c..%5cetc%5cpasswd",
        "..\\..\\..\\etc\\passwd",
        "....//....//....//etc/passwd",
        "..%c0%af..%c0%afetc/passwd",
        "%00/etc/passwd",
        "app.js%00.html",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "file:///etc/passwd",
        "..;/..;/etc/passwd",
        "%2e%2e%5c%2e%2e%5csecret.txt",
        "../secret.txt",
        "..%2fsecret.txt",
        "~root/.bashrc",
        "/proc/self/environ",
        "%ff%fe..%2fsecret.txt",
    ]
    bases = ("/static/", "/static/0/", "/", "/api/v1/tracks/", "/api/v1/", "/api/v1/tracks/1/")
    bases += ("/api/v1/similar?like=", "/api/v1/path?end=1&start=", "/api/v1/playlist.m3u8?id=")
    return [base + up for base in bases for up in ups]


def test_no_spelling_of_a_path_leads_to_another_file(port: int, catalog: Path) -> None:
    before = sorted(catalog.parent.iterdir())
    targets = paths_out()
    assert len(targets) > 100
    for target in targets:
        answer = exchange(port, get(target, port=port))
        (status,) = statuses(answer)
        assert 400 <= status < 500, (target, answer)
        for leaked in (CANARY.encode(), b"root:", b"PATH=", bytes(catalog.parent)):
            assert leaked not in answer, target
    assert sorted(catalog.parent.iterdir()) == before


@pytest.mark.parametrize("target", ["http://evil.example/", "//evil.example/", "*", "evil", ""])
def test_targets_of_other_forms_are_no_way_elsewhere(port: int, target: str) -> None:
    answer = exchange(port, get(target, port=port))
    assert [status for status in statuses(answer) if status < 400 or status > 499] == []


@pytest.fixture(scope="module")
def analysing(
    tmp_path_factory: pytest.TempPathFactory, original_catalog: Path, server: Start
) -> Iterator[tuple[Running, Path]]:
    """A server with a model, and a folder far above the one that it keeps uploads in."""
    folder = tmp_path_factory.mktemp("analysing")
    temporary = folder.joinpath(*"12345678")
    temporary.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        with server(original_catalog) as found:
            yield found, folder


@pytest.mark.parametrize("name", [*MARKUP, *("../" * n + "canary.mp3" for n in range(1, 9))])
def test_no_name_of_an_upload_reaches_the_disk_or_a_header(
    analysing: tuple[Running, Path], name: str
) -> None:
    server, folder = analysing
    port = port_of(server)
    target = f"/api/v1/similar?name={quote(name)}"
    request = post(target, b"no sound", OCTETS, "Content-Length: 8", port=port)
    answer = exchange(port, request, wait_s=TIMEOUT_S)
    (status,) = statuses(answer)
    assert status == 422
    assert bytes(folder) not in answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Set-Cookie" not in head
    assert body.isascii()
    assert min(body) >= 0x20
    assert not [*folder.rglob("*canary*")]


# Numbers

NUMBERS = ("0", "-1", "9223372036854775807", "9223372036854775808", "-9223372036854775809")
NUMBERS += ("NaN", "Infinity", "-inf", "1e999", "-1e999", "1e-999", "1e308", "\u0663", "\uff11")
NUMBERS += ("1_0", "0x10", "1.5", "+1", " 1", "", "9" * 400, "9" * 5000, "1" + "0" * 4400, "null")


def numeric_parameters() -> list[tuple[str, str, str]]:
    """Path, name and place of every number that a GET request takes, by the OpenAPI document.

    A filter or ranking that many routes share is asked of the first one alone.
    """
    document = application.create_app(cast("Context", None)).openapi()
    found: dict[object, tuple[str, str, str]] = {}
    for path, operations in document["paths"].items():
        for one in operations.get("get", {}).get("parameters", ()):
            kinds = [one["schema"], *one["schema"].get("anyOf", ())]
            if any(kind.get("type") in ("integer", "number") for kind in kinds):
                place = path if one["in"] == "path" else ""
                found.setdefault(
                    (one["name"], json.dumps(one["schema"]), place), (path, one["name"], one["in"])
                )
    return list(found.values())


@pytest.mark.slow
def test_no_number_makes_a_server_fail(running: Running) -> None:
    parameters = numeric_parameters()
    assert len(parameters) > 20
    needed = {"like": 1, "start": 1, "end": 2, "seed": 1, "total_s": 100, "q": "piano"}
    refused = 0
    with httpx.Client(timeout=60, base_url=running.url) as client:
        for path, name, place in parameters:
            for number in NUMBERS:
                if place == "path":
                    target, query = path.replace(f"{{{name}}}", quote(number, safe="")), {}
                else:
                    target, query = path.replace("{track_id}", "1"), {**needed, name: number}
                answer = client.get(target.lstrip("/"), params=query)
                # 503: a picture of a file that holds no sound, or of more than are drawn at once.
                assert answer.status_code < 500 or answer.status_code == 503, (name, number)
                refused += answer.is_client_error
    assert refused > len(parameters) * len(NUMBERS) / 2


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "1e-9999"])
@pytest.mark.parametrize("name", ["seed", "n", "tie", "variety", "like", "state", "where"])
def test_no_number_in_json_makes_a_server_fail(port: int, name: str, number: str) -> None:
    values = {"like": f"[{number}]", "where": f'{{"year_from": {number}}}'}
    values["state"] = f'{{"format": 1, "seed": [{number}], "tie": {number}}}'
    body = f'{{"seed": 1, "{name}": {values.get(name, number)}}}'.encode()
    length = f"Content-Length: {len(body)}"
    json_type = "Content-Type: application/json"
    answer = exchange(port, post("/api/v1/station", body, json_type, length, port=port))
    (status,) = statuses(answer)
    assert status in (200, 400, 404, 422), answer


# Length

LONG_JSON = b'{"seed": 1, "state": {"x": "' + b"y" * (1 << 20) + b'"}}'
JSON = "Content-Type: application/json"


def oversized(port: int) -> dict[str, tuple[bytes, set[int]]]:
    """Requests that are too long in some way, and with what each may be refused."""
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    chunked = "Transfer-Encoding: chunked"
    return {
        "header": (get("/", f"X: {'y' * 40_000}", port=port), {431}),
        "headers": (get("/", *(f"X{n}: y" for n in range(10_000)), port=port), {431}),
        "name of a header": (get("/", f"{'x' * 40_000}: y", port=port), {431}),
        "path": (get("/" + "a" * 40_000, port=port), {431}),
        "query": (get("/api/v1/tracks?q=" + "a" * 33_000, port=port), {431}),
        "search": (get("/api/v1/tracks?q=" + "a" * 501, port=port), {422}),
        "list": (get("/api/v1/tracks?genre=a" + "&genre=a" * 101, port=port), {422}),
        "many names": (get("/api/v1/playlist.m3u8?" + "id=1&" * 2_001, port=port), {422}),
        "method": (b"A" * 40_000 + get("/", port=port), {431}),
        "json": (
            post(
                "/api/v1/station", LONG_JSON, JSON, f"Content-Length: {len(LONG_JSON)}", port=port
            ),
            {413},
        ),
        "json in chunks": (
            post("/api/v1/station", chunk * 2 + b"0\r\n\r\n", JSON, chunked, port=port),
            {413},
        ),
        "json that is said to be long": (
            post("/api/v1/station", b"{", JSON, f"Content-Length: {10**18}", port=port),
            {413},
        ),
        "nested json": (
            post("/api/v1/station", b"[" * 99_999, JSON, "Content-Length: 99999", port=port),
            {400, 422},
        ),
        "body of a GET": (
            get("/api/v1/health", f"Content-Length: {10**12}", port=port),
            {200},
        ),
        "upload": (
            post("/api/v1/similar", b"x", OCTETS, f"Content-Length: {513 << 20}", port=port),
            {413},
        ),
        "upload that is said to be endless": (
            post("/api/v1/genres", b"x", OCTETS, f"Content-Length: {10**19}", port=port),
            {413},
        ),
        "length of thousands of digits": (
            post("/api/v1/similar", b"x", OCTETS, f"Content-Length: {'9' * 5000}", port=port),
            {400, 413, 431},
        ),
        "length of a chunk": (
            post("/api/v1/similar", b"F" * 30 + b"\r\nx", OCTETS, chunked, port=port),
            {400},
        ),
    }


@pytest.mark.parametrize("kind", oversized(0))
def test_what_is_too_long_is_refused(port: int, kind: str) -> None:
    request, expected = oversized(port)[kind]
    answer = exchange(port, request, wait_s=7)
    (status,) = statuses(answer)
    assert status in expected, answer[:500]


# Framing

HIDDEN = b"GET /api/v1/hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CHUNKED_END = b"0\r\n\r\n"


def smuggled(port: int) -> dict[str, bytes]:
    """Requests in whose body a second one hides, for whoever reads their length otherwise."""
    length, whole = f"Content-Length: {len(HIDDEN)}", len(CHUNKED_END + HIDDEN)
    body = CHUNKED_END + HIDDEN
    shapes = {
        "two lengths": (length, "Content-Length: 0"),
        "two lengths in one": ("Content-Length: 0, 7",),
        "length and coding": (f"Content-Length: {whole}", "Transfer-Encoding: chunked"),
        "coding and length": ("Transfer-Encoding: chunked", f"Content-Length: {whole}"),
        "two codings": ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        "coding of another name": ("Transfer-Encoding: xchunked", f"Content-Length: {whole}"),
        "coding with a space before its colon": (
            "Transfer-Encoding : chunked",
            f"Content-Length: {whole}",
        ),
        "coding with a tab": ("Transfer-Encoding:\tchunked", f"Content-Length: {whole}"),
        "folded coding": ("Transfer-Encoding:\r\n chunked", f"Content-Length: {whole}"),
        "coding in capitals": ("TRANSFER-ENCODING: CHUNKED", f"Content-Length: {whole}"),
        "coding with a quote": ('Transfer-Encoding: "chunked"', f"Content-Length: {whole}"),
        "length with a sign": (f"Content-Length: +{whole}",),
        "negative length": (f"Content-Length: -{whole}",),
        "length in hexadecimal digits": ("Content-Length: 0x5",),
        "length of other digits": ("Content-Length: \xb2",),
        "length with a space": ("Content-Length: 1 1",),
        "line of a header without a colon": ("Content-Length 5", "Content-Length: 0"),
        "line that ends with CR": (f"X: y\rContent-Length: {whole}",),
        "NUL": (f"X: \0y\r\nContent-Length: {whole}",),
    }
    return {
        kind: post("/api/v1/session", body, JSON, *headers, port=port).replace(
            b"Connection: close\r\n", b""
        )
        for kind, headers in shapes.items()
    }


@pytest.mark.parametrize("kind", smuggled(0))
def test_no_request_hides_in_another(port: int, kind: str) -> None:
    answer = exchange(port, smuggled(port)[kind])
    found = statuses(answer)
    assert len(found) == 1, answer
    assert 400 <= found[0] < 500
    assert 404 not in found


# Guards: each attack is refused, and succeeds where its guard is switched off.


def through(client: TestClient, method: str, target: str, **options: Any) -> bool:
    return client.request(method, target, **options).status_code < 400


ATTACKS: dict[str, Callable[[TestClient], bool]] = {
    "HostGuard": lambda client: through(
        client, "GET", "tracks", headers={"Host": "rebound.example"}
    ),
    "SameSiteGuard": lambda client: through(
        client, "POST", "station", json={"seed": 1}, headers={"Origin": "http://evil.example"}
    ),
    "TokenGuard": lambda client: through(client, "GET", "tracks", headers={"Authorization": ""}),
    "RateLimit": lambda client: all(through(client, "GET", "health") for _ in range(30)),
    "FramingGuard": lambda client: through(
        client,
        "GET",
        "health",
        headers={"Content-Length": "0", "Transfer-Encoding": "chunked"},
    ),
    "BodyLimit": lambda client: client.post("station", content=LONG_JSON).status_code != 413,
    "SecurityHeaders": lambda client: (
        "default-src 'self'" not in client.get("health").headers.get("content-security-policy", "")
    ),
}
GOOD = {"Authorization": f"Bearer {TOKEN}"}


def attack(catalog: Path, guard: str) -> bool:
    # Where the secret is what is tried, none is sent; the other guards are asked by one who knows.
    options = {"token": TOKEN} if guard == "TokenGuard" else {}
    with client_of(catalog, requests_per_s=2.0 if guard == "RateLimit" else 0.0, **options) as one:
        return ATTACKS[guard](one)


@pytest.mark.parametrize("guard", ATTACKS)
def test_an_attack_fails_because_of_its_guard(
    catalog: Path, guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not attack(catalog, guard)
    monkeypatch.setattr(application, guard, lambda inner, **_: inner)
    assert attack(catalog, guard), "the attack fails without its guard too: it shows nothing"


# What tags and clients write


def test_markup_and_control_characters_in_tags_stay_text(running: Running) -> None:
    with httpx.Client(base_url=running.api, timeout=30) as client:
        for target in (
            "tracks",
            "tracks/1",
            "similar?like=1&why=true",
            "facets",
            "vocabulary",
            "duplicates",
            f"tracks?q={quote(MARKUP[0])}",
            f"tracks?genre={quote(MARKUP[0])}",
            f"words?q={quote(MARKUP[1])}",
            f"similar?like={quote(MARKUP[2])}",
        ):
            answer = client.get(target)
            assert answer.headers["content-type"] in (
                "application/json",
                "application/problem+json",
            )
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.content.isascii()
            assert min(answer.content) >= 0x20
            assert json.loads(answer.content)
        titles = [track["title"] for track in client.get("tracks?limit=200").json()["tracks"]]
    assert sorted(titles) == sorted(MARKUP)


@pytest.mark.parametrize("title", MARKUP)
def test_no_tag_or_title_adds_a_line_to_a_playlist_or_a_header(
    running: Running, title: str
) -> None:
    named = {"id": [str(number) for number in range(1, len(MARKUP) + 1)], "title": title}
    answer = httpx.get(f"{running.api}playlist.m3u8", params=named, timeout=TIMEOUT_S)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    lines = answer.text.splitlines()
    assert len(lines) == 2 + 2 * len(MARKUP)
    assert not [line for line in lines if line.startswith("/")]


def test_no_request_writes_a_line_or_a_colour_into_the_log(catalog: Path, server: Start) -> None:
    targets = [
        "/\x1b[31mred",
        "/%0d%0afake 200",
        "/%1b%5b2J",
        "/\x7f",
        "/%00",
        "/\xff\xfe",
        "/a\tb",
    ]
    targets += ["/%e2%80%ae", "/\x9b31m", "/api/v1/tracks?q=secret", "/%250a", "/\x08\x08"]
    with server(catalog, "--log") as running:
        port = port_of(running)
        for target in targets:
            exchange(port, get(target, f"User-Agent: \x9bm{target}", port=port), wait_s=2)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(TIMEOUT_S) == 0
        assert running.process.stderr is not None
        said = running.process.stderr.read()
    assert said.isascii()
    assert all(letter == "\n" or letter.isprintable() for letter in said), said
    assert "GET /api/v1/tracks 200" in said
    assert "secret" not in said
    assert not [line for line in said.splitlines() if line.startswith("fake")]
