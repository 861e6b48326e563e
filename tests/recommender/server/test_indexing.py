from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from indexer.catalog.reader import Catalog
from indexer.catalog.sqlite.lock import WriterLock
from indexer.indexing.executor import Progress
from indexer.library import Library
from recommender.server.context import open_context
from recommender.server.indexing import (
    child_process,
    events,
    run_process,
    runs,
    watch_process,
    watching,
)
from recommender.server.indexing.child_process import Child
from recommender.server.indexing.runs import IndexRuns
from recommender.server.indexing.watch_process import changed_folders
from recommender.server.indexing.watching import watch_folders
from recommender.server.settings import Settings
from tests import sounds
from tests.recommender.server.conftest import client_of, start_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.recommender.server.conftest import Running

# A loop that ends while a child process is on its way out leaves its transport to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

WITHIN_S = 60.0
"""Seconds after which something that a test waits for has failed; a busy machine is slow."""


def until(is_true: Callable[[], object], *, seconds: float = WITHIN_S) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.1)


async def eventually(is_true: Callable[[], object], *, seconds: float = WITHIN_S) -> None:
    async with asyncio.timeout(seconds):
        while not is_true():
            await asyncio.sleep(0.02)


def process_state(pid: int) -> tuple[str, int] | None:
    """Letter of the state and parent of a process; None: there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1])


def is_alive(pid: int) -> bool:
    state = process_state(pid)
    return state is not None and state[0] != "Z"


def child_of(pid: int, module: str) -> int:
    """The process that a process has started to run a module."""
    (found,) = (
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if (state := process_state(int(entry.name))) is not None
        and state[1] == pid
        and module.encode() in (entry / "cmdline").read_bytes()
    )
    return found


@contextmanager
def working(index_runs: IndexRuns, work: Awaitable[None]) -> Iterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        index_runs.close()


def new_catalog(folder: Path) -> Path:
    Library.open_for_writing(folder / "catalog.db", create=True).close()
    return folder / "catalog.db"


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Catalog]:
    path = new_catalog(tmp_path)
    with closing(Catalog.open_for_reading(path)) as catalog:
        yield catalog


def test_a_folder_waits_once(empty: Catalog) -> None:
    index_runs = IndexRuns(empty, lambda: [b"/a", b"/b"])
    for folder in (b"/a", b"/a", b"/b", b"/a"):
        index_runs.rescan(folder)
    assert index_runs.state()["queued"] == 2
    assert index_runs.ask([b"/b"], retry_failed=False)
    assert index_runs.state()["queued"] == 2
    assert not index_runs.ask([b"/a"], retry_failed=False)
    index_runs.stop()
    assert index_runs.state()["queued"] == 0


@pytest.mark.parametrize(
    ("path", "deleted", "counts"),
    [
        ("/music/a.mp3", False, True),
        ("/music/a/b.FLAC", True, True),
        ("/music/cover.jpg", False, False),
        ("/music/some folder", True, True),
        ("/music/.hidden/a.mp3", False, False),
        ("/music/#recycle/a.mp3", True, False),
        ("/music/.soundalike/.upload-x/a.mp3", False, False),
        ("/music/catalog.db-wal", True, False),
        ("/music/.catalog.vectors.17", True, False),
        ("/music/catalog.vectors", False, False),
        ("/musical/a.mp3", False, False),
        ("/music", True, True),
    ],
)
def test_changes_that_count(path: str, deleted: bool, counts: bool) -> None:
    found = changed_folders(["/other", "/music"], [(path, deleted)], own="/music/catalog.db")
    assert found == ([1] if counts else [])


def test_a_locked_catalog_is_said_and_a_watched_folder_tried_again(
    empty: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "RETRY_S", 0.1)
    music = tmp_path / "my music"
    music.mkdir()
    index_runs = IndexRuns(empty, lambda: [bytes(music)])

    async def run() -> dict[str, Any]:
        lock = WriterLock(empty.path)
        with working(index_runs, index_runs.work()) as work:
            index_runs.rescan(bytes(music))
            await eventually(lambda: index_runs.state()["last"])
            last: dict[str, Any] = index_runs.state()["last"]
            lock.release()
            await eventually(lambda: index_runs.state()["last"]["outcome"] == "done")
        await work
        return last

    last = asyncio.run(run())
    assert last["outcome"] == "failed"
    assert f"being written by process {os.getpid()}" in last["message"]
    assert index_runs.state()["queued"] == 0
    assert empty.roots() == [bytes(music)]


def test_what_was_asked_for_is_not_tried_again(empty: Catalog, tmp_path: Path) -> None:
    index_runs = IndexRuns(empty, lambda: [bytes(tmp_path / "gone")])

    async def run() -> None:
        with working(index_runs, index_runs.work()) as work:
            index_runs.ask(index_runs.folders, retry_failed=False)
            await eventually(lambda: index_runs.state()["last"])
        await work

    asyncio.run(run())
    state = index_runs.state()
    assert (state["last"]["outcome"], state["queued"]) == ("failed", 0)
    assert "cannot be reached" in state["last"]["message"]


SLOW_RUN = """
import time
from recommender.server.indexing import child_process
child_process.GRACE_S = 0.2
parent = child_process.Parent()
parent.say(progress={"scanned": 2, "total": 2, "done": 0, "failed": 0})
parent.wants_end.wait()
time.sleep(parent.request["file_takes_s"])
parent.say(ended={"counts": {"new": 1, "waiting": 1}, "notes": []})
"""
"""An index run with a file in hand that takes longer than the grace of a process that is to end."""


@pytest.mark.parametrize("is_closed", [False, True])
def test_only_the_end_of_the_server_cuts_off_the_files_in_hand(
    empty: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    (tmp_path / "slow_run.py").write_text(SLOW_RUN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(child_process, "GRACE_S", 0.2)
    request = {"file_takes_s": 3600 if is_closed else 2}
    slow = SimpleNamespace(__name__="slow_run", run_request=lambda *_, **__: request)
    monkeypatch.setattr(runs, "run_process", slow)
    index_runs = IndexRuns(empty, lambda: [bytes(tmp_path)])

    async def run() -> None:
        with working(index_runs, index_runs.work()) as work:
            index_runs.ask(index_runs.folders, retry_failed=False)
            await eventually(lambda: index_runs.state()["state"] == "running")
            if not is_closed:
                index_runs.stop()
                await eventually(lambda: index_runs.state()["last"])
        await work

    asyncio.run(run())
    last = index_runs.state()["last"]
    assert last["outcome"] == "stopped"
    assert last["counts"] == ({} if is_closed else {"new": 1, "waiting": 1})


def test_a_run_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    catalog = new_catalog(tmp_path)
    music = tmp_path / "songs"
    music.mkdir()
    for number in range(12):
        sounds.write_audio(music / f"{number}.wav", sounds.music(4, seed=number))
    code = (
        "import asyncio, sys\n"
        "from recommender.server.indexing import run_process\n"
        "from recommender.server.indexing.child_process import Child\n"
        "async def main():\n"
        "    request = run_process.run_request(sys.argv[1], [sys.argv[2].encode()], {},\n"
        "                                      retry_failed=False)\n"
        "    child = await Child.start(run_process.__name__, request)\n"
        "    async for message in child.messages(): print(message, flush=True)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", code, str(catalog), str(music)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        child = child_of(parent.pid, "run_process")
        parent.kill()
    until(lambda: not is_alive(child), seconds=30)
    with closing(Library.open_for_writing(catalog)) as library:
        assert library.verify().sound


class Told(Child):
    """A process that watches folders, of which the test says what it tells."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            yield await self.said.get()

    async def finish(self) -> None:
        pass


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time goes on when the test says so."""

    now = 0.0

    def time(self) -> float:
        return self.now

    async def wait(self, seconds: float) -> None:
        """Do all that is due, let time go on, and do all that is due by then."""
        for step in (0.0, seconds):
            self.now += step
            for _ in range(20):
                await asyncio.sleep(0)


def watch_by_the_clock(
    steps: Callable[[Clock, Told, list[bytes]], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watch two folders, settled after 2 s, swept after 60 s; steps are given what is looked at."""
    told, rescans = Told(), list[bytes]()

    async def start(*_: object) -> Told:
        return told

    monkeypatch.setattr(Told, "start", start)
    monkeypatch.setattr(watching, "Child", Told)

    async def run() -> None:
        clock = asyncio.get_running_loop()
        assert isinstance(clock, Clock)
        work = asyncio.create_task(
            watch_folders(
                lambda: [b"/a", b"/b"],
                rescans.append,
                catalog=Path("/catalog.db"),
                settle_s=2.0,
                sweep_s=60.0,
            )
        )
        await clock.wait(0)
        await steps(clock, told, rescans)
        work.cancel()

    with asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(run())


