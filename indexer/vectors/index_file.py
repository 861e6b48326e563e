"""An index file and its sidecar, which holds its stamp, length and checksum.

``NAME`` holds the bytes of the index, ``NAME.stamp`` one line of JSON: which catalog, model and
change the index holds, its facts, and the length and BLAKE2b checksum of ``NAME``; the last field
is the checksum of the line itself. No index format known to us notices a flipped byte, so nothing
is handed to a parser before both checksums hold.

Both files are written under other names, forced to disk and renamed, the index first. A crash in
between leaves a sidecar that does not fit its index, which is noticed like any damage.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from indexer.errors import IndexFileError
from indexer.filesystem import atomic_write, fsync_file
from indexer.vectors.base import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = "soundalike vector index"
_VERSION = 1
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Sidecar:
    """The contents of a sidecar.

    Attributes
    ----------
    stamp : Stamp
    dim : int
        Length of a vector.
    vectors : int
        How many there are.
    facts : dict
        What else the index wants to know of itself when it is opened; JSON values.
    length : int
        Of the index file, in bytes.
    checksum : str
        BLAKE2b of the index file, 32 bytes in hexadecimal.
    """

    stamp: Stamp
    dim: int
    vectors: int
    facts: dict[str, Any]
    length: int
    checksum: str


class DigestWriter:
    """A file being written, with its length and checksum so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self.length = 0

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        self._file.write(piece)
        self._digest.update(piece)
        self.length += len(piece)

    def checksum(self) -> str:
        """Return the checksum in hexadecimal."""
        return self._digest.hexdigest()


def write(
    path: str | Path,
    fill: Callable[[DigestWriter], None],
    *,
    stamp: Stamp,
    dim: int,
    vectors: int,
    facts: dict[str, Any],
) -> None:
    """Replace an index file and its sidecar, each whole or not at all.

    Parameters
    ----------
    path : str or Path
    fill : callable
        Writes the bytes of the index.
    stamp, dim, vectors, facts
        As in `Sidecar`.

    Raises
    ------
    IndexFileError
        The files cannot be written; those that were there before are left.
    """
    index_path = Path(path)
    stamp_path = sidecar_path(path)
    try:
        # The inner one is renamed first, and only when both are on disk.
        with (
            atomic_write(stamp_path, draft=_draft(stamp_path)) as stamp_file,
            atomic_write(index_path, draft=_draft(index_path)) as index_file,
        ):
            writer = DigestWriter(index_file)
            fill(writer)
            sidecar = Sidecar(stamp, dim, vectors, facts, writer.length, writer.checksum())
            stamp_file.write(_encode(sidecar))
            fsync_file(stamp_file)
    except OSError as error:
        raise IndexFileError(
            f"The vector index {index_path} cannot be written ({error.strerror or error}): "
            "make room or set its permissions; nothing is lost, it is made from the catalog"
        ) from error


def read(path: str | Path, parse: Callable[[BinaryIO], Any]) -> tuple[Sidecar, Any]:
    """Verify an index file and only then parse it.

    Returns
    -------
    sidecar : Sidecar
    parsed : object
        What `parse` made of the file.

    Raises
    ------
    IndexFileError
        A file is missing, cannot be read, is cut short or damaged, or has another format.
    """
    sidecar = read_sidecar(path)
    try:
        with Path(path).open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            if length != sidecar.length:
                raise IndexFileError(
                    f"The vector index {path} has {length} bytes instead of {sidecar.length}: "
                    "rebuild it from the catalog"
                )
            digest = hashlib.file_digest(
                file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)
            ).hexdigest()
            if digest != sidecar.checksum:
                raise IndexFileError(
                    f"The vector index {path} is damaged (its checksum is wrong): "
                    "rebuild it from the catalog"
                )
            file.seek(0)
            return sidecar, parse(file)
    except OSError as error:
        raise _unreadable(Path(path), error) from error


def read_sidecar(path: str | Path) -> Sidecar:
    """Return the contents of an index file's sidecar; the index itself is not read.

    Raises
    ------
    IndexFileError
        It is missing, cannot be read, is damaged, or has another format.
    """
    stamp_path = sidecar_path(path)
    try:
        line = stamp_path.read_bytes()
    except OSError as error:
        raise _unreadable(stamp_path, error) from error
    damaged = IndexFileError(
        f"The vector index stamp {stamp_path} is damaged: rebuild the index from the catalog"
    )
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise damaged from error
    if not isinstance(fields, dict) or fields.get("magic") != _MAGIC:
        raise damaged
    if fields.get("version") != _VERSION:
        raise IndexFileError(
            f"The vector index stamp {stamp_path} has the format {fields.get('version')!r}, this "
            f"program reads {_VERSION}: rebuild the index from the catalog"
        )
    try:
        sidecar = Sidecar(
            stamp=Stamp(**fields["stamp"]),
            dim=fields["dim"],
            vectors=fields["vectors"],
            facts=fields["facts"],
            length=fields["length"],
            checksum=fields["checksum"],
        )
    except (KeyError, TypeError) as error:
        raise damaged from error
    # Written again it must come out the same, byte by byte: that covers every flip, also one in
    # the checksum of the line, and spellings that JSON takes for equal.
    if _encode(sidecar) != line:
        raise damaged
    return sidecar


def sidecar_path(path: str | Path) -> Path:
    """Return where the sidecar of an index file is."""
    return Path(f"{path}.stamp")


def remove_drafts(path: str | Path) -> None:
    """Remove what a killed process left of an index file that it was writing."""
    for target in (Path(path), sidecar_path(path)):
        with suppress(OSError):
            _draft(target).unlink(missing_ok=True)


def _encode(sidecar: Sidecar) -> bytes:
    fields = {"magic": _MAGIC, "version": _VERSION, **asdict(sidecar)}
    body = json.dumps(fields, sort_keys=True)
    digest = hashlib.blake2b(body.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return (json.dumps({**fields, "zz_line": digest}, sort_keys=True) + "\n").encode()


def _draft(path: Path) -> Path:
    # One name a file, not a new one each time: a killed run leaves one draft, not many.
    return path.with_name(path.name + ".draft")


def _unreadable(path: Path, error: OSError) -> IndexFileError:
    if isinstance(error, FileNotFoundError):
        return IndexFileError(f"There is no {path}: rebuild the vector index from the catalog")
    return IndexFileError(
        f"{path} cannot be read ({error.strerror or error}): "
        "set its permissions, or rebuild the vector index from the catalog"
    )
