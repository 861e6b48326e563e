"""The plugin in real beets: each command a process of its own, over one library."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from indexer.errors import CatalogLocked
from indexer.library import Library
from recommender import Recommender
from recommender.players.beets import following
from recommender.players.beets.changes import Changes
from tests.waiting import wait_until

pytest.importorskip("beets")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
CONFIGURATION = """
directory: {folder}/link
library: {folder}/library.db
plugins: soundalike
import:
    copy: yes
paths:
    default: $artist/$title
    singleton: $artist/$title
    comp: $artist/$title
soundalike:
    catalog: {catalog}
    auto: {auto}
    workers: {workers}
"""

Beet = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of beets' configuration; its library is reached by a link."""
    made = tmp_path_factory.mktemp("beets")
    (made / "library").mkdir()
    (made / "link").symlink_to(made / "library")
    return made


@pytest.fixture(scope="module")
def beet(folder: Path) -> Beet:
    """Run `beet` with these arguments; returns what it prints, on stderr too.

    What it has `said` so far can be seen from other threads.
    """

    def run(
        *arguments: object, status: int = 0, said: list[str] | None = None, **options: object
    ) -> str:
        settings = {"auto": "yes", "workers": 2, "catalog": "sounds.db", **options}
        text = CONFIGURATION.format(folder=folder, **settings)
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        lines = [] if said is None else said
        with subprocess.Popen(
            [sys.executable, "-m", "beets", *map(str, arguments)],
            env={**os.environ, "BEETSDIR": str(folder), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            while line := process.stdout.readline():
                lines.append(line)
        assert process.returncode == status, lines
        return "".join(lines)

    return run


@pytest.fixture(scope="module")
def imported(beet: Beet, folder: Path, original_songs: Path) -> Path:
    """The catalog after an import of six songs."""
    beet("import", "-A", "-q", original_songs / "album 0")
    return folder / "sounds.db"


def tracks(catalog: Path) -> dict[str, int]:
    """Ids of the tracks of a catalog by "artist - title"."""
    with Recommender.open(catalog) as recommender:
        found = recommender.tracks(recommender.ids())
    return {f"{track.artist} - {track.title}": track.id for track in found}


def test_what_is_imported_is_indexed(imported: Path, folder: Path) -> None:
    assert sorted(tracks(imported)) == sorted(f"Band {n // 4} - Song {n}" for n in range(6))
    with Recommender.open(imported) as recommender:
        for track in recommender.tracks(recommender.ids()):
            assert track.path.startswith(bytes(folder / "library") + b"/Band ")


def test_similar_items_come_in_the_format_of_beets_with_their_scores(
    imported: Path, beet: Beet
) -> None:
    said = beet("similar", "-n", "3", "-f", "$soundalike_cosine|$title", "title::^Song.5$")
    lines = [line.split("|") for line in said.splitlines()]
    with Recommender.open(imported) as recommender:
        answer = recommender.similar_to_track("song 5", 3)
        expected = [[f"{one.cosine:.3f}", one.title] for one in answer]
    assert lines == expected
    one = beet("similar", "-n", "1", "title::^Song.5$").strip()
    assert one == f"{answer[0].artist} -  - {answer[0].title}"
    assert "say which items" in beet("similar", status=1)
    more = beet("similar", "-n", "1", "--more", "nonsense", "title::^Song.5$", status=1)
    assert "nonsense" in more
    assert "name 1 or more" in beet("similar", "-n", "-3", "title::^Song.5$", status=1)


def test_files_that_beets_does_not_have_take_no_answer_from_it(
    beet: Beet, imported: Path, folder: Path, original_songs: Path
) -> None:
    """As after a folder of downloads was indexed and then imported by copying."""
    other = folder / "other.db"
    command = [sys.executable, "-m", "recommender", "index", "--catalog", str(other)]
    subprocess.run([*command, str(original_songs)], check=True, cwd=ROOT)
    subprocess.run([*command, str(folder / "library")], check=True, cwd=ROOT)
    asked = ("similar", "-n", "5", "-f", "$title", "title::^Song.5$")
    expected = beet(*asked)
    assert expected.count("Song") >= 3
    assert beet(*asked, catalog="other.db") == expected


def test_a_folder_that_was_indexed_through_a_link_in_it_is_known_and_not_indexed_again(
    beet: Beet, imported: Path, folder: Path
) -> None:
    """As where folders of other disks are linked into the library."""
    disk = (folder / "library" / "Band 1").rename(folder / "disk")
    (folder / "library" / "Band 1").symlink_to(disk)
    catalog = folder / "linked.db"
    try:
        command = [sys.executable, "-m", "recommender", "index", "--catalog", str(catalog)]
        subprocess.run([*command, str(folder / "library")], check=True, cwd=ROOT)
        before = tracks(catalog)
        said = beet("similar", "-n", "9", "-f", "$title", "title::^Song.5$", catalog=catalog.name)
        assert "Song 4" in said
        assert beet("soundalike-index", catalog=catalog.name) == "6 unchanged\n"
        beet("modify", "-y", "title::^Song.4$", "comments=x", catalog=catalog.name)
        assert tracks(catalog) == before
        with closing(Library.open(catalog)) as library:
            assert library.catalog.counts()["present"] == 6
            assert library.catalog.counts()["missing"] == 0
    finally:
        (folder / "library" / "Band 1").unlink()
        disk.rename(folder / "library" / "Band 1")


def test_items_that_are_moved_retagged_or_removed_are_followed(imported: Path, beet: Beet) -> None:
    before = tracks(imported)
    beet("modify", "-y", "title::^Song.3$", "title=New name", "artist=Other band")
    after = tracks(imported)
    assert after["Other band - New name"] == before["Band 0 - Song 3"]
    assert len(after) == 6
    with Recommender.open(imported) as recommender:
        path = recommender.track(before["Band 0 - Song 3"]).path
        assert path.endswith(b"/library/Other band/New name.ogg")
        assert os.path.isfile(path)
    beet("remove", "-f", "title::^Song.4$")
    beet("remove", "-d", "-f", "title::^Song.2$")
    assert before.keys() - tracks(imported).keys() == {
        "Band 0 - Song 3",
        "Band 1 - Song 4",
        "Band 0 - Song 2",
    }
    left = [before["Band 1 - Song 4"], before["Band 0 - Song 2"]]
    with closing(Library.open(imported)) as library:
        found = library.catalog.tracks(left)
    assert [str(found[number].status) for number in left] == ["removed", "missing"]


def test_a_removal_waits_for_whoever_writes_to_the_catalog(beet: Beet, imported: Path) -> None:
    before = tracks(imported)
    writer = Library.open_for_writing(imported)
    with ThreadPoolExecutor(1) as aside:
        said: list[str] = []
        removing = aside.submit(beet, "remove", "-f", "format::^WAV", said=said)
        try:
            wait_until(lambda: removing.done() or any("(waiting)" in line for line in said))
            assert not removing.done(), said
        finally:
            writer.close()
        removing.result()
    assert before.keys() - tracks(imported).keys() == {"Band 0 - Song 0"}


def test_a_removal_that_waits_in_vain_says_what_takes_it_out(
    imported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "WAIT_S", 0.0)
    changes, waits = Changes(), []
    changes.removed(b"/library/1.mp3")
    with closing(Library.open_for_writing(imported)), pytest.raises(CatalogLocked):
        following.follow(str(imported), changes, on_wait=waits.append)
    assert len(waits) == 1


def test_what_is_exported_does_not_come_in(beet: Beet, imported: Path, tmp_path: Path) -> None:
    with Recommender.open(imported) as recommender:
        before = list(recommender.ids())
    beet("move", "-e", "-d", tmp_path, "title::^Song.1$")
    assert len(list(tmp_path.rglob("*.flac"))) == 1
    with Recommender.open(imported) as recommender:
        assert list(recommender.ids()) == before


def test_items_that_are_copied_are_followed(beet: Beet, imported: Path, tmp_path: Path) -> None:
    before = tracks(imported)
    beet("move", "-c", "-d", tmp_path, "title::^Song.1$")
    after = tracks(imported)
    assert after.keys() == before.keys()
    said = beet("similar", "-n", "5", "-p", "title::^Song.5$")
    assert any(line.startswith(str(tmp_path)) for line in said.splitlines()), said
    assert "Song 5" in beet("similar", "-n", "5", "title::^Song.1$")


def test_a_negative_number_of_workers_is_one_sentence(beet: Beet, imported: Path) -> None:
    wrong = "-1 workers: name 1 or more"
    assert wrong in beet("modify", "-y", "title::^Song.1$", "comments=x", workers=-1)
    assert wrong in beet("soundalike-duplicates", workers=-1, status=1)


def test_an_import_stays_one_when_it_cannot_be_indexed(
    beet: Beet, folder: Path, original_songs: Path, tmp_path: Path
) -> None:
    whole = folder / "sounds.db"
    aside = whole.rename(folder / "aside.db")
    whole.write_text("this is no catalog")
    more = tmp_path / "more"
    more.mkdir()
    os.link(original_songs / "album 0" / "04.opus", more / "again.opus")
    said = beet("import", "-A", "-q", "-s", more)
    assert "sounds.db" in said
    assert "beet soundalike-index" in said
    assert "Band 1" in beet("ls", "title::^Song.4$")
    refused = beet("similar", "title::^Song.5$", status=1)
    assert "sounds.db is not a database: name another catalog" in refused
    assert "--catalog" not in said + refused
    aside.replace(whole)
    assert beet("soundalike-index", "title::^Song.4$") == "1 new\n"
    assert "Band 1 - Song 4" in tracks(whole)
    assert "no item with a file" in beet("soundalike-index", "title:none", status=1)


def test_duplicates_are_listed_in_groups(
    imported: Path, beet: Beet, original_songs: Path, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    data = (original_songs / "album 0" / "01.flac").read_bytes()
    (copies / "copy.flac").write_bytes(data)
    beet("import", "-A", "-q", "-s", "--set=title=Copy", copies)
    said = beet(
        "soundalike-duplicates", "--sure", "-f", "$soundalike_group $soundalike_kind $title"
    )
    assert sorted(said.splitlines()) == ["1 sure Copy", "1 sure Song 1"]


def test_without_auto_nothing_is_indexed_by_itself(beet: Beet, imported: Path) -> None:
    before = tracks(imported)
    beet("remove", "-f", "title::^Song.5$", auto="no")
    assert tracks(imported) == before
