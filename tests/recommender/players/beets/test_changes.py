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


def test_a_copy_that_is_no_item_is_forgotten() -> None:
    changes = Changes()
    changes.copied(b"/a", b"/stick/a")
    changes.copied(b"/b", b"/library/b")
    changes.drop_exports(lambda path: path == b"/library/b")
    assert changes.copies == {b"/library/b": b"/b"}


def test_what_can_be_done_later_depends_on_what_happened() -> None:
    changes = Changes()
    changes.removed(b"/a")
    assert changes.remedy() == "`soundalike remove` takes out what was removed"
    changes.imported([b"/b"])
    assert "beet soundalike-index" in changes.remedy()
    assert "soundalike remove" in changes.remedy()
    moved = Changes()
    moved.moved(b"/a", b"/b")
    assert moved.remedy() == "`beet soundalike-index` indexes it later"
