"""No damaged index file is loaded, and a crash while saving is noticed."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import IndexFileError
from indexer.vectors import index_file
from indexer.vectors.base import Stamp
from indexer.vectors.faiss_index import FaissIndex

from .vector_index_contract import DIM, STAMP, unit_vectors


@pytest.fixture
def saved(tmp_path):
    index = FaissIndex(DIM)
    index.add(np.arange(30), unit_vectors(30))
    path = tmp_path / "catalog.faiss"
    index.save(path, STAMP)
    return path


def opened(path):
    return FaissIndex.open(path, dim=DIM)


def test_the_sidecar_tells_the_state(saved):
    sidecar = index_file.read_sidecar(saved)
    assert sidecar.stamp == STAMP
    assert (sidecar.dim, sidecar.vectors, sidecar.length) == (DIM, 30, saved.stat().st_size)


def test_every_flipped_byte_is_noticed(saved):
    good = saved.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.permutation(len(good))[:300]:
        bad = bytearray(good)
        bad[place] ^= int(rng.integers(1, 256))
        saved.write_bytes(bad)
        with pytest.raises(IndexFileError, match="damaged"):
            opened(saved)
    saved.write_bytes(good)
    assert len(opened(saved)[0]) == 30


def test_every_flipped_byte_of_the_sidecar_is_noticed(saved):
    stamp_path = index_file.sidecar_path(saved)
    good = stamp_path.read_bytes()
    rng = np.random.default_rng(1)
    for place in range(len(good)):
        # 0x20 turns letters into their other case, which hexadecimal and JSON can overlook.
        for flip in {0x20, 0x01, int(rng.integers(1, 256))}:
            bad = bytearray(good)
            bad[place] ^= flip
            stamp_path.write_bytes(bad)
            with pytest.raises(IndexFileError):
                opened(saved)


def test_every_cut_is_noticed(saved):
    for path in (saved, index_file.sidecar_path(saved)):
        good = path.read_bytes()
        for length in {0, 1, len(good) - 1, *range(0, len(good), max(1, len(good) // 200))}:
            path.write_bytes(good[:length])
            with pytest.raises(IndexFileError):
                opened(saved)
        path.write_bytes(good + b"\0")
        with pytest.raises(IndexFileError):
            opened(saved)
        path.write_bytes(good)
    assert len(opened(saved)[0]) == 30


@pytest.mark.parametrize("part", ["index", "stamp"])
def test_a_missing_file_is_said(saved, part):
    gone = saved if part == "index" else index_file.sidecar_path(saved)
    gone.unlink()
    with pytest.raises(IndexFileError, match=rf"There is no .*{gone.name}: rebuild"):
        opened(saved)


def test_a_folder_in_its_place_is_said(saved):
    saved.unlink()
    saved.mkdir()
    with pytest.raises(IndexFileError, match="cannot be read"):
        opened(saved)


def test_the_files_of_two_saves_do_not_mix(saved, tmp_path):
    # This is what a crash between the two renames leaves: the new index, the old sidecar.
    old_sidecar = index_file.sidecar_path(saved).read_bytes()
    index, _ = opened(saved)
    index.add([77], unit_vectors(1, seed=3))
    index.remove([3])
    index.save(saved, Stamp("0b8a", "c0ffee", 42))
    index_file.sidecar_path(saved).write_bytes(old_sidecar)
    with pytest.raises(IndexFileError):
        opened(saved)


def test_a_save_that_fails_leaves_the_old_files(saved, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    index, _ = opened(saved)
    index.remove([3])
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(IndexFileError, match=r"cannot be written .No space left"):
        index.save(saved, Stamp("0b8a", "c0ffee", 42))
    monkeypatch.undo()
    assert opened(saved)[1] == STAMP
    assert sorted(path.name for path in saved.parent.iterdir()) == [
        "catalog.faiss",
        "catalog.faiss.stamp",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_full_while_faiss_writes_is_said(saved):
    index, _ = opened(saved)
    draft = saved.with_name(saved.name + ".draft")
    draft.symlink_to("/dev/full")
    with pytest.raises(IndexFileError, match="No space left"):
        index.save(saved, STAMP)
    assert len(opened(saved)[0]) == 30


def test_a_draft_that_a_killed_run_left_is_replaced(saved):
    saved.with_name(saved.name + ".draft").write_bytes(b"half of it")
    opened(saved)[0].save(saved, STAMP)
    assert len(opened(saved)[0]) == 30
    assert not list(saved.parent.glob("*.draft"))


def test_a_folder_that_is_not_there_is_said(saved, tmp_path):
    with pytest.raises(IndexFileError, match="cannot be written"):
        opened(saved)[0].save(tmp_path / "nowhere" / "c.faiss", STAMP)


def test_a_name_that_is_not_utf8(saved, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9\n.faiss")
    opened(saved)[0].save(path, STAMP)
    assert len(opened(path)[0]) == 30


def test_vectors_of_another_length_are_said(saved):
    with pytest.raises(IndexFileError, match=f"vectors of {DIM} numbers, not of 200"):
        FaissIndex.open(saved, dim=200)


def write_whole(path, content, **changes):
    """Write a sidecar and an index whose checksums hold, whatever is in them."""
    fields = {
        "stamp": STAMP,
        "dim": DIM,
        "vectors": 30,
        "facts": {"calibration": None, "grouped_at": 0, "changed": 0},
    }
    index_file.write(path, lambda writer: writer.write(content), **{**fields, **changes})


def test_whole_files_with_something_else_in_them_are_refused(saved, tmp_path):
    import faiss

    other = faiss.IndexFlatIP(DIM)
    faiss.write_index(other, str(tmp_path / "other"))
    for content in ((tmp_path / "other").read_bytes(), b"", b"not an index at all"):
        write_whole(saved, content)
        with pytest.raises(IndexFileError, match="rebuild it from the catalog"):
            opened(saved)


def test_facts_that_are_not_ours_are_refused(saved):
    write_whole(saved, saved.read_bytes(), facts={"grouped_at": 0})
    with pytest.raises(IndexFileError, match="calibration"):
        opened(saved)


def test_another_version_is_said(saved, monkeypatch):
    monkeypatch.setattr(index_file, "_VERSION", 2)
    shutil.copy(saved, f"{saved}2")
    write_whole(f"{saved}2", saved.read_bytes())
    monkeypatch.undo()
    assert json.loads(index_file.sidecar_path(f"{saved}2").read_bytes())["version"] == 2
    with pytest.raises(IndexFileError, match="has the format 2, this program reads 1"):
        opened(f"{saved}2")
