from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from tests import sounds
from tests.waiting import LIMIT_S, wait_for_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.slow
def test_analyses_are_carried_to_a_catalog(
    run: Callable[..., tuple[int, str, str]], songs: Path
) -> None:
    sounds.text_file(songs / "album 0" / "bad.mp3")
    analyse = ("analyse", songs, "--out", "analyses.parquet", "--workers", 1)
    assert run(*analyse) == (0, "analyses.parquet: 13 files, 1 failed\n", "")
    code, out, err = run(*analyse)
    assert (code, out) == (1, "")
    assert err == (
        "soundalike: analyses.parquet is there already: name another file, or give --force\n"
    )
    code, out, err = run("import", "analyses.parquet")
    assert (code, out, err) == (0, "12 new, 1 failed, 0 unchanged, 0 refused\n", "")
    counts = json.loads(run("import", "analyses.parquet", "--json")[1])
    assert counts.pop("unchanged") == 13
    assert set(counts.values()) == {0}
    assert json.loads(run("index", "--json")[1])["unchanged"] == 12
    code, out, err = run("analyse", songs / "album 1", "--out", "b.parquet", "--json")
    assert json.loads(out) == {"file": "b.parquet", "rows": 6, "failed": 0, "waiting": 0}


def test_what_cannot_be_done_is_one_sentence(
    run: Callable[..., tuple[int, str, str]], catalog_path: Path, tmp_path: Path
) -> None:
    sounds.text_file(tmp_path / "bad.parquet")
    for arguments, message in (
        (("import", "bad.parquet"), "bad.parquet cannot be read as rows of analyses ("),
        (("import", "none.parquet"), "none.parquet is not there: check the name"),
        (("analyse", "none", "--out", "a.parquet"), "none cannot be reached (No such file"),
        (("analyse", ".", "--out", "none/a.parquet"), "the folder none is missing: make it first"),
        (
            ("analyse", ".", "--out", "a.parquet", "--model", "x"),
            "the model x is not on this machine",
        ),
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (1, ""), arguments
        assert err.startswith("soundalike: ")
        assert err.count("\n") == 1
        assert message in err
    assert not (tmp_path / "a.parquet").exists()


@pytest.mark.slow
def test_an_interrupted_analysis_leaves_a_file_of_what_was_done(
    tmp_path: Path, original_songs: Path
) -> None:
    command = [sys.executable, "-m", "recommender", "analyse", str(original_songs), "--thorough"]
    with subprocess.Popen(
        [*command, "--out", "analyses.parquet", "--workers", "1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ) as process:
        wait_for_file(process, tmp_path, ".analyses*")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    rows = pq.read_metadata(tmp_path / "analyses.parquet").num_rows
    assert f"{rows} files" in out
    assert f"lacks {12 - rows} files" in err
