"""Who may write a catalog on a server: advisory locks, which end with the connection.

Every process that writes holds one lock with the others, from opening to closing; what must be
done alone takes it for itself. Each transaction that writes holds a second one, so that they come
one after the other, and change numbers in the order of commits: a number of a sequence can be
committed after a higher one, and readers would never see it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from indexer.errors import CatalogLocked

if TYPE_CHECKING:
    from collections.abc import Callable

_SPACE = 0x534C4B31
_WRITERS, _TRANSACTION = 1, 2
_HOLDERS = f"""
    SELECT a.pid, coalesce(host(a.client_addr), 'this machine'), a.application_name
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.classid = {_SPACE} AND l.objid = {_WRITERS} AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.pid <> pg_backend_pid() ORDER BY a.backend_start
"""  # noqa: S608 - own numbers

ONE_TRANSACTION = f"SELECT pg_advisory_xact_lock({_SPACE}, {_TRANSACTION})"
"""Waits for the transactions that write; held until this one ends."""
BESIDE_OTHERS = f"SELECT pg_advisory_xact_lock_shared({_SPACE}, {_WRITERS})"
"""Waits for a process that writes alone; held until the transaction ends."""


class WritersLock:
    """Held with other writers from construction to `release`.

    Parameters
    ----------
    name : str
        The catalog's address as people are shown it.
    connect : function
        Makes a connection that commits each statement.

    Raises
    ------
    CatalogLocked
        A process writes alone; the message says which.
    """

    def __init__(
        self, name: str, connect: Callable[[], psycopg.Connection[tuple[object, ...]]]
    ) -> None:
        self._name = name
        self._connection = connect()
        if not self._take("pg_try_advisory_lock_shared"):
            who = self._others()
            self._connection.close()
            raise CatalogLocked(f"{name} is being changed by {who} alone: wait for it to end")
        self.is_alone = False

    def take_alone(self) -> None:
        """Let no other process write.

        Raises
        ------
        CatalogLocked
            Another one has the catalog open for writing; the message says which.
        """
        if not self._take("pg_try_advisory_lock"):
            raise CatalogLocked(
                f"{self._name} is being written by {self._others()}: removing tracks, another "
                "model and a newer schema have to wait for that to end"
            )
        self.is_alone = True

    def share(self) -> None:
        """Let others write again."""
        self.is_alone = False
        self._connection.execute(f"SELECT pg_advisory_unlock({_SPACE}, {_WRITERS})")

    def release(self) -> None:
        """Let whoever waits to be alone in."""
        # The server notices a closed connection only some time later.
        with suppress(psycopg.Error):
            self._connection.execute("SELECT pg_advisory_unlock_all()")
        self._connection.close()

    def _take(self, function: str) -> bool:
        row = self._connection.execute(f"SELECT {function}({_SPACE}, {_WRITERS})").fetchone()
        return row is not None and bool(row[0])

    def _others(self) -> str:
        rows = self._connection.execute(_HOLDERS).fetchall()
        names = [f"{program or 'a process'} on {host}" for _, host, program in rows]
        return " and ".join(names) or "another process"
