"""Supysonic over a folder of music, as a process: `supysonic_server.py DATA MUSIC USER PASSWORD`.

Prints its port when its scan is done and it listens.
"""

from __future__ import annotations

import sys
from pathlib import Path

from supysonic.config import IniConfig
from supysonic.db import init_database, release_database
from supysonic.managers.folder import FolderManager
from supysonic.managers.user import UserManager
from supysonic.scanner import Scanner
from supysonic.web import create_application
from werkzeug.serving import make_server


def main(data: str, music: str, user: str, password: str) -> None:
    settings = Path(data) / "supysonic.conf"
    database = f"sqlite:///{data}/supysonic.db"
    settings.write_text(
        f"[base]\ndatabase_uri = {database}\n"
        f"[webapp]\ncache_dir = {data}\nmount_webui = no\nlog_level = ERROR\n"
    )
    init_database(database)
    UserManager.add(user, password)
    FolderManager.add("music", music)
    scanner = Scanner()
    scanner.queue_folder("music")
    scanner.run()
    release_database()
    server = make_server("127.0.0.1", 0, create_application(IniConfig(settings)), threaded=True)
    print(server.server_port, flush=True)  # noqa: T201 - read by who started it
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
