"""Settings of a server."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from pathlib import Path

DEFAULT_PORT = 7707


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """What one uploaded file may cost.

    Attributes
    ----------
    bytes : int
        Length of the file at most.
    receive_s : float
        Seconds in which all of it must arrive.
    least_bytes_per_s, grace_s : float
        After `grace_s` seconds what has arrived must keep up with this rate.
    analyse_s : int
        Seconds that its analysis may take.
    """

    bytes: int = 512 << 20
    receive_s: float = 300.0
    least_bytes_per_s: float = 16_384.0
    grace_s: float = 10.0
    analyse_s: int = 60


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server runs.

    Attributes
    ----------
    catalog : path or str
        Address of the catalog.
    host : str
        The address that it listens at.
    token : str or None
        What every client must know; None on a loopback address only.
    players_secret : Path or None
        File with the password of players; None: one beside the catalog.
    allow_writes : bool
        Whether players may give stars and ratings.
    allowed_hosts : tuple of str
        Names that it may be asked by, beside those of its own address.
    trusted_proxies : tuple of str
        Addresses whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    folders : tuple of bytes
        Folders that an index run may be started for, absolute; none: those indexed before.
    uploads : Path or None
        Folder that takes files to be added to the library; None: none are taken.
    watch : bool
        Whether files that appear in the folders are indexed by themselves.
    sweep_s : float
        Seconds between two looks at all folders while watching.
    settle_s : float
        Seconds without a change after which a watched folder is looked at.
    requests_per_s : float
        Requests that one client may make in the long run; 0: any number.
    upload : UploadLimits
    """

    catalog: str | os.PathLike[str]
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None
    players_secret: Path | None = None
    allow_writes: bool = False
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    folders: tuple[bytes, ...] = ()
    uploads: Path | None = None
    watch: bool = False
    sweep_s: float = 900.0
    settle_s: float = 5.0
    requests_per_s: float = 100.0
    upload: UploadLimits = UploadLimits()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address or name can be reached from its own machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
