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

from indexer.errors import SoundalikeError
from indexer.filesystem import spellings
from recommender.commands.terminal.progress import progress_bar
from recommender.players.beets.changes import Changes
from recommender.retrieval.lookup import count_noun
from recommender.retrieval.where import Where

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from beets.library import Album, Item, Library

    from indexer.indexing.pipeline import Summary
    from recommender.engine import Recommender

CATALOG = "soundalike.db"
"""File of the catalog, beside beets' configuration, unless that names another one."""


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
            self.register_listener("item_copied", self._item_copied)
            self.register_listener("item_linked", self._item_copied)
            self.register_listener("item_hardlinked", self._item_copied)
            self.register_listener("item_reflinked", self._item_copied)
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

    def _item_copied(self, source: bytes, destination: bytes, **_others: Any) -> None:
        with self._lock:
            self._changes.copied(source, destination)

    def _item_removed(self, item: Item, **_others: Any) -> None:
        with self._lock:
            self._changes.removed(item.path)

    def _after_write(self, path: bytes, **_others: Any) -> None:
        with self._lock:
            self._changes.rewritten.add(path)

    def _follow(self, lib: Library, **_others: Any) -> None:
        """Bring the catalog up to date with what was collected."""
        with self._lock:
            changes, self._changes = self._changes, Changes()
        try:
            changes.drop_exports(lambda path: lib.items(PathQuery("path", path)).get() is not None)
            summary = self._apply(changes) if changes else None
        except KeyboardInterrupt:
            self._log.error("interrupted ({})", changes.remedy())
            raise
        except Exception as error:  # noqa: BLE001 - an import that succeeded stays one
            self._log.error("{} ({})", error, changes.remedy())
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
                on_wait=lambda error: self._log.warning("{} (waiting)", error),
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
        if options.count < 1:
            raise UserError(f"--count {options.count}: name 1 or more")
        wanted = list(lib.items(arguments))
        if not wanted:
            raise UserError("no item matches")
        with self._open_catalog() as recommender:
            items = _items_by_track(recommender, lib.items())
            seeds = _items_by_track(recommender, wanted)
            if not seeds:
                raise UserError("the catalog holds none of these: beet soundalike-index")
            if len(seeds) < len(wanted):
                missing = count_noun(len(wanted) - len(seeds), "item")
                self._log.warning("{} not in the catalog: beet soundalike-index", missing)
            answer = recommender.similar_to_tracks(
                list(seeds),
                n=options.count,
                where=Where(among=tuple(items)),
                more=options.more,
                less=options.less,
            )
        for neighbour in answer:
            item, score = items[neighbour.id], neighbour.score
            item.soundalike_score = "" if score is None else f"{score:.3f}"
            item.soundalike_cosine = f"{neighbour.cosine:.3f}"
            print_(format(item))

    def _duplicates(self, lib: Library, options: Any, arguments: list[str]) -> None:
        from recommender.collection.duplicates import find_duplicates

        with self._open_catalog() as recommender, progress_bar() as show:
            items = _items_by_track(recommender, lib.items(arguments))
            found = find_duplicates(
                recommender,
                workers=self.config["workers"].get(int),
                on_progress=lambda done, total: show("aligning", done, total),
            )
        number = 0
        for group in found.groups:
            own = [items[track.id] for track in group.tracks if track.id in items]
            if len(own) < 2 or (options.sure and not group.sure):
                continue
            number += 1
            for item in own:
                item.soundalike_group = str(number)
                item.soundalike_kind = "sure" if group.sure else "likely"
                print_(format(item))

    @contextmanager
    def _open_catalog(self) -> Iterator[Recommender]:
        from recommender.engine import Recommender

        with _one_sentence_errors(), Recommender.open(self.catalog) as recommender:
            yield recommender


@contextmanager
def _one_sentence_errors() -> Iterator[None]:
    """Let beets print errors of soundalike as it prints its own."""
    try:
        yield
    except SoundalikeError as error:
        raise UserError(str(error)) from error


def _items_by_track(recommender: Recommender, items: Iterable[Item]) -> dict[int, Item]:
    """Those of the items whose files are tracks of the catalog, by the tracks' ids."""
    # The catalog follows some of the links on the way to a file, beets none.
    spelled = [(item, spellings(item.path)) for item in items]
    found = recommender.ids_of_paths([path for _, paths in spelled for path in paths])
    known = (
        (item, next((found[path] for path in paths if path in found), None))
        for item, paths in spelled
    )
    return {track: item for item, track in known if track is not None}
