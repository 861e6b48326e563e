"""Facets in a file beside the catalog: written aside as a whole, then mapped into memory."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.catalog.facet_queries import facet_rows
from indexer.errors import IndexFileError
from indexer.facets.part import RANKS, STRONGEST, Part, PartEncoder, pack_bits, rank_at
from indexer.mapped_arrays import ArrayBlocks, MappedArrays, draft_path, write_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel
    from indexer.facets.merging import Merged
    from indexer.mapped_arrays import ArraySource

_KIND = "facets 1"
STALE_S = 3_600.0
"""Age at which what is left of a file is nobody's any more, not even another machine's."""


def facets_path(catalog: Path) -> Path:
    """Path of a catalog's facets."""
    return catalog.with_suffix(".facets") if catalog.suffix == ".db" else _beside(catalog)


def _beside(catalog: Path) -> Path:
    return catalog.with_name(catalog.name + ".facets")


@dataclass(frozen=True)
class FacetStamp:
    """The state of a catalog that facets are of."""

    catalog: str
    model: str
    change: int


def build_facets(catalog: Catalog, path: Path) -> FacetStamp | None:
    """Write the facets of all present tracks, read block by block; None without a model.

    Raises
    ------
    IndexFileError
        The file cannot be written; one that was there is left.
    """
    model = catalog.active_model()
    if model is None:
        return None
    # The number is read first: what is written meanwhile is seen twice rather than never.
    stamp = FacetStamp(catalog.uuid, model.fingerprint, catalog.changes().facets)
    tags = len(model.tag_names)
    with ExitStack() as stack:
        try:
            spilled = stack.enter_context(_spilling(path.parent))
        except OSError as error:
            raise IndexFileError(
                f"{path} cannot be written ({error.strerror or error}): make room or set its "
                "permissions; nothing is lost, it is made from the catalog"
            ) from error
        encoder = PartEncoder(tags, spilled)
        with catalog.reading() as connection:
            for rows in facet_rows(catalog, connection, model):
                encoder.add(rows)

        def activations() -> Iterator[NDArray[np.uint16]]:
            for tag in range(tags):
                yield np.concatenate(
                    [np.empty(0, np.uint16), *(block[tag] for block in encoder.activations)]
                )[np.newaxis]

        _write(path, encoder.columns(), activations, tags, stamp)
    return stamp


def write_merged(merged: Merged, path: Path, stamp: FacetStamp) -> None:
    """Write two parts as one.

    Raises
    ------
    IndexFileError
    """
    _write(path, merged.columns(), merged.activations, merged.old.tag_count, stamp)


def open_facets(path: Path, model: StoredModel) -> tuple[Part, FacetStamp, MappedArrays]:
    """Map a file of facets.

    Raises
    ------
    IndexFileError
        It is missing, cut short, damaged at its end, of another version or of other tags.
    """
    mapped = MappedArrays.open(path, kind=_KIND)
    part = Part(mapped)
    if part.tag_count != len(model.tag_names):
        raise IndexFileError(f"{path} belongs to another model: make it again from the catalog")
    return part, FacetStamp(**mapped.facts), mapped


def remove_drafts(path: Path) -> None:
    """Remove what killed processes left of facets that they were writing."""
    for draft in path.parent.glob(f"{path.name}.*.draft*"):
        with suppress(OSError):
            # A reader may be writing one just now, on this machine or another.
            process = draft.name.removeprefix(f"{path.name}.").partition(".")[0]
            if _has_ended(process) or time.time() - draft.stat().st_mtime > STALE_S:
                draft.unlink()


def _has_ended(process: str) -> bool:
    """Whether no process of this machine has a number."""
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OverflowError, PermissionError):
        return False
    return False


def _write(
    path: Path,
    columns: Mapping[str, NDArray[Any]],
    activations: Callable[[], Iterable[NDArray[np.uint16]]],
    tags: int,
    stamp: FacetStamp,
) -> None:
    count = len(columns["ids"])
    summary = _Summary(tags, count)
    arrays: dict[str, ArraySource] = {
        **columns,
        "activations": ArrayBlocks(np.dtype("<u2"), (tags, count), summary.of(activations())),
        # Written when all activations have been.
        "tag_counts": summary.counts,
        "levels": summary.levels,
        "strongest": summary.bits,
    }
    # Readers may write at the same time: each writes a file of its own, and the last one stays.
    own = draft_path(path.with_name(f"{path.name}.{os.getpid()}"))
    facts = {"catalog": stamp.catalog, "model": stamp.model, "change": stamp.change}
    try:
        write_arrays(own, arrays, kind=_KIND, facts=facts)
        own.replace(path)
    except OSError as error:
        raise IndexFileError(f"{path} cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            own.unlink(missing_ok=True)


class _Summary:
    """What is to be known of activations as a whole, gathered while they are written."""

    def __init__(self, tags: int, count: int) -> None:
        self.counts = np.zeros((tags, RANKS), np.uint32)
        self.levels = np.zeros(tags, np.uint16)
        self.bits = np.zeros((tags, -(-count // 64)), np.uint64)

    def of(self, activations: Iterable[NDArray[np.uint16]]) -> Iterator[NDArray[np.uint16]]:
        """The activations (1, n) of each tag, as they are."""
        for tag, row in enumerate(activations):
            self.counts[tag] = np.bincount(row[0], minlength=RANKS)
            if row.size:
                self.levels[tag] = rank_at(self.counts[tag].astype(np.int64), 1 - STRONGEST)
            self.bits[tag] = pack_bits(row[0] >= self.levels[tag])
            yield row


@contextmanager
def _spilling(
    folder: Path,
) -> Iterator[Callable[[NDArray[np.uint16]], NDArray[np.uint16]]]:
    """A function that moves blocks of activations to disk, and returns them mapped from there."""
    with tempfile.TemporaryFile(dir=folder) as file:

        def spill(block: NDArray[np.uint16]) -> NDArray[np.uint16]:
            start = file.tell()
            np.ascontiguousarray(block).tofile(file)
            file.flush()
            return np.memmap(file, np.uint16, "r", start, block.shape)

        yield spill
