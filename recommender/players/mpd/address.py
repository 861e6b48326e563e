"""Where a Music Player Daemon listens, as its own clients write it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORT = 6600


@dataclass(frozen=True)
class Address:
    """A host with its port, or a socket of this machine, and the password if there is one.

    Attributes
    ----------
    host : str
        A name or number; a path, or "@NAME" (Linux's abstract sockets), of a local socket.
    """

    host: str
    port: int
    password: str | None = field(default=None, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether it is a socket of this machine."""
        return self.host.startswith(("/", "@"))

    def __str__(self) -> str:
        return self.host if self.is_local else f"{self.host}, port {self.port}"


def parse_address(host: str | None, port: int, environment: Mapping[str, str]) -> Address:
    """The address that a host such as "music.local", "password@host" or "/run/mpd/socket" means.

    Without a host it is the local socket of a daemon of this user or machine, else localhost.
    """
    default = _local_socket(environment) or "localhost"
    if host is None:
        return Address(default, port)
    # An "@" at the beginning is that of an abstract socket.
    password, at, name = host.partition("@")
    if not at or not password:
        return Address(os.path.expanduser(host), port)
    return Address(os.path.expanduser(name or default), port, password)


def _local_socket(environment: Mapping[str, str]) -> str | None:
    folders = [environment.get("XDG_RUNTIME_DIR"), "/run"]
    sockets = [os.path.join(folder, "mpd", "socket") for folder in folders if folder]
    return next((socket for socket in sockets if os.path.exists(socket)), None)
