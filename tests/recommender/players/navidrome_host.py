"""Navidrome's side of a plugin: what it demands of the package, and its host function for HTTP.

Written after Navidrome's source (plugins/package.go, manifest-schema.json, manager_loader.go,
host_httpclient.go, host/http_gen.go, manager_call.go), with the same runtime, Extism.
"""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from typing import Any
from urllib.parse import unquote, urlsplit

import extism
import httpx
import jsonschema

DEFAULT_TIMEOUT_S = 10.0
PERMISSIONS = {
    "http": {"reason", "requiredHosts"},
    "subsonicapi": {"reason"},
    "scheduler": {"reason"},
    "websocket": {"reason", "requiredHosts"},
    "artwork": {"reason"},
    "cache": {"reason"},
    "library": {"reason", "filesystem"},
    "kvstore": {"reason", "maxSize"},
    "users": {"reason"},
    "taskqueue": {"reason", "maxConcurrency"},
    "matcher": {"reason"},
    "storage": {"reason"},
    "scrobbleRetriever": {"reason"},
}
CAPABILITIES = {
    "SonicSimilarity": {"nd_get_sonic_similar_tracks", "nd_find_sonic_path"},
    "MetadataAgent": {
        f"nd_get_{name}"
        for name in (
            *("artist_mbid", "artist_url", "artist_biography", "similar_artists", "artist_images"),
            *("artist_top_songs", "album_info", "album_images", "similar_songs_by_track"),
            *("similar_songs_by_album", "similar_songs_by_artist"),
        )
    },
    "Scrobbler": {"nd_scrobbler_is_authorized", "nd_scrobbler_scrobble"},
    "SchedulerCallback": {"nd_scheduler_callback"},
    "TaskWorker": {"nd_task_execute"},
    "Lifecycle": {"nd_on_init"},
}


def open_package(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Manifest and module of a package, refused as Navidrome would."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        assert package.testzip() is None
        manifest = json.loads(package.read("manifest.json"))
        wasm = package.read("plugin.wasm")
    known = {"name", "author", "version", "description", "website", "permissions", "config"}
    assert manifest.keys() <= known
    for name in ("name", "author", "version"):
        assert isinstance(manifest[name], str)
        assert manifest[name]
    for name, permission in manifest.get("permissions", {}).items():
        assert permission.keys() <= PERMISSIONS[name]
    if "config" in manifest:
        assert manifest["config"].keys() <= {"schema", "uiSchema"}
        jsonschema.Draft7Validator.check_schema(manifest["config"]["schema"])
    return manifest, wasm


def host_of(url: str) -> str:
    """The host as Navidrome reads it: in the case in which it is written, IPv6 without brackets."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    if not host.endswith("]"):
        host = host.rpartition(":")[0] or host
    return unquote(host.strip("[]"))


def allows(pattern: str, host: str) -> bool:
    """Whether a required host lets one be asked: compared letter by letter, or by an asterisk."""
    return pattern in ("*", host) or (
        pattern.startswith("*.") and host.endswith(pattern.lstrip("*"))
    )


class Navidrome:
    """A plugin that is loaded, and the calls that Navidrome makes of it."""

    def __init__(
        self,
        package: bytes,
        config: dict[str, str] | None = None,
        *,
        longest_s: float = 60.0,
    ) -> None:
        self.manifest, wasm = open_package(package)
        if "config" in self.manifest:
            jsonschema.validate(config or {}, self.manifest["config"]["schema"])
        self.requests: list[dict[str, Any]] = []
        self._longest_s = longest_s
        self._answer: bytes | None = None
        self._http = httpx.Client(trust_env=False, verify=False)  # noqa: S501 - of loopback only

        @extism.host_fn(
            name="http_send",
            namespace="extism:host/user",
            signature=([extism.ValType.PTR], [extism.ValType.PTR]),
        )
        def http_send(plugin: Any, inputs: Any, outputs: Any, *_data: Any) -> None:
            sent = plugin.input_bytes(inputs[0])
            plugin.return_bytes(outputs[0], self._answer or self._send(sent))

        self._plugin = extism.Plugin(
            {"wasm": [{"data": wasm}], "timeout_ms": 30_000, "config": config or {}},
            wasi=True,
            functions=[http_send],
        )

    @property
    def capabilities(self) -> set[str]:
        """Those of which the plugin exports any function."""
        return {
            name
            for name, functions in CAPABILITIES.items()
            if any(map(self._plugin.function_exists, functions))
        }

    def call(self, name: str, given: dict[str, Any] | bytes) -> Any:
        """What a function returns, read as JSON; `extism.Error` where it fails."""
        data = given if isinstance(given, bytes) else json.dumps(given, ensure_ascii=False).encode()
        return json.loads(self._plugin.call(name, data))

    def call_with(self, answer: bytes, name: str) -> Any:
        """What a function makes of an answer that the host function gives."""
        self._answer = answer
        try:
            return self.call(name, {})
        finally:
            self._answer = None

    def outcome(self, answer: bytes, name: str) -> bytes | None:
        """What a function hands back of what the host function answers; None: an error of its own.

        Another error, such as a trap of the module, is raised.
        """
        self._answer = answer
        try:
            return self._plugin.call(name, b"{}")
        except extism.Error as error:
            if not str(error).startswith("soundalike"):
                raise
            return None
        finally:
            self._answer = None

    def _send(self, sent: bytes) -> bytes:
        request = json.loads(sent)["request"]
        self.requests.append(request)
        try:
            host = host_of(request["url"])
            allowed = self.manifest["permissions"]["http"]["requiredHosts"]
            if not any(allows(pattern, host) for pattern in allowed):
                raise PermissionError(f'host "{host}" is not allowed')
            response = _in_time(self._http, request, self._longest_s)
        except (httpx.HTTPError, OSError) as error:
            return json.dumps({"error": f'Post "{request["url"]}": {error}'}).encode()
        result = {
            "statusCode": response.status_code,
            "headers": {name.title(): value for name, value in response.headers.items()},
            "body": base64.b64encode(response.content).decode(),
        }
        if not response.content:
            del result["body"]
        return json.dumps({"result": result}, separators=(",", ":")).encode()


def _in_time(http: httpx.Client, request: dict[str, Any], longest_s: float) -> httpx.Response:
    """The response to a request, which may take `timeoutMs` in all, or less for a test."""
    limit = min(longest_s, request.get("timeoutMs", 0) / 1000 or DEFAULT_TIMEOUT_S)
    done: list[httpx.Response | Exception] = []

    def send() -> None:
        try:
            done.append(
                http.request(
                    request["method"],
                    request["url"],
                    headers=request["headers"],
                    content=base64.b64decode(request["body"], validate=True),
                    timeout=limit,
                    follow_redirects=not request.get("noFollowRedirects", False),
                )
            )
        except Exception as error:  # noqa: BLE001 - raised below
            done.append(error)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    thread.join(limit)
    if not done:
        raise TimeoutError("context deadline exceeded")
    if isinstance(done[0], Exception):
        raise done[0]
    return done[0]
