from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from indexer.catalog.file_queries import FailedFile, KnownFile
from indexer.catalog.status import TrackStatus
from indexer.indexing.plan import paths_to_compare, plan
from indexer.indexing.scan import scan

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: bytes = b"sound") -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return os.fsencode(path)


def found(*paths: Path) -> list[bytes]:
    return [file.path for file in scan([os.fsencode(path) for path in paths]).files]


def known_as(path: bytes, status: TrackStatus, *, track_id: int = 1) -> list[KnownFile]:
    try:
        state = os.stat(path)
        size, mtime = state.st_size, state.st_mtime_ns
    except FileNotFoundError:
        size, mtime = 5, 0
    return [KnownFile(path, track_id, size, mtime, status)]


def test_audio_files_come_in_sorted_order_and_others_are_counted(tmp_path: Path) -> None:
    second = write(tmp_path / "b" / "1.MP3")
    first = write(tmp_path / "a" / "2.flac")
    write(tmp_path / "a" / "cover.jpg")
    write(tmp_path / "a" / "._2.flac")
    result = scan([os.fsencode(tmp_path)])
    assert [file.path for file in result.files] == [first, second]
    assert result.other_files == 1


def test_a_file_named_itself_counts_whatever_its_ending(tmp_path: Path) -> None:
    path = write(tmp_path / "cover.jpg")
    assert found(tmp_path / "cover.jpg") == [path]


def test_a_loop_of_links_ends_and_each_folder_is_walked_once(tmp_path: Path) -> None:
    path = write(tmp_path / "album" / "1.mp3")
    (tmp_path / "album" / "loop").symlink_to(tmp_path)
    (tmp_path / "z.mp3").symlink_to(tmp_path / "z.mp3")
    assert found(tmp_path) == [path]
    assert found(tmp_path, tmp_path / "album") == [path]


def test_names_stay_bytes(tmp_path: Path) -> None:
    name = b"new\nline 'quote\" \xf0\x9f\x8e\xb5 \xff.mp3"
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(b"x")
    assert found(tmp_path) == [path]


def test_a_path_that_does_not_exist_is_unreachable(tmp_path: Path) -> None:
    gone = os.fsencode(tmp_path / "gone")
    assert scan([gone]).unreachable == {gone: "No such file or directory"}


def test_hidden_folders_trash_and_thumbnails_are_passed_over_unless_asked_for(
    tmp_path: Path,
) -> None:
    kept = [write(tmp_path / "album" / "1.mp3"), write(tmp_path / "z" / ".2.mp3")]
    folders = (".Trash-1000/files", "#recycle", "$RECYCLE.BIN", ".stversions", "a/@eaDir")
    hidden = [write(tmp_path / name / "x.mp3") for name in (*folders, "lost+found", ".hidden")]
    assert found(tmp_path) == kept
    everything = scan([os.fsencode(tmp_path)], include_hidden=True)
    assert {file.path for file in everything.files} == {*kept, *hidden}
    assert found(tmp_path / ".hidden") == [hidden[-1]]


def test_a_folder_with_a_marker_and_what_globs_match_are_passed_over(tmp_path: Path) -> None:
    kept = [write(tmp_path / "a" / "1.mp3"), write(tmp_path / "b" / "drafts" / "4.mp3")]
    write(tmp_path / "ring" / ".nomedia")
    write(tmp_path / "ring" / "tones" / "2.mp3")
    write(tmp_path / "a" / "drafts" / "3.mp3")
    write(tmp_path / "a" / "take (1).wav")
    write(tmp_path / "b" / "deep" / "x.TMP.mp3")
    write(tmp_path / ".soundalikeignore", b"# ours\n\na/drafts/\n*.TMP.mp3\n")
    write(tmp_path / "a" / ".soundalikeignore", b"\xef\xbb\xbftake*\r\n")
    assert found(tmp_path) == kept
    assert found(tmp_path / "a" / "take (1).wav") != []


def test_a_track_that_was_moved_to_the_trash_has_vanished(tmp_path: Path) -> None:
    song = write(tmp_path / "1.mp3")
    write(tmp_path / "2.mp3")
    known = known_as(song, TrackStatus.PRESENT)
    (tmp_path / ".Trash-1000").mkdir()
    (tmp_path / "1.mp3").rename(tmp_path / ".Trash-1000" / "1.mp3")
    assert plan(scan([os.fsencode(tmp_path)]), known, []).vanished == [1]


