"""What commands print on a terminal: tables as wide as it, colours, progress."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests import sounds
from tests.catalogs import Planted, plant

ROOT = Path(__file__).parents[3]
WIDTH = 70
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(*arguments: object, **environment: str) -> tuple[int, str]:
    """Exit status and screen of a command whose stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "recommender", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={
            **inherited,
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "COLUMNS": str(WIDTH),
            **environment,
        },
    )
    os.close(theirs)
    screen = b""
    # Linux ends a terminal that nobody writes to any more with an error.
    with suppress(OSError):
        while piece := os.read(ours, 1 << 16):
            screen += piece
    os.close(ours)
    return process.wait(timeout=60), screen.decode().replace("\r\n", "\n")


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Tracks with and without tags, with long names and an instruction to the terminal."""
    long = "A title that no terminal of seventy columns has room for, " * 2
    return plant(
        tmp_path,
        ["rock"],
        [
            Planted("Seed", vector=[1, 0, 0, 0, 0, 0, 0, 0]),
            Planted(long, vector=[1, 0.1, 0, 0, 0, 0, 0, 0]),
            Planted(None, artist=None, vector=[1, 0, 0.2, 0, 0, 0, 0, 0]),
            Planted("Red\x1b[31m", artist="音楽", vector=[1, 0, 0, 0.5, 0, 0, 0, 0]),
        ],
    )


def test_a_table_fits_the_terminal_and_cuts_its_last_column(catalog: Path) -> None:
    code, screen = on_terminal("similar", 1, "-n", 3, "--catalog", catalog)
    assert code == 0
    assert "\x1b[1m" in screen
    lines = STYLE.sub("", screen).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[1].split() == ["score", "cosine", "id", "track"]
    assert len(lines) == 5
    assert lines[2].rstrip().endswith("…")
    assert lines[3].split()[-1] == "0003"
    assert "Red\\x1b[31m" in lines[4]
    assert "\x1b[31m" not in screen


def test_no_color_is_respected(catalog: Path) -> None:
    _code, screen = on_terminal("genres", "predict", "--help", NO_COLOR="1")
    assert "\x1b" not in screen
    code, screen = on_terminal("evaluate", "--catalog", catalog, "--sample", 0, NO_COLOR="1")
    assert code == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", screen)


def test_progress_is_drawn_on_a_terminal_alone(catalog: Path) -> None:
    code, screen = on_terminal("evaluate", "--catalog", catalog, "--sample", 0)
    assert code == 0
    assert re.search(r"━.*4 of 4", screen)
    command = [sys.executable, "-m", "recommender", "evaluate", "--sample", "0"]
    done = subprocess.run(
        [*command, "--catalog", catalog], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_indexing_draws_what_is_done_and_what_failed(tmp_path: Path) -> None:
    sounds.text_file(tmp_path / "no sound.mp3")
    code, screen = on_terminal("index", tmp_path, "--workers", 1, "--catalog", tmp_path / "c.db")
    assert code == 0
    assert re.search(r"indexing.*1 of 1, 1 failed", STYLE.sub("", screen))
    assert screen.splitlines()[-1].endswith(" s")
