"""What a page of another site can make a real browser do to a server of this machine: nothing."""

from __future__ import annotations

import http.server
import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import TIMEOUT_S
from tests.recommender.server.sockets import port_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.recommender.server.conftest import Start

sync_api = pytest.importorskip("playwright.sync_api", reason="needs soundalike[test]")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no chromium (Debian: apt-get install chromium)"
    ),
    # Playwright's pipes and loop are its own to close.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
TITLE = "a title that nobody else may read"
RULES = "MAP evil.example 127.0.0.1, MAP rebound.example 127.0.0.1"

ATTEMPTS = """async (base) => {
  const read = async (address, options) => {
    try { return await (await fetch(address, options)).text(); }
    catch (error) { return String(error); }
  };
  const load = (name, source) => new Promise((done) => {
    const element = document.createElement(name);
    element.onload = element.onloadeddata = () => done(`${name} loaded`);
    element.onerror = () => done(`${name} refused`);
    element.src = source;
    if (name === "link") { element.rel = "stylesheet"; element.href = source; }
    document.body.append(element);
    setTimeout(() => done(`${name} refused`), 4000);
  });
  const json = { method: "POST", body: JSON.stringify({ seed: 1 }) };
  return Promise.all([
    read(`${base}api/v1/tracks`),
    read(`${base}api/v1/tracks`, { mode: "no-cors" }),
    read(`${base}api/v1/tracks`, { credentials: "include" }),
    read(`${base}api/v1/station`, { ...json, headers: { "Content-Type": "application/json" } }),
    read(`${base}api/v1/station`, { ...json, mode: "no-cors" }),
    read(`${base}api/v1/similar`, { method: "POST", mode: "no-cors", body: new Blob(["x"]) }),
    read(`${base}api/v1/indexing`, { method: "POST", mode: "no-cors", body: "{}" }),
    read(`${base}api/v1/session`, { method: "DELETE" }),
    load("img", `${base}api/v1/tracks/1/cover`),
    load("audio", `${base}api/v1/tracks/1/audio`),
    load("script", `${base}api/v1/tracks`),
    load("link", `${base}api/v1/openapi.json`),
  ]);
}"""


FRAME = """(url) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.onload = done;
  frame.src = url;
  document.body.append(frame);
})"""


class _Empty(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>evil</title><body></body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def another_site() -> Iterator[str]:
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Empty)
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    try:
        yield f"http://evil.example:{site.server_port}/"
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


def answered(api: str) -> float:
    """How many requests were answered with success, by the server's own count."""
    lines = httpx.get(f"{api}metrics", timeout=TIMEOUT_S).text.splitlines()
    counts = [line for line in lines if line.startswith("soundalike_requests_total")]
    return sum(float(line.split()[-1]) for line in counts if 'status="2' in line)


def test_a_page_of_another_site_reads_and_writes_nothing(tmp_path: Path, server: Start) -> None:
    catalog = plant(tmp_path, ("piano",), [Planted(TITLE), Planted("other")])
    with (
        server(catalog) as running,
        another_site() as evil,
        sync_api.sync_playwright() as playwright,
    ):
        arguments = ["--no-sandbox", f"--host-resolver-rules={RULES}"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page()
        rebound = f"http://rebound.example:{port_of(running)}/"
        for base in (running.url, rebound):
            page.goto(evil)
            before = answered(running.api)
            found = page.evaluate(ATTEMPTS, base)
            # The count of requests before is one of its own.
            assert answered(running.api) == before + 1, found
            assert TITLE not in "".join(found)
            assert [one for one in found if one.endswith(" loaded")] == []
        page.goto(evil)
        page.evaluate(FRAME, running.url)
        assert "search" not in page.frames[-1].content()
        # Once a name points here, a page under it would be of the same site as the server.
        answer = page.goto(rebound)
        assert answer is not None
        assert answer.status == 421
        same_site = page.evaluate("async () => (await fetch('api/v1/tracks')).status")
        assert same_site == 421
        # The owner's own page is answered, and so is a link to it from elsewhere.
        page.goto(evil)
        page.evaluate("(url) => { location.href = url; }", running.url)
        page.wait_for_url(running.url)
        page.wait_for_selector("header.top")
        browser.close()
