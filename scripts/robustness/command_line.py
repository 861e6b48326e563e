"""The command line, run in this process: starting Python a thousand times takes minutes."""

from __future__ import annotations

import io
import logging
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

from recommender.__main__ import main


@dataclass(frozen=True)
class Result:
    """What a command ended with: exit status, or None after an exception, and what it printed."""

    status: int | None
    out: str
    err: str


def run(*arguments: object) -> Result:
    """Run `soundalike` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    # The handler that the last run installed holds that run's stderr.
    logging.getLogger().handlers.clear()
    status: int | None = 0
    with (
        mock.patch.object(sys, "argv", ["soundalike", *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
        except Exception:  # noqa: BLE001 - that is what is looked for
            traceback.print_exc()
            status = None
    return Result(status, out.getvalue(), err.getvalue())
