"""What beets did to its files since the catalog last followed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass
class Changes:
    """Files by what happened to them, as they are called after all of it.

    Attributes
    ----------
    present : set of paths
        Files that were imported.
    origins : dict of path to path
        Where files that were moved lay before.
    copies : dict of path to path
        Files that are copies, which beets has in the stead of what they were copied from.
    rewritten : set of paths
        Files into which tags were written.
    gone : set of paths
        Files that beets does not have any more.
    """

    present: set[bytes] = field(default_factory=set)
    origins: dict[bytes, bytes] = field(default_factory=dict)
    copies: dict[bytes, bytes] = field(default_factory=dict)
    rewritten: set[bytes] = field(default_factory=set)
    gone: set[bytes] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Whether anything happened."""
        return bool(self.present or self.origins or self.copies or self.rewritten or self.gone)

    def remedy(self) -> str:
        """What a person can do about changes that the catalog could not follow."""
        remedies = []
        if self.present or self.origins or self.copies or self.rewritten:
            remedies.append("`beet soundalike-index` indexes it later")
        if self.gone:
            remedies.append("`soundalike remove` takes out what was removed")
        return "; ".join(remedies)

    def imported(self, paths: Iterable[bytes]) -> None:
        """Files were imported, or imported again in the stead of items that were removed."""
        self.present.update(paths)
        self.gone -= self.present

    def moved(self, source: bytes, destination: bytes) -> None:
        """A file was moved, perhaps not for the first time."""
        if source in self.copies:
            self.copies[destination] = self.copies.pop(source)
        else:
            self.origins[destination] = self.origins.pop(source, source)
        if source in self.present:
            self.present.remove(source)
            self.present.add(destination)

    def copied(self, source: bytes, destination: bytes) -> None:
        """A file was copied or linked; beets has the new one from then on, or exported it."""
        self.copies[destination] = source

    def drop_exports(self, is_item: Callable[[bytes], bool]) -> None:
        """Forget the copies that are no item's file."""
        self.copies = {path: before for path, before in self.copies.items() if is_item(path)}

    def removed(self, path: bytes) -> None:
        """An item was removed, with its file or without."""
        self.present.discard(path)
        self.copies.pop(path, None)
        self.gone |= {path, self.origins.pop(path, path)}
