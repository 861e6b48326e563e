"""Files on servers: over http on loopback, and in fsspec's file system in memory."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing
from pathlib import Path
from socket import SO_REUSEADDR, SOL_SOCKET, socket
from threading import Barrier
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.analysis.arrow_rows import analyse_paths
from indexer.analysis.fetching import Fetcher
from indexer.catalog.storing import Stored
from indexer.errors import (
    AnalysisError,
    ExtraMissing,
    FetchFailed,
    InvalidOption,
    LibraryUnreachable,
    NotAudio,
)
from indexer.filesystem import has_vanished, resolve_path
from indexer.indexing.executor import Batching, Progress
from indexer.indexing.importing import import_analyses
from indexer.indexing.pipeline import Options, Summary, index_paths
from indexer.indexing.remote_scan import MOST_DEPTH
from indexer.indexing.scan import as_scanned, scan
from indexer.library import Library
from indexer.remote_files import version_of
from tests import sounds
from tests.catalogs import present_names
from tests.dask_cluster import Cluster
from tests.remote_folder import RemoteFolder, remote_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.analysis.pools import AnalysisPool


@pytest.fixture
def server(songs: Path) -> Iterator[RemoteFolder]:
    """The twelve songs on a web server."""
    with remote_folder(songs) as running:
        yield running


@pytest.fixture
def in_memory(original_songs: Path) -> Iterator[str]:
    """Six songs in the file system in memory of this process."""
    files = fsspec.filesystem("memory")
    files.put(str(original_songs / "album 0"), "/bucket/album 0", recursive=True)
    yield "memory://bucket/album 0"
    files.rm("/bucket", recursive=True)


def run(
    catalog: Path | str, *paths: str | Path, pool: AnalysisPool | None, **options: Any
) -> Summary:
    with closing(Library.open_for_writing(catalog, create=True)) as library:
        return index_paths(library, paths, options=Options(**options), pool=pool)


def vectors(catalog: Path | str) -> dict[str, np.ndarray]:
    with closing(Library.open(catalog)) as library:
        assert library.verify().sound
        assert library.index is not None
        names = present_names(library.catalog)
        rows = library.index.reconstruct(np.array([row[0] for row in names], dtype=np.int64))
        return {row[1]: vector for row, vector in zip(names, rows, strict=True)}


def failures(catalog: Path) -> list[Any]:
    with closing(Library.open(catalog)) as library:
        return list(library.catalog.failures())


def memfds() -> int:
    """Files in memory that this process has open."""
    return sum("memfd:soundalike" in _target(name) for name in os.listdir("/proc/self/fd"))


def _target(descriptor: str) -> str:
    """What a descriptor is open on; empty once another thread has closed it."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:
        return ""


def test_a_folder_on_a_web_server_is_indexed_as_one_of_this_machine(
    address: str, server: RemoteFolder, original_catalog: Path, pool: AnalysisPool
) -> None:
    summary = run(address, server.url, pool=pool)
    assert (summary.stored[Stored.NEW], summary.failed) == (12, 0)
    remote, local = vectors(address), vectors(original_catalog)
    assert list(remote) == list(local)
    assert all((remote[key] == local[key]).all() for key in local)
    assert memfds() == 0
    server.asked.clear()
    assert run(address, pool=pool).unchanged == 12
    assert {command for command, path in server.asked if "." in path} == {"HEAD"}