def test_a_folder_is_looked_at_when_it_has_been_still_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def steps(clock: Clock, told: Told, rescans: list[bytes]) -> None:
        told.said.put_nowait({"began": True})
        await clock.wait(0)
        assert rescans == [b"/a", b"/b"]
        rescans.clear()
        # A file that is being written is left alone.
        for _ in range(8):
            told.said.put_nowait({"changed": [1]})
            await clock.wait(1.9)
            assert rescans == []
        await clock.wait(0.2)
        assert rescans == [b"/b"]
        await clock.wait(50)
        assert rescans == [b"/b"]

    watch_by_the_clock(steps, monkeypatch)


def test_the_sweep_looks_at_folders_although_watching_has_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def steps(clock: Clock, _told: Told, rescans: list[bytes]) -> None:
        await clock.wait(59)
        assert rescans == []
        await clock.wait(2)
        assert rescans == [b"/a", b"/b"]

    watch_by_the_clock(steps, monkeypatch)


class Watched:
    """Two folders that are watched in this process, and what was to be looked at again.

    Attributes
    ----------
    folder : Path
        The one that changes.
    """

    def __init__(self, folder: Path, beside: Path) -> None:
        self.folder = folder
        self.rescans: list[bytes] = []
        self.why: str | None = None
        self._beside = beside

    async def run(
        self, steps: Callable[[], Awaitable[None]], *, settle_s: float = 0.2, sweep_s: float = 600.0
    ) -> None:
        def note(why: str | None) -> None:
            self.why = why

        watching = asyncio.create_task(
            watch_folders(
                lambda: [bytes(self.folder), bytes(self._beside)],
                self.rescans.append,
                catalog=self.folder / "catalog.db",
                settle_s=settle_s,
                sweep_s=sweep_s,
                on_blind=note,
            )
        )
        try:
            # The first look, once changes are noticed.
            await eventually(lambda: self.rescans)
            self.rescans.clear()
            await steps()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def looks(self) -> int:
        """How often the folder was looked at for what has changed up to now.

        Changes are told in their order: when that of the other folder is told, all before it were.
        """
        (self._beside / str(len(list(self._beside.iterdir())))).mkdir()
        await eventually(lambda: bytes(self._beside) in self.rescans)
        found = self.rescans.count(bytes(self.folder))
        self.rescans.clear()
        return found


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    (tmp_path / "beside").mkdir()
    return Watched(tmp_path / "music", tmp_path / "beside")


