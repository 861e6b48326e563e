from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recommender.server.page.serving import MEDIA_TYPES
from tests.recommender.server.conftest import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient

PAGE = Path(__file__).parents[4] / "recommender" / "server" / "page"
STATIC = PAGE / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))


@pytest.fixture(scope="module")
def client(original_catalog: Path) -> Iterator[TestClient]:
    with client_of(original_catalog) as found:
        yield found


def page_of(client: TestClient) -> str:
    answer = client.get("http://127.0.0.1/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def first_imports() -> set[str]:
    """Modules that the start page needs: all that are imported at once, beginning with app.js."""
    found, left = set(), ["app.js"]
    while left:
        text = (STATIC / (name := left.pop())).read_text(encoding="utf-8")
        found.add(name)
        left += [other for other in re.findall(r'from "\./(.+?)"', text) if other not in found]
    return found


def test_the_page_asks_again_and_gets_nothing_while_it_is_the_same(client: TestClient) -> None:
    first = client.get("http://127.0.0.1/")
    assert first.headers["cache-control"] == "no-cache"
    assert "default-src 'self'" in first.headers["content-security-policy"]
    again = client.get("http://127.0.0.1/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_every_address_of_the_page_is_relative_and_there(client: TestClient) -> None:
    addresses = re.findall(r'(?:href|src)="([^"#][^"]*)"', page_of(client))
    assert len(addresses) > 20
    for address in addresses:
        assert not address.startswith("/")
        assert "://" not in address
        answer = client.get(f"http://127.0.0.1/{address.partition('#')[0]}")
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]


def test_files_are_sent_compressed_to_who_takes_that(client: TestClient) -> None:
    address = re.search(r"static/\w+/page\.css", page_of(client))
    assert address is not None
    url = f"http://127.0.0.1/{address[0]}"
    packed = client.get(url, headers={"Accept-Encoding": "gzip"})
    plain = client.get(url, headers={"Accept-Encoding": "identity"})
    refused = client.get(url, headers={"Accept-Encoding": "gzip;q=0"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert packed.content == plain.content == (STATIC / "page.css").read_bytes()
    assert packed.headers["etag"] != plain.headers["etag"]
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, mtime=0))


@pytest.mark.parametrize(
    "path", ["static/0000000000000000/app.js", "static/app.js", "static/x/..%2findex.html"]
)
def test_files_of_other_releases_and_other_folders_are_not_served(
    client: TestClient, path: str
) -> None:
    assert client.get(f"http://127.0.0.1/{path}").status_code == 404


def test_every_file_has_a_known_type() -> None:
    assert {path.suffix[1:] for path in STATIC.iterdir()} <= MEDIA_TYPES.keys()


def test_the_page_preloads_exactly_the_modules_that_it_needs_at_once() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    preloaded = set(re.findall(r'rel="modulepreload" href="static/(.+?)"', html))
    assert preloaded | {"app.js"} == first_imports()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_keep_to_text_nodes_and_to_this_server(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?:"
    )
    allowed = text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(forbidden, allowed)


def test_icons_that_are_named_are_there() -> None:
    icons = set(re.findall(r'symbol id="(.+?)"', (STATIC / "icons.svg").read_text()))
    named = set(re.findall(r"icons\.svg#([\w-]+)", (PAGE / "index.html").read_text()))
    for path in SCRIPTS:
        named |= set(re.findall(r'(?:\bicon\(|iconButton\(|symbol: )"([\w-]+)"', path.read_text()))
    assert len(named) > 25
    assert named <= icons


def test_the_description_of_the_api_is_a_page_of_our_own(client: TestClient) -> None:
    answer = client.get("docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    addresses = re.findall(r'(?:href|src)="([^"]+)"', answer.text)
    assert len(addresses) == 4
    for address in addresses:
        assert address.startswith("../../static/")
        assert client.get(address).status_code == 200, address
    assert client.get("openapi.json").status_code == 200
