"""A library as a file for other systems: ids, what is known of tracks, and vectors, streamed.

    export(sound, "library.parquet")

The file is replaced when the new one is complete: until then an older one stays as it is.
"""

from __future__ import annotations

import tempfile
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from indexer.errors import ExtraMissing, InvalidOption
from indexer.filesystem import atomic_write
from recommender.cold_start.item_features import METADATA, TEXTS, require_ids, stream_tracks

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from recommender.cold_start.ids import Key
    from recommender.engine import Recommender

    Blocks = Iterator[tuple[pd.DataFrame, NDArray[np.float32]]]

FORMATS = ("parquet", "npz", "csv")


def export(
    sound: Recommender,
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    ids: Sequence[Key] | NDArray[Any] | None = None,
    on_missing: Literal["raise", "skip"] = "raise",
    replace: bool = False,
    block: int = 10_000,
) -> int:
    """Write a library, or some tracks of it, to a file; returns how many tracks.

    Parameters
    ----------
    kind : {"parquet", "npz", "csv"}, optional
        By default what the path ends with. Parquet has a column `vector` of lists of float32; npz
        an array `vectors` (tracks, dim) float32 and one array for each column; CSV has v0, v1, ...
    ids : sequence of int or str, optional
        Ids or keys of tracks; all tracks by default.
    on_missing : {"raise", "skip"}
        What of ids that the catalog does not know.
    replace : bool
        Whether a file of that name may be replaced.
    block : int
        Tracks in memory at a time.

    Raises
    ------
    UnknownTrack, BadFactors
        Of ids; nothing is written.
    InvalidOption
        No such format, the file is there, its folder is not, or no ids are left.
    ExtraMissing
        pyarrow, for Parquet, is not installed.
    """
    target = Path(path)
    kind = kind or target.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise InvalidOption(f"{target} has no known format: choose of {', '.join(FORMATS)}")
    if target.is_dir() or (target.exists() and not replace):
        raise InvalidOption(
            f"{target} is there already: choose another name, or let it be replaced"
        )
    if not target.parent.is_dir():
        raise InvalidOption(f"the folder {target.parent} is missing: make it first")
    wanted = require_ids(sound, ids, on_missing=on_missing)
    if ids is not None and len(wanted) == 0:
        raise InvalidOption(f"ids names no track of the catalog: {target} is not written")
    dim = sound.model.dim
    write = {"parquet": _write_parquet, "npz": _write_npz, "csv": _write_csv}[kind]
    with atomic_write(target) as file:
        write(file, stream_tracks(sound, wanted, block=block), len(wanted), dim)
    return len(wanted)


def _write_parquet(file: BinaryIO, blocks: Blocks, count: int, dim: int) -> None:
    del count
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ExtraMissing(
            "pyarrow is not installed: `pip install soundalike[parquet]`, or choose npz or csv"
        ) from error
    numbers = {"year": pa.int64(), "id": pa.int64()}
    schema = pa.schema(
        [
            *(
                (name, numbers.get(name, pa.string() if name in TEXTS else pa.float64()))
                for name in ("id", *METADATA)
            ),
            ("vector", pa.list_(pa.float32())),
        ]
    )
    with pq.ParquetWriter(file, schema) as writer:
        for rows, vectors in blocks:
            offsets = np.arange(0, vectors.size + 1, dim, dtype=np.int32)
            lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors.ravel()))
            columns = pa.Table.from_pandas(rows, preserve_index=False)
            writer.write_table(columns.append_column("vector", lists).cast(schema))


def _write_npz(file: BinaryIO, blocks: Blocks, count: int, dim: int) -> None:
    with ExitStack() as opened, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # An archive takes one entry after the other: columns wait in files beside it.
        folder = Path(file.name).parent
        columns = {
            name: opened.enter_context(tempfile.TemporaryFile(dir=folder))
            for name in ("id", *METADATA)
        }
        kinds: dict[str, np.dtype[Any]] = {}
        with _array_entry(archive, "vectors", np.dtype("<f4"), (count, dim)) as entry:
            for rows, vectors in blocks:
                entry.write(np.ascontiguousarray(vectors, "<f4").data)
                for name, column in columns.items():
                    values = _as_array(name, rows[name])
                    kinds[name] = np.promote_types(kinds.get(name, values.dtype), values.dtype)
                    np.save(column, values)
        for name, column in columns.items():
            end = column.tell()
            column.seek(0)
            label = "ids" if name == "id" else name
            with _array_entry(archive, label, kinds[name], (count,)) as entry:
                while column.tell() < end:
                    entry.write(np.load(column).astype(kinds[name]).tobytes())


@contextmanager
def _array_entry(
    archive: zipfile.ZipFile, name: str, kind: np.dtype[Any], shape: tuple[int, ...]
) -> Iterator[IO[bytes]]:
    """An array of an npz archive, whose content is written in parts."""
    header = {"descr": kind.str, "fortran_order": False, "shape": shape}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array_header_2_0(entry, header)
        yield entry


def _as_array(name: str, column: pd.Series[Any]) -> NDArray[Any]:
    """A column of numbers, NaN where unknown, or of text, "" where unknown."""
    if name == "id":
        return column.to_numpy(np.int64)
    if name in TEXTS:
        return np.array(column.fillna("").tolist(), dtype=np.str_)
    return column.to_numpy(np.float64, na_value=np.nan)


def _write_csv(file: BinaryIO, blocks: Blocks, count: int, dim: int) -> None:
    del count
    import pandas as pd

    names = [f"v{number}" for number in range(dim)]
    header = pd.DataFrame(columns=["id", *METADATA, *names])
    file.write(header.to_csv(index=False).encode())
    for rows, vectors in blocks:
        table = pd.concat([rows, pd.DataFrame(vectors, columns=names)], axis=1)
        file.write(table.to_csv(index=False, header=False).encode())
