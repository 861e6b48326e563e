"""Clients that keep to no rules: requests as raw bytes, held connections; and one that measures."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recommender.server.conftest import Running

LOOPBACK = "127.0.0.1"


def port_of(running: Running) -> int:
    """The port that a server listens at."""
    return int(running.url.rstrip("/").rpartition(":")[2])


def exchange(port: int, request: bytes, *, wait_s: float = 10.0) -> bytes:
    """All that a server sends back to bytes until it closes or says nothing for `wait_s`."""
    received = b""
    with socket.create_connection((LOOPBACK, port), timeout=wait_s) as client:
        with suppress(OSError):
            # A server that has refused takes no more.
            client.sendall(request)
        with suppress(OSError):
            while piece := client.recv(1 << 16):
                received += piece
    return received


def statuses(received: bytes) -> list[int]:
    """Statuses of the responses in what a server sent."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def get(target: str | bytes, *headers: str, port: int) -> bytes:
    """A GET request as raw bytes, after which the connection ends."""
    raw = target if isinstance(target, bytes) else target.encode("latin-1")
    lines = [f"Host: {LOOPBACK}:{port}", *headers, "Connection: close", "", ""]
    return b"GET " + raw + b" HTTP/1.1\r\n" + "\r\n".join(lines).encode("latin-1")


def post(target: str, body: bytes, *headers: str, port: int) -> bytes:
    """A POST request as raw bytes; its length must be among the headers."""
    lines = [f"POST {target} HTTP/1.1", f"Host: {LOOPBACK}:{port}", *headers]
    lines += ["Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def open_and_send(port: int, request: bytes) -> socket.socket:
    """A connection on which bytes were sent, left open."""
    client = socket.create_connection((LOOPBACK, port), timeout=10)
    client.sendall(request)
    return client


def latencies(running: Running, count: int) -> np.ndarray:
    """Milliseconds of requests of a good client, each of which must be answered with 200.

    Each is a question that no answer is kept for: the work of the server is in it.
    """
    spent = []
    with httpx.Client(base_url=running.api, timeout=30) as client:
        for number in range(count):
            began = time.perf_counter()
            where = {"like": 1 + number % 12, "duration_to": 1e6 + time.perf_counter_ns() % 1e6}
            answer = client.get("similar", params=where)
            spent.append(1000 * (time.perf_counter() - began))
            assert answer.status_code == 200, answer.text
    return np.array(spent)


@contextmanager
def repeated(attack: Callable[[], object]) -> Iterator[list[int]]:
    """Does something again and again in a thread; the list holds how often it was done."""
    is_over = threading.Event()
    done: list[int] = []

    def go_on() -> None:
        while not is_over.is_set():
            with suppress(OSError):
                attack()
            done.append(len(done))

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        is_over.set()
        thread.join(30)
