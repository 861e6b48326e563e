from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.errors import ModelCorrupt
from indexer.models.tensor_bundle import read_tensor_bundle

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def bundle(musicnn_wheel: Path) -> tuple[bytes, bytes]:
    with zipfile.ZipFile(musicnn_wheel) as archive:
        return (
            archive.read("musicnn/MSD_musicnn/.index"),
            archive.read("musicnn/MSD_musicnn/.data-00000-of-00001"),
        )


def test_the_published_checkpoint(bundle: tuple[bytes, bytes]) -> None:
    tensors = read_tensor_bundle(*bundle)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    assert shapes["batch_normalization/gamma"] == (1,)
    assert shapes["conv2d/kernel"] == (7, 38, 1, 204)
    assert shapes["conv2d_1/kernel"] == (7, 67, 1, 204)
    assert shapes["conv2d_2/kernel"] == (128, 1, 1, 51)
    assert shapes["conv2d_5/kernel"] == (7, 561, 1, 64)
    assert shapes["dense/kernel"] == (1506, 200)
    assert shapes["dense_1/kernel"] == (200, 50)
    assert shapes["beta1_power"] == ()
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    # Every byte of the data belongs to exactly one tensor.
    assert sum(tensor.nbytes for tensor in tensors.values()) == len(bundle[1])


def test_a_cut_index_is_refused(bundle: tuple[bytes, bytes]) -> None:
    index, data = bundle
    for length in (0, 10, 47, 48, len(index) // 2, len(index) - 1):
        with pytest.raises(ModelCorrupt):
            read_tensor_bundle(index[:length], data)
    with pytest.raises(ModelCorrupt):
        read_tensor_bundle(index[100:], data)


def test_a_flipped_byte_of_the_index_never_changes_the_weights(bundle: tuple[bytes, bytes]) -> None:
    index, data = bundle
    sound = read_tensor_bundle(index, data)
    refused = 0
    positions = range(0, len(index), 53)
    for position in positions:
        damaged = bytearray(index)
        damaged[position] ^= 0x15
        try:
            found = read_tensor_bundle(bytes(damaged), data)
        except ModelCorrupt:
            refused += 1
        else:
            # A byte that nothing reads: the empty meta index and padding of the footer.
            assert found.keys() == sound.keys()
            assert all(np.array_equal(found[name], sound[name]) for name in sound)
    assert refused > 0.9 * len(positions)


def test_cut_data_is_refused(bundle: tuple[bytes, bytes]) -> None:
    index, data = bundle
    with pytest.raises(ModelCorrupt, match="cut short"):
        read_tensor_bundle(index, data[:-1])


def test_random_bytes_are_refused() -> None:
    noise = np.random.default_rng(0).bytes(5_000)
    with pytest.raises(ModelCorrupt, match="does not end like a table"):
        read_tensor_bundle(noise, b"")
    with pytest.raises(ModelCorrupt):
        read_tensor_bundle(noise[:-8] + struct.pack("<Q", 0xDB4775248B80FB57), b"")