def test_the_number_of_files_is_told_as_soon_as_it_is_known() -> None:
    told: list[dict[str, int]] = []

    def note(*, progress: dict[str, int]) -> None:
        told.append(progress)

    say = run_process._throttled(SimpleNamespace(say=note))
    for numbers in ({"scanned": 1}, {"scanned": 9}, {"total": 3}, {"total": 3, "done": 1}):
        say(Progress(**numbers))
    say(Progress(total=3, done=3))
    assert [(one["scanned"], one["total"], one["done"]) for one in told] == [
        (1, 0, 0),
        (0, 3, 0),
        (0, 3, 3),
    ]


def test_a_folder_is_looked_at_after_every_change_of_music(
    watched: Watched, tmp_path: Path
) -> None:
    music = watched.folder
    music.mkdir()
    song = tmp_path / "song.mp3"
    song.write_bytes(b"x")

    async def steps() -> None:
        (music / "album").mkdir()
        shutil.copy(song, music / "album" / "1.mp3")
        assert await watched.looks()
        with (music / "album" / "1.mp3").open("ab") as file:
            file.write(b"x")
        assert await watched.looks()
        (music / "album" / "1.mp3").rename(music / "2.mp3")
        assert await watched.looks()
        (music / "2.mp3").unlink()
        assert await watched.looks()
        (music / "album").rename(tmp_path / "elsewhere")
        assert await watched.looks()
        for name in ("catalog.db-wal", "catalog.vectors"):
            (music / name).write_bytes(b"x")
            (music / name).unlink()
        (music / "cover.jpg").write_bytes(b"x")
        assert not await watched.looks()

    asyncio.run(watched.run(steps))
    assert watched.why is None


