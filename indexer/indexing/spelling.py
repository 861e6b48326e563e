"""Named files and folders, spelled as the catalog has them.

A walk keeps the links below the folder it begins with. Whoever names one of these files by itself
would, with all links followed, index it a second time under another path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.catalog.file_queries import ids_of_paths
from indexer.filesystem import absolute_path, folder_prefix, is_url, spellings
from indexer.indexing.scan import as_scanned

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from indexer.catalog.reader import Catalog


def as_kept(catalog: Catalog, paths: Sequence[str | bytes | os.PathLike[str]]) -> list[bytes]:
    """Each path as `scan` takes it: of its spellings the one in the catalog, or below its folders.

    Where there is none such, all links are followed.

    Raises
    ------
    InvalidOption
        A URL that cannot be stored.
    """
    spelled = [
        [as_scanned(path)] if is_url(absolute_path(path)) else spellings(path)[::-1]
        for path in paths
    ]
    linked = [path for found in spelled if len(found) > 1 for path in found]
    known = ids_of_paths(catalog, linked)
    roots = tuple(folder_prefix(root) for root in catalog.roots())
    return [_kept(found, known, roots) for found in spelled]


def _kept(found: Sequence[bytes], known: dict[bytes, int], roots: tuple[bytes, ...]) -> bytes:
    inside = [path for path in found if folder_prefix(path).startswith(roots)]
    return next(iter([*(path for path in found if path in known), *inside, *found]))
