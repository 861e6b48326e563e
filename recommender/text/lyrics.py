"""Vectors of lyrics, read from files' tags or from text files beside them.

The vectors are kept in a file beside the catalog. It is a cache: deleting it costs only time.
"""

from __future__ import annotations

import codecs
import hashlib
import logging
import os
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexer.analysis.pools import read_file_lyrics, tags_pool
from indexer.errors import AnalysisError
from indexer.filesystem import atomic_write, is_url
from indexer.vectors.unit_vectors import unit_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from indexer.analysis.sandbox import Sandbox
    from indexer.catalog.records import Track
    from recommender.text.text_embedding import TextModel

log = logging.getLogger(__name__)

LARGEST_FILE = 200_000
"""Most bytes read of a lyrics file."""
LONGEST = 20_000
"""Most characters of lyrics that are used."""
PASSAGE = 700
"""Most characters of a passage: about two verses, less than 256 tokens, a small model's limit."""
SAVED_AFTER = 512
"""Tracks embedded between two writes of the cache; an interruption loses at most these."""
MOST_STRANGE = 0.02
"""Largest share of control, private and unassigned characters in a text."""
FEWEST_GUESSED = 8
"""Fewest bytes that an encoding is guessed from."""
ENCODINGS = (
    *("cp1252", "cp1251", "koi8_r", "cp932", "euc_jp", "gb18030", "big5", "cp949"),
    *("cp1250", "iso8859_2", "cp1253", "cp1254", "cp1255", "cp1256"),
)
"""Encodings that lyrics are found in; with more of them, a short text would read in several."""
_FORMAT = "soundalike lyrics 2"
_DIGEST_BYTES = 16
_STAMP = re.compile(r"\[\d{1,3}:\d{1,2}(?:[:.]\d{1,3}){0,2}\]|<\d{1,3}:\d{1,2}(?:[.:]\d{1,3})?>")
_MARK = re.compile(r"\[[^\]]*\]")
_UTF_32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Western words have one or two letters in a row that ASCII has not, and signs only around them.
_ACCENTED = "À-ÏÑ-ÖØ-Ýß-ïñ-öø-ýœŒŠš"
_FOREIGN = re.compile(f"[{_ACCENTED}]{{3}}|[^\\x00-\\x7f{_ACCENTED}\\xa0¡¿«»°´·©®€‘’“”„‚‹›–—…•]")
_SUFFIXES = (b".lrc", b".txt")


@dataclass(frozen=True)
class _Entry:
    """Cache entry of one track's lyrics: stamp of the files, digest of the text, vector."""

    stamp: bytes
    text: bytes
    vector: NDArray[np.float16]
    """(dim,), or (0,) where there are no lyrics."""


