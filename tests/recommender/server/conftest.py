"""A server in this process for its routes, and one as a process of its own for all else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.testclient import TestClient

from recommender.server.app import create_app, guarded
from recommender.server.context import open_context
from recommender.server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any, Protocol

    from playwright.sync_api import Browser

    class Start(Protocol):
        """Starts `soundalike serve` over a catalog."""

        def __call__(self, catalog: Path, *options: str) -> AbstractContextManager[Running]: ...


CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None
)
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium (Debian: apt-get install chromium)"
)
SOFTWARE_GL = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WAIT_MS = 30_000
"""Longest wait for anything in a page, on a machine that is busy with other things."""
RUN_MS = 300_000
"""Longest wait for what a process beside the server makes or has to start for: it bounds a hang."""
TIMEOUT_S = 60.0
"""Seconds after which an answer is none any more: on a busy machine some take long."""


class Running:
    """A server that runs as a process of its own.

    Attributes
    ----------
    url : str
        Of its page, with a slash at the end.
    process : subprocess.Popen
    """

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url, self.process = url, process

    @property
    def api(self) -> str:
        """Base of the API's addresses, with a slash at the end."""
        return f"{self.url}api/v1/"


@contextmanager
def client_of(catalog: Path | str, **options: Any) -> Iterator[TestClient]:
    """A client of a server's application in this process, its guards before it."""
    settings = Settings(catalog=catalog, **{"requests_per_s": 0.0, **options})
    with (
        open_context(settings) as context,
        TestClient(
            guarded(create_app(context), context),
            base_url="http://127.0.0.1/api/v1/",
            raise_server_exceptions=False,
        ) as client,
    ):
        yield client


@contextmanager
def start_server(catalog: Path, *options: str) -> Iterator[Running]:
    """`soundalike serve` at a free port of loopback, ended by its own pid."""
    command = [sys.executable, "-m", "recommender", "serve", "--catalog", str(catalog)]
    command += ["--port", "0", "--rate", "0", *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    try:
        url = _url(process)
        with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
            assert client.get("api/v1/health").status_code == 200
        yield Running(url, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert process.stderr is not None
        process.stderr.close()


def _url(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"(http://\S+/) serves", line):
            return found[1]
    raise AssertionError(f"the server ended: {said}")


@pytest.fixture(scope="session")
def server() -> Start:
    """Starts `soundalike serve`."""
    return start_server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that draws in software; playwright's loop must not outlive the module's tests."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    api.expect.set_options(timeout=WAIT_MS)
    with api.sync_playwright() as running:
        found = running.chromium.launch(
            executable_path=CHROMIUM, args=SOFTWARE_GL, timeout=4 * WAIT_MS
        )
        yield found
        found.close()
