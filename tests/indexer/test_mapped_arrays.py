"""Files of arrays: written whole, mapped, and checked before they are used."""

import numpy as np
import pytest

from indexer.errors import IndexFileError
from indexer.mapped_arrays import ArrayBlocks, MappedArrays, draft_path, write_arrays

KIND = "numbers 1"


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "ids": np.arange(100_000, dtype=np.int64),
        "rows": rng.standard_normal((3_000, 192)).astype(np.float16),
        "none": np.empty((0, 4), dtype=np.float32),
    }


@pytest.fixture
def file(tmp_path, arrays):
    path = tmp_path / "numbers"
    write_arrays(path, arrays, kind=KIND, facts={"change": 7})
    return path


def damage(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_what_was_written_is_read(file, arrays):
    opened = MappedArrays.open(file, kind=KIND)
    assert opened.facts == {"change": 7}
    for name, array in arrays.items():
        np.testing.assert_array_equal(opened.checked(name), array)
        assert opened.array(name).dtype == array.dtype
    assert "rows" in opened
    assert "columns" not in opened
    opened.require_all_intact()


def test_blocks_of_any_size_make_the_same_file(file, arrays, tmp_path):
    other = tmp_path / "other"
    pieces = {
        name: ArrayBlocks(array.dtype, array.shape, np.array_split(array, 7))
        for name, array in arrays.items()
    }
    write_arrays(other, pieces, kind=KIND, facts={"change": 7})
    assert other.read_bytes() == file.read_bytes()


def test_every_flipped_byte_is_noticed(file):
    # Each on a copy of its own: what is open keeps what it maps.
    whole = file.read_bytes()
    opened = MappedArrays.open(file, kind=KIND)
    stored = [
        opened.offset(name) + position
        for name in ("ids", "rows")
        for position in (0, 70_000, opened.array(name).nbytes - 1)
    ]
    for offset in (0, *stored, len(whole) - 300, len(whole) - 24, len(whole) - 1):
        damage(file, offset)
        with pytest.raises(IndexFileError, match=r"damaged|holds"):
            MappedArrays.open(file, kind=KIND).require_all_intact()
        file.unlink()
        file.write_bytes(whole)


def test_only_the_rows_asked_for_are_checked(file):
    offset = MappedArrays.open(file, kind=KIND).offset("rows")
    damage(file, offset + 1_000 * 384 + 5)
    opened = MappedArrays.open(file, kind=KIND)
    opened.require_intact("ids")
    opened.require_intact("rows", np.array([0, 2_999, 3]))
    opened.require_intact("rows", slice(0, 500))
    for rows in (np.array([4, 1_000]), slice(999, 1_001), None):
        with pytest.raises(IndexFileError, match=r"checksum of 'rows'.*again from the catalog"):
            opened.require_intact("rows", rows)


@pytest.mark.parametrize("kept", [0, 5, 10_000, -1])
def test_a_file_that_is_cut_short_is_refused(file, kept):
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(IndexFileError, match="cut short"):
        MappedArrays.open(file, kind=KIND)


def test_another_kind_and_a_missing_file_are_refused(file):
    with pytest.raises(IndexFileError, match="holds 'numbers 1', this program reads 'numbers 2'"):
        MappedArrays.open(file, kind="numbers 2")
    file.unlink()
    with pytest.raises(IndexFileError, match="There is no"):
        MappedArrays.open(file, kind=KIND)


def test_a_write_that_fails_leaves_the_file_that_was_there(file, tmp_path):
    before = file.read_bytes()

    def blocks():
        yield np.zeros(10, np.int64)
        raise OSError(28, "No space left on device")

    source = ArrayBlocks(np.dtype("<i8"), (20,), blocks())
    with pytest.raises(IndexFileError, match="No space left"):
        write_arrays(file, {"ids": source}, kind=KIND, facts={})
    assert file.read_bytes() == before
    assert not draft_path(file).exists()
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_open_outlives_its_successor(file, arrays):
    opened = MappedArrays.open(file, kind=KIND)
    write_arrays(file, {"ids": np.zeros(3, np.int64)}, kind=KIND, facts={"change": 8})
    opened.forget_pages()
    np.testing.assert_array_equal(opened.checked("rows"), arrays["rows"])
    assert MappedArrays.open(file, kind=KIND).facts == {"change": 8}
