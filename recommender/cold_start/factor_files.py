"""Factors as files of other systems: NumPy, Parquet, FAISS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from indexer.errors import ExtraMissing, InvalidOption
from indexer.filesystem import atomic_write

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray


def write_factors(
    path: str | os.PathLike[str], ids: NDArray[Any], factors: NDArray[np.float32]
) -> None:
    """Write factors (n, factors) with their ids (n,), in the format that the ending names.

    Raises
    ------
    InvalidOption, ExtraMissing
        See `FactorRecommender.export_factors`.
    """
    target = Path(path)
    write = {".npz": _write_npz, ".parquet": _write_parquet, ".faiss": _write_faiss}.get(
        target.suffix
    )
    if write is None:
        raise InvalidOption(f"{path} has an unknown ending: name a file .npz, .parquet or .faiss")
    try:
        with atomic_write(target) as file:
            write(file, ids, factors)
        if target.suffix == ".faiss" and ids.dtype == object:
            with atomic_write(target.with_name(target.name + ".json")) as file:
                file.write(json.dumps(ids.tolist()).encode())
    except OSError as error:
        raise InvalidOption(
            f"{path} cannot be written ({error.strerror or error}): name another file"
        ) from error


def _write_npz(file: BinaryIO, ids: NDArray[Any], factors: NDArray[np.float32]) -> None:
    names = ids.astype(str) if ids.dtype == object else ids
    np.savez(file, allow_pickle=False, ids=names, factors=factors)


def _write_parquet(file: BinaryIO, ids: NDArray[Any], factors: NDArray[np.float32]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ExtraMissing(
            "Parquet needs pyarrow: `pip install soundalike[parquet]`, or name a file .npz"
        ) from error
    rows = pa.FixedSizeListArray.from_arrays(pa.array(factors.ravel()), factors.shape[1])
    parquet.write_table(pa.table({"id": pa.array(ids), "factors": rows}), file)


def _write_faiss(file: BinaryIO, ids: NDArray[Any], factors: NDArray[np.float32]) -> None:
    import faiss

    index = faiss.IndexIDMap2(faiss.IndexFlatIP(factors.shape[1]))
    numbers = np.arange(len(ids)) if ids.dtype == object else ids
    index.add_with_ids(np.ascontiguousarray(factors), numbers.astype(np.int64))
    file.write(faiss.serialize_index(index).tobytes())
