"""Dataclasses, lists and arrays in one file: an npz archive with their structure as JSON.

Nothing in it is code. Every part has a checksum (CRC-32, by the zip format) that is verified when
it is read.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import BadFactors
from indexer.filesystem import atomic_write
from recommender.cold_start.artist_effects import ArtistEffects
from recommender.cold_start.augmented_factors import AugmentedFactors
from recommender.cold_start.blend import Blend, Scales
from recommender.cold_start.content_features import ContentFeatures
from recommender.cold_start.content_route import ContentRoute, RouteSettings
from recommender.cold_start.factors import CollaborativeModel
from recommender.cold_start.regression.maps import Linear
from recommender.cold_start.route_choice import RouteChoice
from recommender.cold_start.users import Users

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

FORMAT, VERSION = "soundalike hybrid recommender", 1
CLASSES = (
    ArtistEffects,
    AugmentedFactors,
    Blend,
    CollaborativeModel,
    ContentFeatures,
    ContentRoute,
    Linear,
    RouteChoice,
    RouteSettings,
    Scales,
    Users,
)
"""What a saved recommender is made of."""
STRUCTURE = "structure"


def write_state(path: str | os.PathLike[str], state: object) -> None:
    """Write a state; an existing file is replaced when all of it is on disk.

    Parameters
    ----------
    state : object
        Made of dataclasses, dicts, lists, tuples, arrays, numbers, text and None.

    Raises
    ------
    OSError
    TypeError
        Something else is in it.
    """
    arrays: dict[str, NDArray[Any]] = {}
    tree = {"format": FORMAT, "version": VERSION, "state": _encode(state, arrays)}
    arrays[STRUCTURE] = np.frombuffer(json.dumps(tree).encode(), np.uint8)
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_state(path: str | os.PathLike[str]) -> Any:
    """The state that was written to a file.

    Raises
    ------
    BadFactors
        The file is no such file, damaged, or of another version.
    OSError
        It is not there, or cannot be read.
    """
    advice = "save the recommender again"
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            tree = json.loads(arrays[STRUCTURE].tobytes())
            if tree["format"] != FORMAT:
                raise BadFactors(f"{path} holds no hybrid recommender: {advice}")
            if tree["version"] != VERSION:
                raise BadFactors(
                    f"{path} has version {tree['version']}, this program reads {VERSION}: {advice}"
                )
            return _decode(tree["state"], arrays, {one.__name__: one for one in CLASSES})
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
    ) as error:
        if isinstance(error, BadFactors):
            raise
        raise BadFactors(
            f"{path} is no saved hybrid recommender, or damaged ({error}): {advice}"
        ) from error


def _encode(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype != object:
        name = f"array{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, np.ndarray):
        return {"texts": _encode_texts(value.tolist(), arrays)}
    if isinstance(value, (list, tuple)):
        every = list(value)
        if len(every) > 100 and all(one is None or isinstance(one, str) for one in every):
            return {"text_list": _encode_texts(every, arrays)}
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encode(one, arrays) for one in every]}
    if isinstance(value, dict):
        return {"dict": [_encode(list(value), arrays), _encode(list(value.values()), arrays)]}
    if is_dataclass(value) and not isinstance(value, type):
        content = {one.name: _encode(getattr(value, one.name), arrays) for one in fields(value)}
        return {"class": type(value).__name__, "fields": content}
    raise TypeError(f"a {type(value).__name__} cannot be saved")


def _encode_texts(texts: list[str | None], arrays: dict[str, NDArray[Any]]) -> Any:
    """Texts as bytes in a row and their lengths, -1 for None."""
    parts = [None if one is None else one.encode("utf-8", "surrogatepass") for one in texts]
    lengths = np.array([-1 if one is None else len(one) for one in parts], np.int64)
    joined = np.frombuffer(b"".join(one for one in parts if one), np.uint8)
    return [_encode(joined, arrays), _encode(lengths, arrays)]


def _decode(value: Any, arrays: Any, classes: dict[str, type]) -> Any:
    if not isinstance(value, dict):
        return value
    kind, content = next(iter(value.items()))
    if kind == "array":
        return arrays[content]
    if kind in ("texts", "text_list"):
        texts = _decode_texts(*(_decode(one, arrays, classes) for one in content))
        return texts if kind == "text_list" else np.array([*texts, None], object)[:-1]
    if kind == "class":
        named = {name: _decode(one, arrays, classes) for name, one in value["fields"].items()}
        return classes[content](**named)
    parts = [_decode(one, arrays, classes) for one in content]
    if kind == "dict":
        return dict(zip(*parts, strict=True))
    return parts if kind == "list" else tuple(parts)


def _decode_texts(joined: NDArray[np.uint8], lengths: NDArray[np.int64]) -> list[str | None]:
    content, ends = joined.tobytes(), np.cumsum(np.maximum(lengths, 0)).tolist()
    return [
        None if length < 0 else content[end - length : end].decode("utf-8", "surrogatepass")
        for end, length in zip(ends, lengths.tolist(), strict=True)
    ]
