"""A connection to a Music Player Daemon; python-mpd2 has to be installed.

`CommandError` and `CONNECTION_LOST` are what its commands raise.
"""

from __future__ import annotations

import os
import select
import socket
from typing import TYPE_CHECKING, Any

import mpd
from mpd import CommandError, FailureResponseCode

from indexer.errors import SoundalikeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.players.mpd.address import Address

__all__ = [
    "CONNECTION_LOST",
    "Client",
    "CommandError",
    "QueueFull",
    "add",
    "connect",
    "music_directory",
]

CONNECTION_LOST = (mpd.ConnectionError, mpd.ProtocolError, OSError)
ANSWER_S = 20.0
"""Seconds in which a daemon that is alive answers a command; one that scans a slow drive too."""
NEEDED = frozenset(("status", "addid"))
"""Commands without which no queue can be filled."""
_PASSWORD = "write it before an @, --host PASSWORD@HOST"  # noqa: S105 - how to give one
_PROBE_AFTER_S, _PROBE_EVERY_S, _PROBES = 60, 15, 4
"""A host that has gone without a word, as one that sleeps, is noticed after two minutes."""


class Client(mpd.MPDClient):  # type: ignore[misc] # python-mpd2 has no types
    """A client that takes and gives names of files whatever bytes they hold, as `os.fsdecode`."""

    def connect(self, host: str, port: int | None = None) -> None:
        """Connect to a daemon."""
        super().connect(host, port)
        self._wfile.reconfigure(errors="surrogateescape")

    def idle(self, *events: str, within_s: float | None = None) -> Sequence[str]:
        """What of some kinds of events happened, once it did; nothing after so many seconds."""
        if within_s is None:
            return super().idle(*events)  # type: ignore[no-any-return] # no types
        self._write_command("idle", events)
        happened, _, _ = select.select([self._sock], [], [], within_s)
        if not happened:
            self._write_command("noidle")  # nothing to a daemon that answers at this very moment
        return list(self._parse_list(self._read_lines()))

    def _connect_unix(self, path: str) -> socket.socket:
        # python-mpd2 leaves a socket open that it could not connect.
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        return connection

    def _reset(self) -> None:
        # python-mpd2 forgets a connection that broke while it was written to, and leaves it open.
        broken = getattr(self, "_sock", None)
        super()._reset()
        if broken is not None:
            broken.close()

    def _read_line(self) -> str | None:
        line = os.fsdecode(self._rbfile.readline())
        if not line.endswith("\n"):
            self.disconnect()
            raise mpd.ConnectionError("the daemon closed the connection")
        line = line.removesuffix("\n")
        if line.startswith(mpd.base.ERROR_PREFIX):
            raise CommandError(line.removeprefix(mpd.base.ERROR_PREFIX).strip())
        end = mpd.base.SUCCESS if self._command_list is None else mpd.base.NEXT
        return None if line == end else line


# From 0.24 on the answer has several lines, of which python-mpd2 makes nothing.
Client.add_command("config", mpd.base.MPDClientBase._parse_object)  # noqa: SLF001 - its own parser


class Unreachable(SoundalikeError):
    """No daemon answers at the address."""


class QueueFull(SoundalikeError):
    """The queue holds as many songs as the daemon allows."""


def connect(address: Address) -> Client:
    """A connection to the daemon at an address.

    Raises
    ------
    Unreachable
        None answers there.
    SoundalikeError
        It refuses the password, or wants one.
    """
    client = Client()
    client.timeout = ANSWER_S
    try:
        client.connect(address.host, address.port)
        _probe_silent_host(client)
        if address.password is not None:
            client.password(address.password)
        may = NEEDED.issubset(client.commands())
    except CommandError as error:
        client.disconnect()
        raise SoundalikeError(
            f"the MPD at {address} refuses the password ({error.msg}): {_PASSWORD}"
        ) from error
    except CONNECTION_LOST as error:
        client.disconnect()
        raise Unreachable(
            f"no MPD answers at {address} ({_reason(error)}): start it, or name its --host and "
            "--port"
        ) from error
    if not may:
        client.disconnect()
        wants = "wants a password" if address.password is None else "wants another password"
        raise SoundalikeError(
            f"the MPD at {address} {wants} before it shows its queue and takes songs: {_PASSWORD}"
        )
    return client


def music_directory(client: Client) -> bytes | None:
    """The folder that the daemon's names count from; None where it does not say or it is no folder.

    Only clients on a local socket are given it.
    """
    try:
        folder = client.config().get("music_directory")
    except CommandError:
        return None
    return os.fsencode(folder) if folder and folder.startswith("/") else None


def add(client: Client, name: str) -> int | None:
    """Append a song to the queue; its id there, or None where the daemon knows no such song.

    Raises
    ------
    QueueFull
    CommandError
        This client may not add.
    """
    try:
        return int(client.addid(name))
    except CommandError as error:
        if error.errno in (FailureResponseCode.NO_EXIST, FailureResponseCode.ARG):
            return None
        if error.errno == FailureResponseCode.PLAYLIST_MAX:
            raise QueueFull from error
        raise


def _probe_silent_host(client: Client) -> None:
    with socket.socket(fileno=os.dup(client.fileno())) as connection:
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            for option, value in (
                (socket.TCP_KEEPIDLE, _PROBE_AFTER_S),
                (socket.TCP_KEEPINTVL, _PROBE_EVERY_S),
                (socket.TCP_KEEPCNT, _PROBES),
            ):
                connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _reason(error: Any) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