class LyricVectors:
    """Vectors of the lyrics of a catalog's tracks, kept in a file beside it.

    Parameters
    ----------
    path : path
        The file; `lyrics_path` names it. One of another text model, or a damaged one, is begun
        again.
    model : TextModel
    """

    def __init__(self, path: str | os.PathLike[str], model: TextModel) -> None:
        self.path = Path(path)
        self._model = model
        self._kept = self._read() if self.path.exists() else {}

    def __len__(self) -> int:
        """Number of tracks with lyrics."""
        return sum(1 for kept in self._kept.values() if len(kept.vector))

    def update(
        self,
        tracks: Sequence[Track],
        *,
        batch: int = 64,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Update the vectors to the files: read changed files, embed changed texts.

        An unchanged file costs a listing of its folder. A run continues where another stopped.

        Parameters
        ----------
        tracks : sequence of Track
            All tracks of the catalog; entries of others are removed.
        on_progress : callable, optional
            Called with the numbers of tracks done and of all, whenever some were embedded.

        Returns
        -------
        int
            Number of tracks embedded.

        Raises
        ------
        ModelCorrupt
        """
        ids = {track.id for track in tracks}
        before = self._kept
        self._kept = {track_id: kept for track_id, kept in before.items() if track_id in ids}
        unsaved = len(self._kept) < len(before)
        folders: dict[bytes, dict[bytes, bytes]] = {}
        waiting: list[tuple[int, bytes, str]] = []
        count = 0
        try:
            with tags_pool() as pool:
                for number, track in enumerate(tracks, start=1):
                    beside = sidecar_files(track.path, folders)
                    stamp = _stamp([track.path, *beside])
                    known = self._kept.get(track.id)
                    if known is None or known.stamp != stamp:
                        unsaved = True
                        text = lyrics_of(track.path, beside, pool) or ""
                        if self._must_embed(track.id, stamp, text):
                            waiting.append((track.id, stamp, text))
                    if len(waiting) == batch or (waiting and number == len(tracks)):
                        self._embed(waiting)
                        count += len(waiting)
                        waiting.clear()
                        if count % SAVED_AFTER == 0:
                            self._write()
                        if on_progress is not None:
                            on_progress(number, len(tracks))
        finally:
            if unsaved:
                self._write()
        return count

    def likeness(
        self, ids: Iterable[int] | NDArray[np.integer], vector: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Cosines (ids,) of a text's unit vector (dim,) with tracks' lyrics; NaN without lyrics."""
        kept = [self._kept.get(int(track_id)) for track_id in ids]
        return np.array(
            [np.nan if one is None or not len(one.vector) else one.vector @ vector for one in kept],
            dtype=np.float32,
        )

    def vector(self, track_id: int) -> NDArray[np.float32] | None:
        """The unit vector (dim,) of a track's lyrics; None where it has none."""
        kept = self._kept.get(track_id)
        return None if kept is None or not len(kept.vector) else kept.vector.astype(np.float32)

    def vector_of_file(self, path: bytes) -> NDArray[np.float32] | None:
        """The unit vector (dim,) of any file's lyrics; None where it has none.

        Raises
        ------
        ModelCorrupt
        """
        with tags_pool() as pool:
            text = lyrics_of(path, sidecar_files(path, {}), pool)
        return None if text is None else self._embed_texts([text])[0]

    def _must_embed(self, track_id: int, stamp: bytes, text: str) -> bool:
        """Whether a track needs a new vector; the entries of others are brought up to date."""
        known = self._kept.get(track_id)
        if known is not None and known.text == _digest_of_lyrics(text):
            self._kept[track_id] = replace(known, stamp=stamp)
            return False
        if not text:
            self._kept[track_id] = _Entry(stamp, _digest_of_lyrics(""), np.empty(0, np.float16))
        return bool(text)

    def _embed(self, waiting: Sequence[tuple[int, bytes, str]]) -> None:
        vectors = self._embed_texts([text for *_, text in waiting])
        for (track_id, stamp, text), vector in zip(waiting, vectors, strict=True):
            self._kept[track_id] = _Entry(stamp, _digest_of_lyrics(text), vector.astype(np.float16))

    def _embed_texts(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Unit vectors (dim,) of texts, each the mean of its passages."""
        passages = [_passages(text) for text in texts]
        vectors = self._model.embed([one for several in passages for one in several])
        ends = np.cumsum([len(several) for several in passages])
        return [unit_mean(part) for part in np.split(vectors, ends[:-1])]

    def _read(self) -> dict[int, _Entry]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="numpy") as file:
                header = file.metadata() or {}
                made_by = (header.get("format"), header.get("text_model"))
                if made_by != (_FORMAT, self._model.fingerprint):
                    return {}
                field = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
            vectors = iter(field["vectors"])
            return {
                track_id: _Entry(
                    stamp.tobytes(),
                    text.tobytes(),
                    next(vectors) if text.any() else np.empty(0, np.float16),
                )
                for track_id, stamp, text in zip(
                    field["ids"].tolist(), field["stamps"], field["texts"], strict=True
                )
            }
        except (SafetensorError, OSError, ValueError, KeyError, StopIteration) as error:
            log.warning("%s cannot be used (%s); lyrics are read again", self.path, error)
            return {}

    def _write(self) -> None:
        from safetensors.numpy import save

        kept = self._kept
        with_lyrics = [one.vector for one in kept.values() if len(one.vector)]
        content = save(
            {
                "ids": np.array(list(kept), dtype=np.int64),
                "stamps": _rows([one.stamp for one in kept.values()]),
                "texts": _rows([one.text for one in kept.values()]),
                "vectors": np.array(with_lyrics, dtype=np.float16),
            },
            {"format": _FORMAT, "text_model": self._model.fingerprint},
        )
        try:
            with atomic_write(self.path) as file:
                file.write(content)
        except OSError as error:
            log.warning(
                "%s cannot be written (%s); the lyrics are read again next time",
                self.path,
                error.strerror,
            )


def _digest_of_lyrics(text: str) -> bytes:
    return _digest(text.encode()) if text else bytes(_DIGEST_BYTES)


def lyrics_path(catalog: str | os.PathLike[str]) -> Path:
    """Path of a catalog's lyric vectors: `catalog.db` -> `catalog.lyrics.safetensors`."""
    path = Path(catalog).resolve()
    name = path.stem if path.suffix == ".db" else path.name
    return path.with_name(f"{name}.lyrics.safetensors")


def lyrics_of(path: bytes, beside: Sequence[bytes], pool: Sandbox[None]) -> str | None:
    """Lyrics of a track: from the .lrc beside it, else its tags, else the .txt beside it.

    Parameters
    ----------
    path : bytes
        The track's file.
    beside : sequence of bytes
        Files of its name with the suffix .lrc or .txt.
    pool : Sandbox
        Worker that reads the tags; made by `indexer.analysis.pools.tags_pool`.

    Returns
    -------
    str or None
        Plain lines without times and marks such as "[Chorus]"; None where there are none,
        or where the files cannot be read.
    """
    timed = [file for file in beside if file.lower().endswith(b".lrc")]
    for file in timed:
        if text := plain_lyrics(file_text(file)):
            return text
    with suppress(AnalysisError):
        # Of a file on a server all would be fetched.
        tagged = None if is_url(path) else pool.run(read_file_lyrics, path)
        if tagged is not None and (text := plain_lyrics(tagged.text)):
            return text
    for file in beside:
        if file not in timed and (text := plain_lyrics(file_text(file))):
            return text
    return None


def plain_lyrics(text: str) -> str:
    """Lyrics without LRC's times and headings, marks such as "[Chorus]", and blank lines."""
    lines = []
    for line in text[: 2 * LONGEST].splitlines():
        sung = _STAMP.sub("", line)
        clean = "".join(
            " " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in sung
        ).strip("\ufeff ")
        if clean and not _MARK.fullmatch(clean):
            lines.append(" ".join(clean.split()))
    return "\n".join(lines)[:LONGEST].strip()


def decode_text(content: bytes) -> str:
    """Text of bytes in an unknown encoding; "" where they are no text.

    It is UTF-8, UTF-16 or UTF-32, with or without a byte order mark, if it is valid; else
    Windows' Western encoding if that gives Western words; else the encoding that
    charset-normalizer, of the extra `lyrics`, detects.
    """
    whole = len(content) < LARGEST_FILE
    marks = {"utf-32": _UTF_32_MARKS, "utf-16": _UTF_16_MARKS}
    marked = next((name for name, mark in marks.items() if content.startswith(mark)), None)
    if marked is not None:
        return _as_text(content, marked) or ""
    if text := _as_text(content, "utf-8-sig", whole=whole):
        return text
    if 0 in content:
        high = content[::2].count(0) > content[1::2].count(0)
        wide = ("utf-32-le", "utf-32-be", "utf-16-be" if high else "utf-16-le")
        return next((text for name in wide if (text := _as_text(content, name))), "")
    western = _as_text(content, "cp1252")
    if western and not _FOREIGN.search(western):
        return western
    return _guess_encoding(content)


def _as_text(content: bytes, encoding: str, *, whole: bool = False) -> str | None:
    """Bytes as an encoding has them, None where it has none or makes no text of them.

    Unless they are whole, they may end inside a character.
    """
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(content, final=whole)
    except UnicodeDecodeError:
        return None
    strange = sum(
        unicodedata.category(letter) in ("Cc", "Cn", "Co") and not letter.isspace()
        for letter in text
    )
    return text if strange <= MOST_STRANGE * len(text) else None


def _guess_encoding(content: bytes) -> str:
    """Text in the one of `ENCODINGS` that its letters fit best; "" where none fits."""
    if len(content) < FEWEST_GUESSED:
        return ""
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return ""
    best = from_bytes(content, cp_isolation=list(ENCODINGS)).best()
    return "" if best is None else _as_text(content, best.encoding) or ""


def _passages(text: str) -> list[str]:
    """The text in pieces of whole lines, each short enough for a text model to see all of it."""
    passages = [""]
    for line in text.splitlines():
        for start in range(0, len(line), PASSAGE):
            piece = line[start : start + PASSAGE]
            if passages[-1] and len(passages[-1]) + len(piece) > PASSAGE:
                passages.append("")
            passages[-1] = f"{passages[-1]}\n{piece}".strip()
    return passages


def sidecar_files(path: bytes, folders: dict[bytes, dict[bytes, bytes]]) -> list[bytes]:
    """The .lrc and .txt files of a track's name; each folder is listed once."""
    folder, name = os.path.split(path)
    if folder not in folders:
        try:
            listed = os.listdir(folder)
        except OSError:
            listed = []
        folders[folder] = {
            one.lower(): one for one in sorted(listed) if one.lower().endswith(_SUFFIXES)
        }
    stem = os.path.splitext(name)[0].lower()
    found = [folders[folder].get(stem + suffix) for suffix in _SUFFIXES]
    return [os.path.join(folder, one) for one in found if one is not None]


def _stamp(files: Sequence[bytes]) -> bytes:
    """Changes when one of the files does."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for file in files:
        try:
            facts = os.stat(file)
            digest.update(b"%s\0%d\0%d\0" % (file, facts.st_size, facts.st_mtime_ns))
        except OSError:
            digest.update(b"%s\0gone\0" % file)
    return digest.digest()


def file_text(path: bytes) -> str:
    """The text of a file; nothing where it cannot be read."""
    try:
        # A pipe of that name would never end.
        if not os.path.isfile(path):
            return ""
        with open(path, "rb") as file:
            return decode_text(file.read(LARGEST_FILE))
    except OSError:
        return ""


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()


def _rows(values: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), _DIGEST_BYTES)