@pytest.mark.slow
def test_changed_vanished_new_and_returned_files_are_seen(
    tmp_path: Path, server: RemoteFolder, songs: Path, pool: AnalysisPool
) -> None:
    catalog, first = tmp_path / "catalog.db", songs / "album 0" / "00.wav"
    run(catalog, server.url, pool=pool)
    shutil.copy(songs / "album 0" / "02.mp3", songs / "album 1" / "a b é%20&#?.mp3")
    shutil.move(first, tmp_path / "away.wav")
    times = (songs / "album 1" / "06.wav").stat()
    tags = {"title": "Song 6", "artist": "Band 1"}
    sounds.write_audio(songs / "album 1" / "06.wav", sounds.music(10.6, seed=99), tags=tags)
    os.utime(songs / "album 1" / "06.wav", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (songs / "album 1" / "06.wav").stat().st_size == times.st_size
    summary = run(catalog, pool=pool)
    assert summary.stored == {Stored.NEW: 1, Stored.CHANGED: 1}
    assert (summary.missing, summary.unchanged) == (1, 10)
    assert "album 1/a b é%20&#?.mp3" in vectors(catalog)
    shutil.move(tmp_path / "away.wav", songs / "album 0" / "moved.wav")
    assert run(catalog, pool=pool).stored == {Stored.MOVED: 1}
    (songs / "album 0" / "moved.wav").rename(songs / "album 1" / "again.wav")
    summary = run(catalog, pool=pool)
    assert (summary.stored, summary.missing) == ({Stored.MOVED: 1}, 0)
    assert len(vectors(catalog)) == 13


@pytest.mark.slow
def test_a_server_that_cannot_be_reached_leaves_tracks_as_they_are(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    with remote_folder(songs) as server:
        run(catalog, server.url, pool=pool)
        server.faults["album 1/"] = 503
        (songs / "album 0" / "00.wav").unlink()
        summary = run(catalog, pool=pool)
        assert (summary.missing, summary.unchanged) == (1, 5)
        (note,) = summary.notes()
        assert note.endswith(
            "album%201/ cannot be reached (the server answers 503 Service Unavailable): its 6 "
            "tracks are left as they are"
        )
        server.faults = {"/": 404}
        assert run(catalog, pool=pool).notes()[0].endswith("its 11 tracks are left as they are")
    with socket() as closed:
        # Bound, so that no other server gets the port, and without anybody who listens there.
        closed.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        closed.bind(server.server_address)
        summary = run(catalog, pool=pool)
        assert (summary.missing, summary.unchanged) == (0, 0)
        assert "cannot be reached (Connect call failed" in summary.notes()[0]
        assert len(vectors(catalog)) == 11
        with closing(Library.open(catalog)) as library:
            assert library.catalog.roots() == [server.url.encode()]
        with pytest.raises(LibraryUnreachable, match="cannot be reached"):
            run(tmp_path / "new.db", server.url, pool=pool)


@pytest.mark.slow
def test_a_file_that_cannot_be_fetched_is_a_failure_and_tried_again(
    tmp_path: Path, server: RemoteFolder, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    # The listing tells nothing of them, so HEAD is answered and GET is not.
    server.faults |= {"01.flac": "refuse", "02.mp3": "cut"}
    summary = run(catalog, server.url, pool=pool)
    assert (summary.stored[Stored.NEW], summary.failed) == (10, 2)
    first, second = sorted(failures(catalog), key=lambda failure: failure.path)
    assert (first.stage, first.reason) == ("fetch", "fetch failed")
    assert first.message == (
        f"{server.url}album%200/01.flac cannot be fetched (the server answers 500 Internal "
        "Server Error): the next run tries it again"
    )
    assert second.stage == "fetch"
    assert memfds() == 0
    assert run(catalog, pool=pool).failed == 2
    server.faults.clear()
    summary = run(catalog, pool=pool)
    assert (summary.stored[Stored.NEW], summary.failed, summary.unchanged) == (2, 0, 10)
    assert failures(catalog) == []


def test_what_is_wrong_with_a_file_is_said_of_its_address(
    tmp_path: Path, server: RemoteFolder, songs: Path, pool: AnalysisPool
) -> None:
    sounds.text_file(songs / "album 0" / "bad.mp3")
    outcome = pool.result(pool.submit(_analyse, f"{server.url}album 0/bad.mp3".encode()))
    assert isinstance(outcome, NotAudio)
    assert str(outcome).startswith(f"'{server.url}album 0/bad.mp3' is in no known")


def _analyse(worker: Any, path: bytes) -> Any:
    from indexer.analysis.pools import analyse_file

    return analyse_file(worker, path)


def test_an_object_store_is_indexed(
    tmp_path: Path, in_memory: str, original_songs: Path, pool: AnalysisPool
) -> None:
    catalog, files = tmp_path / "catalog.db", fsspec.filesystem("memory")
    assert run(catalog, in_memory, pool=pool).stored == {Stored.NEW: 6}
    assert sorted(vectors(catalog)) == sorted(os.listdir(original_songs / "album 0"))
    assert run(catalog, pool=pool).unchanged == 6
    files.rm("/bucket/album 0/01.flac")
    files.put(str(original_songs / "album 1" / "08.mp3"), "/bucket/album 0/02.mp3")
    files.put(str(original_songs / "album 1" / "09.ogg"), "/bucket/album 0/below/09.OGG")
    summary = run(catalog, pool=pool)
    assert summary.stored == {Stored.CHANGED: 1, Stored.NEW: 1}
    assert (summary.missing, summary.unchanged) == (1, 4)


def test_local_and_remote_folders_and_files_are_one_scan(
    tmp_path: Path, in_memory: str, server: RemoteFolder, songs: Path
) -> None:
    paths = [
        str(songs / "album 1"),
        server.url + "album%200",
        server.url,
        in_memory,
        server.url + "album%201/06.wav",
        str(songs),
    ]
    found = scan([as_scanned(path) for path in paths])
    files = list(found.files)
    assert [file.path for file in files] == sorted({file.path for file in files})
    assert len(files) == 30
    assert not found.unreachable
    roots = {file.root for file in files}
    assert roots == {
        os.fsencode(songs),
        os.fsencode(songs / "album 1"),
        server.url.encode(),
        server.url.encode() + b"album%200/",
        in_memory.encode() + b"/",
    }


def test_hidden_folders_and_circles_of_links_are_passed_over(
    tmp_path: Path, server: RemoteFolder, songs: Path
) -> None:
    for folder in (".hidden", "@eaDir", "without"):
        shutil.copytree(songs / "album 0", songs / folder)
    (songs / "without" / ".nomedia").touch()
    (songs / "album 0" / "._02.mp3").touch()
    (songs / "cover.jpg").touch()
    found = scan([server.url.encode()])
    assert len(list(found.files)) == 12
    assert found.other_files == 1
    assert len(list(scan([server.url.encode()], include_hidden=True).files)) == 24
    server.faults["again/"] = server.faults["album 1/"] = "circle"
    found = scan([server.url.encode()])
    assert len(list(found.files)) == 6
    assert len(found.unreachable) == 1
    assert len([path for _, path in server.asked if path.endswith("again/")]) <= 2 * MOST_DEPTH
    stopped = scan([server.url.encode()], stop=lambda: True)
    assert list(stopped.files) == []
    assert stopped.broken_off


def test_bytes_held_at_once_are_bounded_and_given_back(server: RemoteFolder, songs: Path) -> None:
    for number in range(12):
        (songs / f"{number}.mp3").write_bytes(bytes(300_000))
    (songs / "large.mp3").write_bytes(bytes(1_000_001))
    fetcher = Fetcher(threads=12, timeout_s=20, most_bytes=1_000_000)
    held: list[tuple[int, int]] = []
    # While three files wait for each other there is room for no more.
    three = Barrier(3, lambda: held.append((fetcher.held_bytes, memfds())), timeout=30)

    def work(path: bytes) -> int:
        three.wait()
        return os.stat(path).st_size

    names = [*(f"{number}.mp3" for number in range(12)), "large.mp3", "none.mp3"]
    futures = [fetcher.submit(work, (server.url + name).encode()) for name in names]
    *sizes, large, absent = [future.result(60) for future in futures]
    assert sizes == [300_000] * 12
    assert held == [(900_000, 3)] * 4
    assert isinstance(large, FetchFailed)
    assert "larger than 0 MiB" in str(large)
    assert isinstance(absent, FetchFailed)
    assert "(it is not there)" in str(absent)
    fetcher.close(at_once=False)
    assert (fetcher.held_bytes, memfds()) == (0, 0)


def test_the_copy_has_the_size_and_version_of_the_scan(server: RemoteFolder) -> None:
    (file, *_) = scan([server.url.encode()]).files
    fetcher = Fetcher(threads=1, timeout_s=20)
    status = fetcher.submit(os.stat, file.path).result(30)
    fetcher.close(at_once=False)
    assert not isinstance(status, AnalysisError)
    assert (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns)


def test_a_server_that_stalls_costs_its_time_and_an_end_does_not_wait_for_it(
    server: RemoteFolder, songs: Path
) -> None:
    server.faults["02.mp3"] = "stall"
    url = f"{server.url}album%200/02.mp3".encode()
    fetcher = Fetcher(threads=1, timeout_s=1)
    began = time.monotonic()
    outcome = fetcher.submit(os.stat, url).result(30)
    assert isinstance(outcome, FetchFailed)
    assert "(the server takes too long)" in str(outcome)
    assert time.monotonic() - began < 30
    fetcher.close(at_once=False)
    patient = Fetcher(threads=1, timeout_s=300)
    waiting = patient.submit(os.stat, url)
    time.sleep(0.5)
    began = time.monotonic()
    patient.close(at_once=True)
    assert time.monotonic() - began < 60
    assert waiting.done()
    # What fetched it closes its end a moment later, in a thread of its own.
    limit = time.monotonic() + 30
    while memfds() and time.monotonic() < limit:
        time.sleep(0.01)
    assert memfds() == 0


def test_a_run_that_is_interrupted_ends_and_goes_on_later(
    tmp_path: Path, server: RemoteFolder, pool: AnalysisPool
) -> None:
    catalog = tmp_path / "catalog.db"
    done = 0

    def count(progress: Progress) -> None:
        nonlocal done
        done = progress.done

    with closing(Library.open_for_writing(catalog, create=True)) as library:
        summary = index_paths(
            library,
            [server.url],
            options=Options(batching=Batching(files=1)),
            pool=pool,
            on_progress=count,
            interrupted=lambda: done >= 3,
        )
        assert 0 < summary.waiting < 12
        assert index_paths(library, pool=pool).stored[Stored.NEW] == summary.waiting
    assert len(vectors(catalog)) == 12
    assert memfds() == 0


@pytest.mark.slow
def test_machines_of_a_cluster_fetch_for_themselves(tmp_path: Path, server: RemoteFolder) -> None:
    cluster = Cluster(tmp_path / "cluster")
    catalog, options = tmp_path / "catalog.db", {"dask": str(cluster.scheduler_file)}
    try:
        cluster.add("one")
        server.faults["02.mp3"] = "cut"
        summary = run(catalog, server.url, pool=None, **options)
    finally:
        cluster.close()
    assert (summary.stored[Stored.NEW], summary.failed, summary.waiting) == (11, 1, 0)
    assert failures(catalog)[0].stage == "fetch"


@pytest.mark.slow
def test_rows_of_remote_files_are_imported(
    tmp_path: Path, server: RemoteFolder, pool: AnalysisPool
) -> None:
    paths = [server.url + name for name in ("album%200/02.mp3", "album%201/08.mp3", "none.mp3")]
    server.faults["08.mp3"] = "cut"
    rows = pa.Table.from_batches(analyse_paths(paths, root=server.url, pool=pool))
    assert rows["reason"].to_pylist() == [None, "fetch failed", "fetch failed"]
    pq.write_table(rows, tmp_path / "rows.parquet")
    catalog = tmp_path / "catalog.db"
    for _ in range(2):
        with closing(Library.open_for_writing(catalog, create=True)) as library:
            imported = import_analyses(library, [tmp_path / "rows.parquet"])
        assert (imported.failed + imported.known, imported.refused) == (1, 1)
    server.faults.clear()
    assert run(catalog, pool=pool).stored == {Stored.NEW: 11}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://user:secret@host/music", "https://host/music would be stored with a password"),
        ("https://host/music?page=2", "leave out ?, # and ::"),
        ("https://host/a.zip::/music", "leave out ?, # and ::"),
        ("file:///music", "is on this machine: name its path"),
    ],
)
def test_addresses_that_cannot_be_stored_are_one_sentence(url: str, message: str) -> None:
    with pytest.raises(InvalidOption) as raised:
        resolve_path(url)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidOption, match="check the address"):
        scan([b"nosuch://bucket/music/"])
    if "s3" not in fsspec.available_protocols() or not _lacks("s3fs"):
        pytest.skip("s3fs is installed")
    with pytest.raises(ExtraMissing, match="s3fs"):
        scan([b"s3://bucket/music/"])


