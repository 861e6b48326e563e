"""A web server on loopback that gives out a folder, and can be made to fail in many ways."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator


class RemoteFolder(ThreadingHTTPServer):
    """The server; `faults` has what happens to requests whose path ends in a text.

    A number is the status that is answered, "refuse" 500 to GET alone, "cut" half of the file,
    "stall" nothing more after the head, "circle" a folder that lists itself, "plain" an answer
    without an ETag.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.faults: dict[str, int | str] = {}
        self.asked: list[tuple[str, str]] = []
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are meant."""


class _Handler(SimpleHTTPRequestHandler):
    server: RemoteFolder

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(self._send_file)

    def do_HEAD(self) -> None:
        self._answer(super().do_HEAD)

    def _answer(self, otherwise: Any) -> None:
        path = unquote(self.path)
        self.server.asked.append((self.command, path))
        fault = next((f for end, f in self.server.faults.items() if path.endswith(end)), None)
        if isinstance(fault, int):
            self.send_error(fault)
        elif fault == "circle":
            self._send_page('<a href="again/">again/</a>')
        else:
            otherwise()

    def _send_file(self) -> None:
        fault = self._fault()
        if fault == "refuse":
            self.send_error(500)
            return
        if fault not in ("cut", "stall"):
            super().do_GET()
            return
        file = self.send_head()
        if file is not None:
            data = file.read()
            file.close()
            if fault == "cut":
                self.wfile.write(data[: len(data) // 2])
            else:
                self.server.ended.wait(60)
        self.close_connection = True

    def _fault(self) -> int | str | None:
        path = unquote(self.path)
        return next((f for end, f in self.server.faults.items() if path.endswith(end)), None)

    def _send_page(self, body: str) -> None:
        data = f"<html><body>{body}</body></html>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def end_headers(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_file() and self._fault() != "plain":
            digest = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
            self.send_header("ETag", f'"{digest}"')
        super().end_headers()


@contextmanager
def remote_folder(folder: Path) -> Iterator[RemoteFolder]:
    server = RemoteFolder(folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
        assert not thread.is_alive()
