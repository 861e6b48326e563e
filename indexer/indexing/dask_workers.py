"""The machines of a Dask cluster, as the workers of a run of indexing.

Dask decides which machine gets which files, and gives those of a lost machine to another. Which
machines may take part, and which of them have not got a file, is known here.
"""

from __future__ import annotations

import logging
import os
import queue
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic

from distributed import Client, KilledWorker
from distributed.comm.core import CommClosedError

from indexer.errors import ClusterFailed, InvalidOption
from indexer.filesystem import display_path
from indexer.indexing.dask_machine import Left, Machine, Returned, analyse_batch, stop_machine
from indexer.indexing.workers import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distributed import Future

    from indexer.catalog.file_queries import SeenFile
    from indexer.indexing.dask_machine import MachineState, Setup
    from indexer.indexing.workers import Finished, Task

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""How long there may be no machine at all."""

_BATCH = 8
"""Files in a task at most."""
_TASKS = 4
"""Tasks each process gets at least, so that all have done at about the same time."""
_AHEAD = 2
"""Tasks held for each process of the cluster, so that none waits for work."""
_TRIES = 3
"""How often machines may be lost with a batch."""
_ABSENT_IN_A_ROW = 32
_ERRORS_IN_A_ROW = 10
_REFRESH_S = 1.0
_FIRST_REFRESH_S = 0.2
_CONNECT_S = 10.0
_ANSWER_S = 30.0
"""How long scheduler and machines may take to answer."""
_FETCH_S = 10.0
"""How long a machine may take to hand over the outcomes of a task."""
_LAST_WORD_S = 5.0
"""The same, for what is only said so that they can tidy up."""


@dataclass(frozen=True)
class _Batch(Generic[Result]):
    """Files of one task.

    Attributes
    ----------
    absent : set of str
        Machines that have not got these files, or cannot work.
    tries : int
        How often machines were lost with it.
    trouble : str
        What the last of these was.
    allowed : set of str
        Machines that it was sent to.
    """

    work: Task[Result]
    files: Sequence[SeenFile]
    absent: frozenset[str] = frozenset()
    tries: int = 0
    trouble: str = "their machines were lost"
    allowed: frozenset[str] = frozenset()

    def tried_again(self, trouble: str) -> _Batch[Result]:
        """The batch after one more try."""
        return replace(self, tries=self.tries + 1, trouble=trouble)


class DaskWorkers(Generic[Result]):
    """The Dask workers of a cluster, one a machine, as `Workers`.

    Parameters
    ----------
    address : str
        Address of the Dask scheduler, or path of its scheduler file.
    total : int
        How many files there will be.

    Raises
    ------
    InvalidOption
        The address is neither.
    ClusterFailed
        The scheduler does not answer.
    """

    def __init__(self, address: str, setup: Setup, *, total: int) -> None:
        self._address = address
        self._run = setup.run
        self._total = total
        self._silence_s = (_BATCH + 1) * setup.limits.wall_s + 60.0
        self._ready: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._flying: dict[Any, tuple[Future[Returned], _Batch[Result]]] = {}
        self._unsent: list[_Batch[Result]] = []
        self._left: list[SeenFile] = []
        self._absent: dict[bytes, None] = {}
        self._absent_in_a_row: dict[str, int] = {}
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._errors_in_a_row = 0
        self._failure: ClusterFailed | None = None
        self._stopping = False
        self._refreshed = 0.0
        self._last_ready = self._last_news = time.monotonic()
        self._client = _connect(address)
        try:
            self._ask(self._client.register_plugin, Machine(setup), name=setup.run)
        except Exception as error:  # noqa: BLE001 - one machine must not keep the others from work
            # One that does not answer, or has not got this program: it will not tell of itself.
            log.warning("a machine of %s cannot take part: %s", address, error or "no answer")

    @property
    def capacity(self) -> int:
        """How many files the machines can hold now; 0 while there is none."""
        self._refresh()
        return _BATCH * _AHEAD * sum(self._ready.values())

    def submit(self, work: Task[Result], files: Sequence[SeenFile]) -> None:
        """Take over files, with the function that is applied to each."""
        processes = max(1, sum(self._ready.values()))
        size = min(_BATCH, max(1, self._total // (_TASKS * processes)))
        for first in range(0, len(files), size):
            self._send(_Batch(work, files[first : first + size]))

    def result(self, timeout_s: float) -> Sequence[Finished[Result]]:
        """Files that are done, each one once; none if none is within the time.

        Raises
        ------
        ClusterFailed
            The scheduler is lost, or there has been no machine for long, or no outcome.
        """
        if self._failure is not None:
            raise self._failure
        finished: list[Finished[Result]] = []
        try:
            self._refresh()
            for key in self._keys_done(0.0 if self._left else timeout_s):
                finished += self._take(key)
        except ClusterFailed as error:
            # What came in before is stored first.
            self._failure = error
        left, self._left = self._left, []
        return [*finished, *((file, None) for file in left)]

    def stop(self) -> None:
        """Start no more files: those in work are finished, the others are left."""
        self._stopping = True
        unsent, self._unsent = self._unsent, []
        for batch in unsent:
            self._leave(batch)
        with suppress(Exception):
            self._ask(
                self._client.run,
                stop_machine,
                self._run,
                on_error="ignore",
                within_s=_LAST_WORD_S,
            )

    def close(self) -> None:
        """End the processes on the machines; the Dask workers go on."""
        if self._absent:
            log.warning(
                "files that are on no machine of %s as they are here, left for the next run: %d "
                "(the first is %s); is their folder mounted there under the same path?",
                self._address,
                len(self._absent),
                display_path(next(iter(self._absent))),
            )
        if self._client.status == "running":
            with suppress(Exception):
                self._ask(self._client.unregister_worker_plugin, self._run, within_s=_LAST_WORD_S)
        with suppress(Exception):
            self._client.close(timeout=_LAST_WORD_S)

    def _send(self, batch: _Batch[Result]) -> None:
        allowed = self._ready.keys() - batch.absent
        if self._stopping or batch.tries == _TRIES or (self._ready and not allowed):
            self._leave(batch)
            return
        if not allowed:
            self._unsent.append(batch)
            return
        if not self._flying:
            self._last_news = time.monotonic()
        future = self._client.submit(
            analyse_batch,
            self._run,
            batch.work,
            batch.files,
            pure=False,
            workers=sorted(allowed),
        )
        self._flying[future.key] = (future, replace(batch, allowed=frozenset(allowed)))
        future.add_done_callback(self._note_done)

    def _note_done(self, future: Future[Returned]) -> None:
        self._done.put(future.key)

    def _keys_done(self, timeout_s: float) -> list[Any]:
        keys = []
        with suppress(queue.Empty):
            keys.append(self._done.get(timeout=timeout_s) if timeout_s else self._done.get_nowait())
            while True:
                keys.append(self._done.get_nowait())
        return keys

    def _take(self, key: Any) -> list[Finished[Result]]:
        """Files of a task that are done; the others are sent to another machine, or left."""
        if key not in self._flying:
            return []
        future, batch = self._flying.pop(key)
        try:
            returned = future.result(timeout=_FETCH_S)
        except TimeoutError:
            # The machine was lost before it handed the outcomes over: they are made again.
            self._flying[key] = (future, batch)
            future.add_done_callback(self._note_done)
            return []
        except KilledWorker:
            self._leave(replace(batch, tries=_TRIES))
            return []
        except Exception as error:  # noqa: BLE001 - of one machine, which must not end the run
            self._send(batch.tried_again(self._count_error(error)))
            return []
        self._last_news = time.monotonic()
        self._errors_in_a_row = 0
        without = replace(batch, absent=batch.absent | {returned.machine})
        if returned.trouble:
            self._refuse(returned.machine, returned.trouble)
            self._send(without)
            return []
        outcomes = list(zip(batch.files, returned.outcomes, strict=True))
        absent = [file for file, outcome in outcomes if outcome is Left.NOT_HERE]
        self._count_absent(returned.machine, len(absent), of=len(outcomes))
        if absent:
            self._send(replace(without, files=absent))
        return [
            (file, None if outcome is Left.NOT_STARTED else outcome)
            for file, outcome in outcomes
            if outcome is not Left.NOT_HERE
        ]

    def _count_error(self, error: Exception) -> str:
        """The error of a task in words; ends the run after many in a row."""
        log.debug("%s", error, exc_info=error)
        if self._client.status != "running" or isinstance(error, CommClosedError):
            raise self._lost() from error
        words = " ".join(f"{type(error).__name__}: {error}".split())
        self._errors_in_a_row += 1
        if self._errors_in_a_row == _ERRORS_IN_A_ROW:
            raise ClusterFailed(
                f"{self._address} can do no task ({words}): the same version of soundalike[dask] "
                "must be on every machine, that of the scheduler too"
            ) from error
        return words

    def _count_absent(self, machine: str, absent: int, *, of: int) -> None:
        """Pass over a machine that has none of many files in a row."""
        in_a_row = self._absent_in_a_row.get(machine, 0) + absent if absent == of else 0
        self._absent_in_a_row[machine] = in_a_row
        if in_a_row >= _ABSENT_IN_A_ROW:
            self._refuse(
                machine,
                f"it has none of {in_a_row} files in a row: are the folders mounted there, under "
                "the same paths?",
            )

    def _leave(self, batch: _Batch[Result]) -> None:
        """Leave files for the next run."""
        self._left += batch.files
        if batch.tries == _TRIES:
            log.warning(
                "files left for the next run, because %s: %d (the first is %s)",
                batch.trouble,
                len(batch.files),
                display_path(batch.files[0].path),
            )
        elif not self._stopping:
            self._absent.update((file.path, None) for file in batch.files)

    def _refresh(self) -> None:
        """Look which machines there are, and send again what went to lost ones."""
        now = time.monotonic()
        pause = _REFRESH_S * max(1.0, len(self._ready) / 50) if self._ready else _FIRST_REFRESH_S
        if now - self._refreshed < pause:
            return
        self._refreshed = now
        machines = self._machines()
        self._ready = {
            address: machine["nthreads"]
            for address, machine in machines.items()
            if self._takes_part(address, machine["metrics"].get(self._run))
        }
        # Dask lets a task wait for ever for machines that it may go to and that are gone.
        stranded = [
            key for key, (_, batch) in self._flying.items() if batch.allowed.isdisjoint(machines)
        ]
        unsent, self._unsent = self._unsent, []
        for key in stranded:
            future, batch = self._flying.pop(key)
            future.cancel()
            unsent.append(batch.tried_again("their machines were lost"))
        for batch in unsent:
            self._send(batch)
        self._require_life(now)

    def _machines(self) -> dict[str, Any]:
        """What the scheduler knows of each Dask worker, by address."""
        scheduler = self._client.scheduler
        if scheduler is None or self._client.status != "running":
            raise self._lost()
        try:
            machines: dict[str, Any] = self._ask(scheduler.identity, n_workers=-1)["workers"]
        except (OSError, CancelledError) as error:
            raise self._lost() from error
        return machines

    def _takes_part(self, address: str, state: MachineState | None) -> bool:
        if state:
            self._refuse(address, state)
        return state is not None and address not in self._refused

    def _refuse(self, machine: str, reason: str) -> None:
        if machine not in self._refused:
            self._refused[machine] = reason
            log.warning("%s takes no files of this run: %s", machine, reason)
        self._ready.pop(machine, None)

    def _require_life(self, now: float) -> None:
        if self._ready:
            self._last_ready = now
        elif now - self._last_ready > PATIENCE_S:
            raise ClusterFailed(
                f"no machine of {self._address} takes files: start Dask workers there "
                "(docs/many-machines.md) and run the same command to go on"
            )
        if self._flying and now - self._last_news > self._silence_s:
            raise ClusterFailed(
                f"no file has come back from {self._address} for {self._silence_s:.0f} s: start "
                "its Dask workers again, and run the same command to go on"
            )

    def _lost(self) -> ClusterFailed:
        return ClusterFailed(
            f"the Dask scheduler {self._address} is lost: what has come in is stored; start it "
            "again, and run the same command to go on"
        )

    def _ask(
        self,
        function: Callable[..., Any],
        *args: Any,
        within_s: float = _ANSWER_S,
        **options: Any,
    ) -> Any:
        """Call a function of the client and wait for its answer, but not for ever."""

        async def ask() -> Any:
            return await function(*args, **options)

        return self._client.sync(ask, callback_timeout=within_s)


def _connect(address: str) -> Client:
    if "://" in address:
        where = {"address": address}
    elif os.path.isfile(address):
        where = {"scheduler_file": address}
    else:
        raise InvalidOption(
            f"{address} is neither the address of a Dask scheduler, such as tcp://host:8786, nor "
            "a scheduler file"
        )
    # What becomes of its parts is Dask's to log; what that means for a run is said here.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return Client(**where, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterFailed(
            f"the Dask scheduler {address} does not answer: start it with `dask scheduler`, or "
            "check the address"
        ) from error