def test_where_nothing_tells_of_changes_the_sweep_goes_on(watched: Watched) -> None:
    watched.folder.mkdir()

    async def steps() -> None:
        os.kill(child_of(os.getpid(), "watch_process"), signal.SIGKILL)
        await eventually(lambda: watched.why is not None)
        assert watched.why is not None
        assert watched.why.startswith("new files are noticed at the next sweep only")
        await eventually(lambda: watched.why is None)
        await eventually(lambda: watched.rescans)

    asyncio.run(watched.run(steps, sweep_s=10.0))


@pytest.mark.parametrize(
    ("limit", "remedy"),
    [("watches", "raise fs.inotify.max_user_watches"), ("instances", "max_user_instances")],
)
def test_a_system_without_watches_is_said(tmp_path: Path, limit: str, remedy: str) -> None:
    for number in range(8):
        (tmp_path / str(number)).mkdir()
    request = watch_process.watch_request([bytes(tmp_path)], own=b"/catalog.db")
    command = f"echo {0 if limit == 'instances' else 4} > /proc/sys/user/max_inotify_{limit} && "
    done = subprocess.run(
        [
            "unshare",
            "-Ur",
            "sh",
            "-c",
            f"{command} exec {sys.executable} -m {watch_process.__name__}",
        ],
        input=json.dumps(request) + "\n",
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no limits of its own may be set here: {done.stderr}")
    assert remedy in json.loads(done.stdout)["blind"]


def test_a_folder_that_comes_later_is_watched_from_the_next_sweep_on(watched: Watched) -> None:
    async def steps() -> None:
        watched.folder.mkdir()
        await eventually(lambda: watched.rescans)
        watched.rescans.clear()
        (watched.folder / "song.mp3").write_bytes(b"x")
        assert await watched.looks()

    asyncio.run(watched.run(steps, sweep_s=10.0))


def test_without_watchfiles_the_remedy_is_said(
    original_catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(Exception, match=r"pip install 'soundalike\[watch\]'"):
        with client_of(original_catalog, watch=True):
            pass


def test_a_heartbeat_keeps_connections_open(
    original_catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.3)
    monkeypatch.setattr(events, "LOOK_S", 0.1)
    with open_context(Settings(catalog=original_catalog)) as context:

        async def run() -> list[bytes]:
            stream = events._events(context)
            said = [await anext(stream), await anext(stream)]
            context.closing.set()
            return [*said, *[event async for event in stream]]

        state, beat, *rest = asyncio.run(run())
    assert state.startswith(b"event: indexing\ndata: {")
    assert beat.startswith(b":")
    assert rest[-1].startswith(b"event: bye\n")


def test_a_server_without_folders_indexes_nothing(tmp_path: Path) -> None:
    with client_of(new_catalog(tmp_path)) as client:
        assert client.get("indexing").json()["folders"] == []
        assert client.post("indexing", json={}).status_code == 403
        assert client.delete("indexing").json()["state"] == "idle"


def test_folders_are_named_by_number(original_catalog: Path) -> None:
    with client_of(original_catalog) as client:
        (folder,) = client.get("indexing").json()["folders"]
        assert folder["number"] == 0
        assert "/" not in folder["name"]
        for wrong in ({"folders": [1]}, {"folders": [-1]}, {"folders": ["/etc"]}, {"path": "/"}):
            assert client.post("indexing", json=wrong).status_code == 422


class Listener:
    """A connection to the events of a server."""

    def __init__(self, server: Running) -> None:
        self.client = httpx.Client(timeout=WITHIN_S)
        self._stream = self.client.stream("GET", server.api + "indexing/events")
        self.answer = self._stream.__enter__()
        self._lines = self.answer.iter_lines() if self.answer.status_code == 200 else iter(())

    def next(self, name: str) -> Any:
        """The data of the next event with a name."""
        for line in self._lines:
            if line == f"event: {name}":
                return json.loads(next(self._lines).removeprefix("data: "))
        raise AssertionError("the stream has ended")

    def until(self, fits: Callable[[Any], object]) -> Any:
        """The next state of the run that fits."""
        while not fits(state := self.next("indexing")):
            pass
        return state

    def close(self) -> None:
        self._stream.__exit__(None, None, None)
        self.client.close()


@pytest.fixture(scope="module")
def many_songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "new songs"
    folder.mkdir()
    add_songs(folder, range(40))
    return folder


def add_songs(folder: Path, numbers: range) -> None:
    for number in numbers:
        sounds.write_audio(folder / f"{number:02}.wav", sounds.music(6, seed=100 + number))


@pytest.mark.slow
def test_a_run_is_started_watched_stopped_killed_and_ended_with_the_server(
    catalog_path: Path, many_songs: Path
) -> None:
    with start_server(catalog_path, "--folder", str(many_songs)) as server:
        with httpx.Client(base_url=server.api, timeout=WITHIN_S) as client:
            listener = Listener(server)
            assert listener.next("indexing")["state"] == "idle"

            # It goes on, and is stopped in the middle.
            started = client.post("indexing", json={"folders": [0]})
            assert started.status_code == 202
            assert client.post("indexing", json={"folders": []}).status_code == 409
            state = listener.until(lambda state: state["run"] and state["run"]["total"])
            assert (state["state"], state["run"]["folders"]) == ("running", ["new songs"])
            assert state["run"]["total"] == 40
            time.sleep(1)
            assert client.delete("indexing").json()["state"] == "stopping"
            last = listener.until(lambda state: state["state"] == "idle")["last"]
            assert last["outcome"] == "stopped"
            assert last["counts"]["new"] + last["counts"]["waiting"] == 40
            assert last["counts"]["waiting"] > 0
            assert client.get("ready").status_code == 200

            # Killed, it costs the run only. Whatever was left, there is enough to do.
            add_songs(many_songs, range(40, 60))
            assert client.post("indexing", json={}).status_code == 202
            listener.until(lambda state: state["run"] and state["run"]["total"])
            run = child_of(server.process.pid, "run_process")
            os.kill(run, signal.SIGKILL)
            last = listener.until(lambda state: state["state"] == "idle")["last"]
            assert last["outcome"] == "failed"
            assert "SIGKILL" in last["message"]
            assert client.get("similar", params={"like": 1, "n": 3}).status_code == 200

            # It ends with the server, and the events with it.
            add_songs(many_songs, range(60, 80))
            assert client.post("indexing", json={}).status_code == 202
            listener.until(lambda state: state["run"] and state["run"]["total"])
            run = child_of(server.process.pid, "run_process")
            server.process.send_signal(signal.SIGTERM)
            assert listener.next("bye") == {}
            listener.close()
        assert server.process.wait(40) == 0
        assert not is_alive(run)
    with closing(Library.open_for_writing(catalog_path)) as library:
        assert library.verify().sound


@pytest.mark.slow
def test_new_files_appear_by_themselves_and_pages_are_told(
    catalog_path: Path, tmp_path: Path
) -> None:
    music = tmp_path / "new"
    music.mkdir()
    with start_server(catalog_path, "--folder", str(music), "--watch") as server:
        listeners = [Listener(server) for _ in range(16)]
        refused = Listener(server)
        assert refused.answer.status_code == 503
        assert "retry-after" in refused.answer.headers
        for other in (refused, *listeners[1:]):
            other.close()
        listener = listeners[0]
        listener.until(lambda state: state["last"])  # the first look
        sounds.write_audio(music / "song.flac", sounds.music(5, seed=77))
        told = listener.next("catalog")
        assert told["tracks"] == 13
        # The places of those that went are free again.
        again = Listener(server)
        assert again.next("indexing")["watching"]
        again.close()
        listener.close()