def _lacks(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is None


def test_a_url_of_a_folder_ends_in_a_slash() -> None:
    for given, stored in (
        ("HTTPS://host", b"https://host/"),
        ("https://radio.au", b"https://radio.au/"),
        ("s3://bucket/prefix", b"s3://bucket/prefix/"),
        ("s3://bucket/album.mp3/", b"s3://bucket/album.mp3/"),
        ("s3://bucket/a.MP3", b"s3://bucket/a.MP3"),
        ("/music", b"/music"),
    ):
        assert as_scanned(given) == stored
    assert not has_vanished(b"https://host/gone.mp3")


def test_versions_differ_with_etag_or_time() -> None:
    from datetime import UTC, datetime

    time_ = datetime(2026, 1, 2, tzinfo=UTC)
    versions = [
        version_of({"ETag": '"a"'}),
        version_of({"ETag": '"b"', "LastModified": time_}),
        version_of({"LastModified": time_}),
        version_of({"Last-Modified": "Sun, 29 Nov 2026 16:57:13 GMT"}),
        version_of({"mtime": 1_700_000_000.5}),
        version_of({}),
    ]
    assert len(set(versions)) == len(versions)
    assert all(0 <= version < 1 << 63 for version in versions)
    assert versions[2] == 1_767_312_000 * 10**9
    assert version_of({"ETag": '"a"', "mtime": 5}) == versions[0]