def test_a_disk_below_a_folder_that_is_not_mounted_any_more_loses_nothing(tmp_path: Path) -> None:
    disk = os.fsencode(tmp_path / "disk")
    write(tmp_path / "1.mp3")
    song = os.path.join(disk, b"2.mp3")
    known = known_as(song, TrackStatus.PRESENT)
    for make in (lambda: None, (tmp_path / "disk").mkdir):
        make()
        folder = [os.fsencode(tmp_path)]
        todo = plan(scan(folder), known, [], mounts=[disk])
        assert (todo.vanished, todo.left_alone, todo.mounts) == ([], {disk: 1}, [disk])
        assert plan(scan(folder), known, [], mounts=[disk], empty_is_gone=True).vanished == [1]
        assert plan(scan(folder), known, []).vanished == [1]
    write(tmp_path / "disk" / "3.mp3")  # its files were moved to the disk above
    todo = plan(scan([os.fsencode(tmp_path)]), known, [], mounts=[disk])
    assert (todo.vanished, todo.left_alone, todo.mounts) == ([1], {}, [])


def test_a_mounted_disk_is_noticed(tmp_path: Path) -> None:
    """`/proc/sys` and the like are mounts that every Linux has; nothing in them is sound."""
    if not os.path.ismount("/dev/shm"):
        pytest.skip("there is no mount at /dev/shm")
    (tmp_path / "memory").symlink_to("/dev/shm")
    result = scan([os.fsencode(tmp_path)])
    list(result.files)
    assert result.mounts == [os.fsencode(tmp_path / "memory")]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (TrackStatus.PRESENT, ([], [], 1)),
        (TrackStatus.MISSING, ([], [1], 0)),
        (TrackStatus.REMOVED, ([], [], 0)),
    ],
)
def test_an_unchanged_file_is_not_analysed(
    tmp_path: Path, status: TrackStatus, expected: tuple[list[bytes], list[int], int]
) -> None:
    path = write(tmp_path / "1.mp3")
    todo = plan(scan([os.fsencode(tmp_path)]), known_as(path, status), [])
    assert ([f.path for f in todo.analyse], todo.returned, todo.unchanged) == expected


def test_a_changed_file_is_analysed_again(tmp_path: Path) -> None:
    path = write(tmp_path / "1.mp3")
    known = known_as(path, TrackStatus.PRESENT)
    write(tmp_path / "1.mp3", b"other sound")
    todo = plan(scan([os.fsencode(tmp_path)]), known, [])
    assert [file.path for file in todo.analyse] == [path]


def test_a_removed_file_comes_back_only_when_it_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "1.mp3")
    known = known_as(path, TrackStatus.REMOVED)
    assert plan(scan([path]), known, [], named={path}).analyse
    assert not plan(scan([os.fsencode(tmp_path)]), known, []).analyse


def test_a_failed_file_is_tried_again_only_when_it_changes_or_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "1.mp3")
    folder = [os.fsencode(tmp_path)]
    (file,) = scan(folder).files
    failed = [FailedFile(path, file.size, file.mtime_ns)]
    assert plan(scan(folder), [], failed).failed_before == 1
    assert plan(scan(folder), [], failed, retry_failed=True).analyse == [file]
    assert plan(scan(folder), [], [FailedFile(path, 1, 1)]).analyse == [file]


def test_a_file_that_is_gone_has_vanished_but_only_below_walked_folders(tmp_path: Path) -> None:
    write(tmp_path / "here" / "1.mp3")
    gone = os.fsencode(tmp_path / "here" / "2.mp3")
    elsewhere = os.fsencode(tmp_path / "other" / "3.mp3")
    known = known_as(gone, TrackStatus.PRESENT)
    known += known_as(elsewhere, TrackStatus.PRESENT, track_id=2)
    todo = plan(scan([os.fsencode(tmp_path / "here")]), known, [FailedFile(gone, 1, 1)])
    assert todo.vanished == [1]
    assert todo.forgotten == [gone]


