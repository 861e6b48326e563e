"""What becomes of files that beets touches several times."""

from __future__ import annotations

from recommender.players.beets.changes import Changes


def test_a_file_goes_by_its_last_path() -> None:
    changes = Changes()
    assert not changes
    changes.imported([b"/a"])
    changes.moved(b"/a", b"/b")
    changes.moved(b"/b", b"/c")
    assert changes
    assert changes.present == {b"/c"}
    assert changes.origins == {b"/c": b"/a"}
    changes.removed(b"/c")
    assert (changes.present, changes.origins) == (set(), {})
    assert changes.gone == {b"/a", b"/c"}


def test_an_item_that_is_imported_again_is_not_gone() -> None:
    changes = Changes()
    changes.removed(b"/a")
    changes.imported([b"/a", b"/b"])
    assert (changes.present, changes.gone) == ({b"/a", b"/b"}, set())
