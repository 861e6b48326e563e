"""One connection to a PostgreSQL server, opened again where it was lost."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg import errors
from sqlalchemy.engine import make_url

from indexer.errors import IndexServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg import Connection

Result = TypeVar("Result")

_CONNECT_TIMEOUT_S = 10
_LOST = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)


class PostgresConnection:
    """Runs transactions on a server; one at a time, whichever thread asks.

    Parameters
    ----------
    address : str
        As SQLAlchemy takes it: ``postgresql+psycopg://user@host/database``.
    """

    def __init__(self, address: str) -> None:
        url = make_url(address).set(drivername="postgresql")
        self._conninfo = url.render_as_string(hide_password=False)
        self._shown = url.set(password=None).render_as_string()
        self._lock = threading.RLock()
        self._connection: Connection | None = None

    def __str__(self) -> str:
        """Its address, without a password."""
        return self._shown

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Return what `work` reads from one state of the database.

        Raises
        ------
        IndexServerError
            The server cannot be reached, or refuses.
        """
        return self._run(work, psycopg.IsolationLevel.REPEATABLE_READ)

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Return what `work` returns, with all that it changes stored, or nothing.

        A server that went away is asked once more: `work` must do no harm when it is done twice.

        Raises
        ------
        IndexServerError
            The server cannot be reached, or refuses. Nothing was changed.
        """
        return self._run(work, psycopg.IsolationLevel.READ_COMMITTED)

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _run(
        self, work: Callable[[Connection], Result], isolation: psycopg.IsolationLevel
    ) -> Result:
        with self._lock:
            try:
                return self._once(work, isolation)
            except psycopg.OperationalError as error:
                if self._connection is None or not self._connection.closed:
                    raise self._explained(error) from error
            except psycopg.Error as error:
                raise self._explained(error) from error
            # The server may have been restarted since the last question.
            try:
                return self._once(work, isolation)
            except psycopg.Error as error:
                raise self._explained(error) from error

    def _once(
        self, work: Callable[[Connection], Result], isolation: psycopg.IsolationLevel
    ) -> Result:
        if self._connection is None or self._connection.closed:
            self._connection = None
            self._connection = psycopg.connect(
                self._conninfo,
                autocommit=True,
                # A plan kept for several questions knows neither how many rows they ask for nor
                # how many of them a filter leaves.
                prepare_threshold=None,
                connect_timeout=_CONNECT_TIMEOUT_S,
            )
            self._connection.execute("SELECT set_config('jit', 'off', false)")
        self._connection.isolation_level = isolation
        with self._connection.transaction():
            return work(self._connection)

    def _explained(self, error: psycopg.Error) -> IndexServerError:
        """The error as one sentence that says what to do."""
        what = (error.diag.message_primary or " ".join(str(error).split())).rstrip(".")
        if isinstance(error, errors.InsufficientPrivilege):
            remedy = "let the owner of the database grant it"
        elif isinstance(error, errors.DiskFull):
            remedy = "make room on the server's disk; nothing is lost"
        elif self._connection is None or self._connection.closed or isinstance(error, _LOST):
            remedy = "see that it runs and that address, role and password are right"
        else:
            remedy = "the catalog is safe, `soundalike rebuild` makes the vectors again from it"
        return IndexServerError(f"The server of the vectors, {self}, says: {what}: {remedy}.")
