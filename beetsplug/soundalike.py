"""What sounds alike in a library of beets: imports are indexed, similar items and duplicates found.

beets loads this where `plugins` in its configuration names `soundalike`.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import beets
from beets.dbcore.query import PathQuery
from beets.exceptions import UserError
from beets.plugins import BeetsPlugin
from beets.ui import Subcommand, print_

from indexer.errors import SoundalikeError, UnknownTrack
from recommender.commands.terminal.progress import progress_bar
from recommender.players.beets.changes import Changes
from recommender.retrieval.lookup import count_noun, require_present

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from beets.library import Album, Item, Library

    from indexer.catalog.records import Track
    from indexer.indexing.pipeline import Summary
    from recommender.engine import Recommender

CATALOG = "soundalike.db"
"""File of the catalog, beside beets' configuration, unless that names another one."""
WIDER = 4
"""Neighbours that beets does not have are passed over: so many times more are looked through."""


class SoundalikePlugin(BeetsPlugin):
    """Keeps a catalog of the library and asks it.

    What is imported, moved, retagged and removed is collected, and followed by one index run after
    the import, or at the end of the command. Whatever goes wrong then is logged and nothing more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.config.add({"catalog": None, "auto": True, "workers": 0})
        self._lock = threading.Lock()  # beets imports in several threads
        self._changes = Changes()
        if self.config["auto"].get(bool):
            self.register_listener("item_imported", self._item_imported)
            self.register_listener("album_imported", self._album_imported)
            self.register_listener("item_moved", self._item_moved)
            self.register_listener("item_removed", self._item_removed)
            self.register_listener("after_write", self._after_write)
            self.register_listener("import", self._follow)
            self.register_listener("cli_exit", self._follow)

    def commands(self) -> list[Subcommand]:
        """The commands that this adds to `beet`."""
        similar = Subcommand("similar", help="list the items that sound most like others")
        similar.parser.set_usage("%prog [options] QUERY\nExample: %prog -n 5 artist:nina feeling")
        similar.parser.add_option("-n", "--count", type=int, default=10, help="how many: 10")
        similar.parser.add_option(
            "--more", action="append", default=[], help="with more of this word: calm, piano"
        )
        similar.parser.add_option("--less", action="append", default=[], help="with less of it")
        duplicates = Subcommand(
            "soundalike-duplicates", help="list items that sound the same, in groups"
        )
        duplicates.parser.add_option(
            "--sure", action="store_true", help="only copies of one recording"
        )
        index = Subcommand("soundalike-index", help="index items that the catalog does not hold")
        for command, function in (
            (similar, self._similar),
            (duplicates, self._duplicates),
            (index, self._index),
        ):
            command.func = function
            if command is not index:
                command.parser.add_path_option()
                command.parser.add_format_option()
        return [similar, duplicates, index]

    @property
    def catalog(self) -> str:
        """The address of the catalog."""
        view = self.config["catalog"]
        if view.get() is None:
            default = os.path.join(beets.config.config_dir(), CATALOG)
            return os.environ.get("SOUNDALIKE_CATALOG") or default
        address: str = view.as_str()
        return address if "://" in address else view.as_filename()

    def _item_imported(self, item: Item, **_others: Any) -> None:
        with self._lock:
            self._changes.imported([item.path])

    def _album_imported(self, album: Album, **_others: Any) -> None:
        paths = [item.path for item in album.items()]
        with self._lock:
            self._changes.imported(paths)

    def _item_moved(self, source: bytes, destination: bytes, **_others: Any) -> None:
        with self._lock:
            self._changes.moved(source, destination)

    def _item_removed(self, item: Item, **_others: Any) -> None:
        with self._lock:
            self._changes.removed(item.path)

    def _after_write(self, path: bytes, **_others: Any) -> None:
        with self._lock:
            self._changes.rewritten.add(path)

    def _follow(self, **_others: Any) -> None:
        """Bring the catalog up to date with what was collected."""
        with self._lock:
            changes, self._changes = self._changes, Changes()
        try:
            summary = self._apply(changes) if changes else None
        except Exception as error:  # noqa: BLE001 - an import that succeeded stays one
            self._log.error("{} (`beet soundalike-index` indexes it later)", error)
            self._log.debug("traceback", exc_info=True)
            return
        if summary is not None and summary.failed:
            failed = count_noun(summary.failed, "file")
            self._log.warning("{} not indexed: see `soundalike failures`", failed)

    def _apply(self, changes: Changes) -> Summary | None:
        from recommender.players.beets.following import follow

        with progress_bar() as show:
            return follow(
                self.catalog,
                changes,
                workers=self.config["workers"].get(int),
                on_progress=lambda now: show("indexing", now.done, now.total),
            )

    def _index(self, lib: Library, _options: Any, arguments: list[str]) -> None:
        with _one_sentence_errors():
            changes = Changes()
            changes.imported([item.path for item in lib.items(arguments)])
            summary = self._apply(changes)
        if summary is None:
            raise UserError("no item with a file matches")
        counts = {name: count for name, count in summary.counts().items() if count}
        print_(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))

    def _similar(self, lib: Library, options: Any, arguments: list[str]) -> None:
        if not arguments:
            raise UserError("say which items: beet similar QUERY")
        items = list(lib.items(arguments))
        if not items:
            raise UserError("no item matches")
        with self._open_catalog() as recommender:
            seeds = list(self._tracks_of(recommender, items))
            if not seeds:
                raise UserError("the catalog holds none of these: beet soundalike-index")
            answer = recommender.similar_to_tracks(
                seeds, n=WIDER * options.count, more=options.more, less=options.less
            )
            tracks = recommender.tracks([one.id for one in answer])
        shown = 0
        for neighbour, track in zip(answer, tracks, strict=True):
            item = _item_of(lib, track)
            if item is not None and shown < options.count:
                score = neighbour.score
                item.soundalike_score = "" if score is None else f"{score:.3f}"
                item.soundalike_cosine = f"{neighbour.cosine:.3f}"
                print_(format(item))
                shown += 1

    def _duplicates(self, lib: Library, options: Any, _arguments: list[str]) -> None:
        from recommender.collection.duplicates import find_duplicates

        with self._open_catalog() as recommender, progress_bar() as show:
            found = find_duplicates(
                recommender,
                workers=self.config["workers"].get(int),
                on_progress=lambda done, total: show("aligning", done, total),
            )
        number = 0
        for group in found.groups:
            items = [item for item in (_item_of(lib, track) for track in group.tracks) if item]
            if len(items) < 2 or (options.sure and not group.sure):
                continue
            number += 1
            for item in items:
                item.soundalike_group = str(number)
                item.soundalike_kind = "sure" if group.sure else "likely"
                print_(format(item))

    @contextmanager
    def _open_catalog(self) -> Iterator[Recommender]:
        from recommender.engine import Recommender

        with _one_sentence_errors(), Recommender.open(self.catalog) as recommender:
            yield recommender

    def _tracks_of(self, recommender: Recommender, items: Sequence[Item]) -> Iterator[Track]:
        for item in items:
            try:
                yield require_present(recommender.track(item.path))
            except UnknownTrack as error:
                self._log.warning("{}", error)


@contextmanager
def _one_sentence_errors() -> Iterator[None]:
    """Let beets print errors of soundalike as it prints its own."""
    try:
        yield
    except SoundalikeError as error:
        raise UserError(str(error)) from error


def _item_of(lib: Library, track: Track) -> Item | None:
    """The item whose file a track is; None where beets does not have it."""
    paths = [track.path]
    # The catalog follows links on the way to a file, beets does not.
    resolved = os.path.realpath(lib.directory)
    if track.path.startswith(os.path.join(resolved, b"")):
        paths.append(os.path.join(lib.directory, os.path.relpath(track.path, resolved)))
    found = (lib.items(PathQuery("path", path)).get() for path in paths)
    return next((item for item in found if item is not None), None)
