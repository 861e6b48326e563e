"""The plugin as the file that Navidrome loads: a zip of `manifest.json` and `plugin.wasm`."""

from __future__ import annotations

import io
import json
import re
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from indexer.errors import InvalidOption
from indexer.filesystem import begins_with, replace_file
from recommender.players.addresses import check_address

ENDING = ".ndp"
"""Navidrome loads files of this ending, and calls a plugin by the rest of the name."""
WASM = Path(__file__).with_name("plugin.wasm")
SLOT_BYTES = 512
URL_SLOT, TOKEN_SLOT = b"SOUNDALIKE-URL=", b"SOUNDALIKE-TOKEN="
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_HOST = re.compile(r"[a-z0-9_][a-z0-9._-]*|[0-9a-f:.]*:[0-9a-f:.]*(?:%25[a-z0-9._-]+)?")
"""A name, or an address of IPv6; Navidrome takes an asterisk for any host."""


def write_plugin(out: Path, *, url: str, token: str | None = None) -> None:
    """Write the plugin for a server of soundalike.

    Parameters
    ----------
    out : Path
        Its name ends in `ENDING`. With a token, only its owner may read it.
    url : str
        Of the server, as Navidrome reaches it.
    token : str, optional
        The server's.

    Raises
    ------
    InvalidOption
        The url or the name makes no sense, the token is too long, or the file cannot be written.
    """
    if out.suffix != ENDING or not out.stem.rstrip(". "):
        raise InvalidOption(f"{out} would not be loaded: Navidrome's plugins end in {ENDING}")
    content = plugin_bytes(url=url, token=token)
    replace_file(
        out,
        content,
        kind="plugin of Navidrome",
        is_kind=lambda path: begins_with(path, b"pk\x03\x04"),
        mode=None if token is None else 0o600,
    )


def plugin_bytes(*, url: str, token: str | None = None) -> bytes:
    """The plugin; the same bytes for the same server and token.

    Raises
    ------
    InvalidOption
    """
    url = _checked_url(url)
    wasm = _fill(WASM.read_bytes(), URL_SLOT, url, "url")
    wasm = _fill(wasm, TOKEN_SLOT, token or "", "token")
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as package:
        manifest = json.dumps(plugin_manifest(url), indent=2).encode()
        for name, content in (("manifest.json", manifest), ("plugin.wasm", wasm)):
            package.writestr(zipfile.ZipInfo(name, _ZIP_TIME), content)
    return written.getvalue()


def plugin_manifest(url: str) -> dict[str, Any]:
    """What the plugin says of itself, and that it may ask one host."""
    host = _host(urlsplit(url))
    return {
        "name": "soundalike",
        "author": "The soundalike authors",
        "version": version("soundalike"),
        "description": "Similar songs and paths between songs, by sound alone, from a server of "
        "soundalike.",
        "permissions": {
            "http": {
                "reason": "To ask the server of soundalike what sounds alike",
                "requiredHosts": [host],
            }
        },
        "config": {
            "schema": {
                "type": "object",
                "properties": {
                    "url": {
                        "type": "string",
                        "title": "Address of soundalike",
                        "description": f"Empty: {url}. Another port or path can be named; for "
                        f"another host than {host}, write another plugin.",
                    },
                    "token": {
                        "type": "string",
                        "title": "Token",
                        "description": "What the file of `soundalike serve --token-file` holds",
                    },
                },
            },
            "uiSchema": {
                "type": "VerticalLayout",
                "elements": [
                    {"type": "Control", "scope": "#/properties/url"},
                    {
                        "type": "Control",
                        "scope": "#/properties/token",
                        "options": {"format": "password"},
                    },
                ],
            },
        },
    }


def _checked_url(url: str) -> str:
    """An address as the plugin sends it: the host as `_host` has it, no slash at the end."""
    remedy = "give the address of the server, as http://192.168.1.2:7707"
    parts = check_address(url, remedy)
    if not _HOST.fullmatch(parts.hostname or ""):
        raise InvalidOption(f"{parts.hostname!r} is no name of one host: {remedy}")
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")


def _host(parts: SplitResult) -> str:
    """The host as Navidrome compares it, letter by letter: without brackets and port, unquoted."""
    return unquote(parts.hostname or "")


def _fill(wasm: bytes, slot: bytes, text: str, what: str) -> bytes:
    """The module with a text in one of its slots."""
    content = text.encode()
    at = wasm.index(slot)
    filled = slot + content + b"\0"
    if len(filled) > SLOT_BYTES:
        raise InvalidOption(f"the {what} is {len(content)} bytes long: it may be 490")
    return wasm[:at] + filled.ljust(SLOT_BYTES, b".") + wasm[at + SLOT_BYTES :]