def test_a_folder_out_of_reach_or_empty_loses_nothing(tmp_path: Path) -> None:
    share = tmp_path / "share"
    song = os.fsencode(share / "1.mp3")
    known = known_as(song, TrackStatus.PRESENT)
    offline = plan(scan([os.fsencode(share)]), known, [])
    assert (offline.vanished, offline.left_alone) == ([], {os.fsencode(share): 1})
    share.mkdir()
    empty = plan(scan([os.fsencode(share)]), known, [])
    assert (empty.vanished, empty.left_alone) == ([], {os.fsencode(share): 1})
    assert plan(scan([os.fsencode(share)]), known, [], empty_is_gone=True).vanished == [1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_an_unreadable_folder_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path / "open" / "1.mp3")
    song = write(tmp_path / "closed" / "2.mp3")
    (tmp_path / "closed").chmod(0)
    known = known_as(song, TrackStatus.PRESENT)
    try:
        todo = plan(scan([os.fsencode(tmp_path)]), known, [])
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert todo.vanished == []


def test_files_come_in_the_order_of_the_bytes_of_their_paths(tmp_path: Path) -> None:
    names = ("a/b/1.mp3", "a/b.mp3", "a b/1.mp3", "a.mp3", "a-/1.mp3", "a/b!/1.mp3", "\xe9/1.mp3")
    paths = [write(tmp_path / name) for name in names]
    assert found(tmp_path) == sorted(paths)
    several = [tmp_path / "a" / "b", tmp_path / "a.mp3", tmp_path, tmp_path / "a b"]
    assert found(*several) == sorted(paths)


def test_what_several_folders_reach_belongs_to_the_first_one_named(tmp_path: Path) -> None:
    album, hidden = tmp_path / "album", tmp_path / "album" / ".hidden" / "deep"
    song, secret = write(album / "1.mp3"), write(hidden / "2.mp3")

    def roots(*paths: Path) -> dict[bytes, bytes]:
        return {file.path: file.root for file in scan([os.fsencode(path) for path in paths]).files}

    outer, inner, below = (os.fsencode(path) for path in (tmp_path, album, hidden))
    assert roots(tmp_path, album) == {song: outer}
    assert roots(album, tmp_path) == {song: inner}
    assert roots(tmp_path, hidden, album) == {song: outer, secret: below}
    assert roots(album / "1.mp3", tmp_path) == {song: inner}
    assert roots(tmp_path, album / "1.mp3") == {song: outer}


def test_a_folder_out_of_reach_keeps_no_other_whose_name_begins_alike(tmp_path: Path) -> None:
    write(tmp_path / "1.mp3")
    known = known_as(os.fsencode(tmp_path / "disk 2" / "2.mp3"), TrackStatus.PRESENT)
    known += known_as(os.fsencode(tmp_path / "disk" / "3.mp3"), TrackStatus.PRESENT, track_id=2)
    disk = os.fsencode(tmp_path / "disk")
    todo = plan(scan([disk, os.fsencode(tmp_path)]), known, [])
    assert (todo.vanished, todo.left_alone) == ([1], {disk: 1})


def test_a_walk_that_was_broken_off_says_nothing_about_what_has_vanished(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.mp3")
    write(tmp_path / "b" / "2.mp3")
    known = known_as(os.fsencode(tmp_path / "0.mp3"), TrackStatus.PRESENT)
    known += known_as(os.fsencode(tmp_path / "b" / "3.mp3"), TrackStatus.PRESENT, track_id=2)
    answers = iter((False, False, True))
    todo = plan(scan([os.fsencode(tmp_path)], stop=lambda: next(answers)), known, [])
    assert (len(todo.analyse), todo.vanished, todo.left_alone) == (1, [], {})


def test_what_is_below_other_roots_need_not_be_compared() -> None:
    folders = [b"/m/a", b"/m/b/c", b"/n"]
    paths = [b"/l/1", b"/m/a", b"/m/a/1", b"/m/b/1", b"/m/b/c/1", b"/m/d/1", b"/n/1", b"/o", b"/m2"]
    for roots, left_out in (
        ([b"/m"], {b"/m/b/1", b"/m/d/1"}),
        ([b"/m", b"/m/b", b"/n/1"], {b"/m/b/1", b"/m/d/1"}),
        ([b"/"], {b"/l/1", b"/m/b/1", b"/m/d/1", b"/o", b"/m2"}),
        ([], set()),
    ):
        ranges = paths_to_compare(roots, folders)
        assert ranges == sorted(ranges)
        assert all(one[1] < other[0] for one, other in pairwise(ranges))
        kept = {path for path in paths if any(low <= path < high for low, high in ranges)}
        assert kept == set(paths) - left_out
