"""Files that clients have added to the library and that are not indexed yet.

What was acknowledged must outlast a crash: a file lies under its name in the uploads folder, and a
note of it (its key), named after its recording, in a hidden folder there, both on disk before
anybody is told. The note is deleted once the catalog knows the file.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.audio.formats import AUDIO_SUFFIXES
from indexer.errors import InvalidOption
from indexer.filesystem import atomic_write, fsync_file

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN = ".soundalike"
"""Folder below the uploads folder, which no scan looks into."""
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class AcceptedFile:
    """A file that is to be indexed.

    Attributes
    ----------
    path : Path
    key : str or None
        The client's own name for the track.
    audio_hash : str
        Of its encoded audio, in hexadecimal: no other file that waits has it.
    """

    path: Path
    key: str | None
    audio_hash: str


class AcceptedFiles:
    """The uploads folder of one server.

    Attributes
    ----------
    folder : Path
        Hidden folder on the same disk, for files that are still coming.

    Raises
    ------
    InvalidOption
        The folder cannot be written, or another server takes uploads into it.
    """

    def __init__(self, uploads: Path) -> None:
        self._uploads = uploads
        self._placing = threading.Lock()
        self.folder = uploads / HIDDEN
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock = (self.folder / "lock").open("a")
        except OSError as error:
            raise InvalidOption(
                f"{uploads} cannot take uploads ({error.strerror}): name another folder"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise InvalidOption(
                f"another server takes uploads into {uploads}: name another folder"
            ) from error
        for part in self.folder.glob(".upload-*"):
            shutil.rmtree(part, ignore_errors=True)
        self._files = {file.path: file for file in self._read_notes()}

    def close(self) -> None:
        """Let another server in."""
        self._lock.close()

    def pending(self) -> list[AcceptedFile]:
        """Files that are not indexed yet."""
        return list(self._files.values())

    def find(self, audio_hash: str) -> AcceptedFile | None:
        """The file with a recording that is not indexed yet."""
        return next((one for one in self.pending() if one.audio_hash == audio_hash), None)

    def accept(
        self, part: Path, *, container: str, key: str | None, audio_hash: str
    ) -> AcceptedFile:
        """Give a file a free name in the uploads folder; it outlasts a crash from then on.

        Returns the one with the same recording where that is not indexed yet.

        Parameters
        ----------
        part : Path
            The file in `folder`, of which another name remains.
        container : str
            Its container as FFmpeg calls it: the name's ending where it has none of audio.

        Raises
        ------
        OSError
            The disk is full or may not be written; nothing was kept.
        """
        with part.open("rb") as file:
            fsync_file(file)
        with self._placing:
            if same := self.find(audio_hash):
                return same
            path = self._place(part, self._note(audio_hash), key, container)
            accepted = AcceptedFile(path, key, audio_hash)
            self._files[path] = accepted
            return accepted

    def _place(self, part: Path, note: Path, key: str | None, container: str) -> Path:
        """Write the note of a file and give it a free name; returns its path."""
        placed: Path | None = None
        try:
            for name in _names(part.name, container):
                path = self._uploads / name
                if os.path.lexists(path):
                    continue
                with atomic_write(note) as file:
                    file.write(json.dumps({"name": name, "key": key}).encode())
                with suppress(FileExistsError):
                    _link(part, path)
                    placed = path
                    break
            _fsync_folder(self._uploads)
        except BaseException:
            for left in (placed, note):
                if left is not None:
                    left.unlink(missing_ok=True)
            raise
        assert placed is not None  # noqa: S101 - there is always another name
        return placed

    def discard(self, accepted: AcceptedFile) -> None:
        """Delete a file that nobody was told to be kept."""
        accepted.path.unlink(missing_ok=True)
        self.forget(bytes(accepted.path))

    def forget(self, path: bytes) -> None:
        """Delete the note of a file, which is indexed."""
        accepted = self._files.pop(Path(os.fsdecode(path)), None)
        if accepted is not None:
            self._note(accepted.audio_hash).unlink(missing_ok=True)

    def _note(self, audio_hash: str) -> Path:
        return self.folder / f"{audio_hash}.json"

    def _read_notes(self) -> Iterator[AcceptedFile]:
        for note in sorted(self.folder.glob("*.json")):
            try:
                said = json.loads(note.read_bytes())
                path = self._uploads / os.path.basename(said["name"])
                found = AcceptedFile(path, said["key"], note.stem)
            except (OSError, ValueError, KeyError, TypeError):
                path = None
            if path is not None and path.is_file():
                yield found
            else:
                note.unlink(missing_ok=True)


def _names(name: str, container: str) -> Iterator[str]:
    """Names for a file, the wanted one first; all with an ending of audio."""
    stem, ending = os.path.splitext(name)
    if os.fsencode(ending[1:].lower()) not in AUDIO_SUFFIXES:
        known = (one for one in container.split(",") if os.fsencode(one) in AUDIO_SUFFIXES)
        stem, ending = name, f".{next(known, 'mka')}"
    yield stem + ending
    number = 2
    while True:
        yield f"{stem} ({number}){ending}"
        number += 1


def _link(part: Path, path: Path) -> None:
    """Give a file a second name, or the only one where the disk knows no links."""
    try:
        path.hardlink_to(part)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        part.rename(path)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
