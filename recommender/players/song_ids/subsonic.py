"""The songs of a server of Subsonic, whichever program it is: all albums, page by page."""

from __future__ import annotations

import hashlib
import http.client
import json
import secrets
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from indexer.errors import PlayerUnreachable
from recommender.players.addresses import check_address
from recommender.players.song_ids.songs import KnownSong, song_number, song_text, song_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = "1.16.1"
CLIENT = "soundalike"
PAGE = 500
"""Albums asked for at once, the most that servers give."""
ANSWER_S = 60.0
MOST_BYTES = 64 << 20
"""Length of an answer at most."""
NO_TOKENS = (10, 41, 42)
"""Errors of servers that want the password itself."""
NOT_FOUND = 70


@dataclass(frozen=True)
class SubsonicServer:
    """A server and who asks it.

    Attributes
    ----------
    url : str
        Without `/rest`.
    user, password : str
    """

    url: str
    user: str
    password: str

    def __post_init__(self) -> None:
        check_address(self.url, "give one such as http://192.168.1.2:4533")


def subsonic_songs(server: SubsonicServer) -> Iterator[KnownSong]:
    """All songs of a server, in the order of its albums' names; each once.

    Raises
    ------
    PlayerUnreachable
        It does not answer, refuses the user, or is no server of Subsonic.
    """
    ask = _asking(server)
    albums: set[str] = set()
    songs: set[str] = set()
    offset = 0
    while True:
        given = ask("getAlbumList2", type="alphabeticalByName", size=PAGE, offset=offset)
        page = _list(given, "albumList2", "album")
        new = [album for album in page if (found := _id(album)) and found not in albums]
        for album in new:
            albums.add(_id(album))
            for song in _list(ask("getAlbum", id=_id(album)), "album", "song"):
                if _id(song) and _id(song) not in songs:
                    songs.add(_id(song))
                    yield known_song(song)
        # Some servers give fewer than asked for; one that gives the same again would never end.
        if not new:
            return
        offset += len(page)


def known_song(song: dict[str, Any]) -> KnownSong:
    """A song by what its Child says."""
    artists = [artist.get("name") for artist in _objects(song.get("artists"))]
    isrc = song.get("isrc")
    return KnownSong(
        id=_id(song),
        title=song_text(song.get("title")),
        artists=song_texts([song.get("artist"), song.get("displayArtist"), *artists]),
        album=song_text(song.get("album")),
        duration_s=song_number(song.get("duration")),
        musicbrainz_track_id=song_text(song.get("musicBrainzId")),
        isrc=song_text(isrc[0] if isinstance(isrc, list) and isrc else isrc),
        path=song_text(song.get("path")),
    )


def _id(entry: dict[str, Any]) -> str:
    """A text, or a whole number as some servers have it; empty where it is something else."""
    found = entry.get("id")
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def _asking(server: SubsonicServer) -> Callable[..., dict[str, Any]]:
    """A function that asks, with a salted token if the server takes one, else with the password."""
    salt = secrets.token_hex(8)
    # MD5 is what the protocol has.
    token = hashlib.md5((server.password + salt).encode(), usedforsecurity=False).hexdigest()
    by_token = {"t": token, "s": salt}
    by_password = {"p": "enc:" + server.password.encode().hex()}
    secret = by_token
    code, message, _ = _request(server, "ping", by_token)
    if code in NO_TOKENS:
        secret = by_password
        code, message, _ = _request(server, "ping", by_password)
    if code is not None:
        raise PlayerUnreachable(f"{server.url} refuses {server.user} ({message}): check both")

    def ask(method: str, **parameters: str | int) -> dict[str, Any]:
        code, message, answer = _request(server, method, secret, **parameters)
        if code == NOT_FOUND:
            # An album that was removed since it was listed.
            return {}
        if code is not None:
            raise PlayerUnreachable(f"{server.url} answers {method} with an error: {message}")
        return answer

    return ask


def _request(
    server: SubsonicServer, method: str, secret: dict[str, str], **parameters: str | int
) -> tuple[int | None, str, dict[str, Any]]:
    """The error's code, if any, its message, and the answer."""
    query = urlencode(
        {"u": server.user, **secret, "v": VERSION, "c": CLIENT, "f": "json", **parameters}
    )
    url = f"{server.url.rstrip('/')}/rest/{method}.view?{query}"
    body = _fetch(url, server.url)
    try:
        answer = json.loads(body)["subsonic-response"]
        if answer["status"] != "failed":
            return None, "", answer
        return int(answer["error"]["code"]), str(answer["error"].get("message", "")), answer
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PlayerUnreachable(
            f"what answers at {server.url} is no server of Subsonic: check the address"
        ) from error


def _fetch(url: str, shown: str) -> bytes:
    # Its scheme is checked, and no proxy of the environment is asked with the user's token.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_S) as response:
            body: bytes = response.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        # Some servers answer errors of Subsonic with a status of HTTP.
        with error:
            body = error.read(MOST_BYTES)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise PlayerUnreachable(
                f"the certificate of {shown} is not trusted ({error.reason.verify_message}): name "
                "a file that holds it, or its authority's, by the variable SSL_CERT_FILE"
            ) from error
        raise PlayerUnreachable(_silent(shown, error)) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PlayerUnreachable(_silent(shown, error)) from error
    if len(body) > MOST_BYTES:
        raise PlayerUnreachable(f"{shown} gives an answer without an end: check the address")
    return body


def _silent(shown: str, error: Exception) -> str:
    return f"{shown} does not answer ({getattr(error, 'reason', error)}): is it running?"


def _list(answer: dict[str, Any], outer: str, inner: str) -> list[dict[str, Any]]:
    found = answer.get(outer)
    return _objects(found.get(inner) if isinstance(found, dict) else None)


def _objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list; one alone, which some servers give without a list."""
    members = value if isinstance(value, list) else [value]
    return [one for one in members if isinstance(one, dict)]
