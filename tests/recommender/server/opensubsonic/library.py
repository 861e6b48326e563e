"""One planted library for all tests of `/rest`, with the odd cases that tags have."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

NS = "{http://subsonic.org/restapi}"
TRACKS = [
    *(
        Planted(
            f"Blue {number}",
            artist="Miles Davis",
            album="Kind of Blue",
            album_artist="Miles Davis",
            genre="Jazz",
            year=1959,
        )
        for number in range(5)
    ),
    *(
        Planted(
            f"Hit {number}",
            artist=f"Singer {number}",
            album="Hits",
            genre="Pop; Rock",
            year=1990 + number,
        )
        for number in range(4)
    ),
    *(Planted(f"Loose {number}", artist="The Zombies", genre="Rock") for number in range(3)),
    Planted("Duet", artist="Anna & Bert", artists=("Anna", "Bert"), album="Two", year=2001),
    Planted('bad \x01 \ufffe & <"tag">\n', artist="Ünïcode\x0b", album="Ödd\x1f", year=2010),
    Planted(None, artist=None),
    *(
        Planted(f"Far {number}", artist=f"Many {number % 7}", album=f"Far {number % 7}", year=1970)
        for number in range(40)
    ),
]


def secret_of(catalog: Path) -> str:
    """The password of players of a catalog's server."""
    return catalog.with_suffix(".players-secret").read_text().strip()


def token_of(secret: str, salt: str) -> str:
    """What a client shows that knows a secret."""
    return hashlib.md5((secret + salt).encode()).hexdigest()  # noqa: S324 - the protocol's own


def parse_xml(content: bytes | str) -> ET.Element:
    """The root of an answer of our own."""
    return ET.fromstring(content)  # noqa: S314 - not from elsewhere


class Rest:
    """Asks a server's endpoints, logged in by its key.

    Attributes
    ----------
    client : httpx.Client
        Of a server, whatever its base address.
    secret : str
    """

    def __init__(self, client: httpx.Client, secret: str) -> None:
        self.client, self.secret = client, secret

    def get(self, name: str, **parameters: Any) -> httpx.Response:
        """The response of an endpoint, without a login of its own."""
        return self.client.get(f"http://127.0.0.1/rest/{name}", params=parameters)

    def json(self, name: str, **parameters: Any) -> dict[str, Any]:
        """What the envelope of an answer in JSON holds."""
        response = self.get(name, apiKey=self.secret, f="json", **parameters)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()["subsonic-response"]
        return found

    def ok(self, name: str, **parameters: Any) -> dict[str, Any]:
        """The same of an answer that is not refused."""
        found = self.json(name, **parameters)
        assert found["status"] == "ok", found
        return found

    def error(self, name: str, **parameters: Any) -> int:
        """The code by which a request is refused."""
        found = self.json(name, **parameters)
        assert found["status"] == "failed", found
        code: int = found["error"]["code"]
        return code

    def xml(self, name: str, **parameters: Any) -> ET.Element:
        """The envelope of an answer in XML."""
        response = self.get(name, apiKey=self.secret, **parameters)
        assert response.status_code == 200, response.text
        return parse_xml(response.content)


@contextmanager
def rest_of(folder: Path, **options: Any) -> Iterator[Rest]:
    """A server in this process over the planted library."""
    catalog = plant(folder, ["calm", "loud"], TRACKS)
    with client_of(catalog, **options) as client:
        yield Rest(client, secret_of(catalog))
