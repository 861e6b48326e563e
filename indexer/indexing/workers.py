"""What a run of indexing needs of those that analyse its files, and processes that do it here."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from indexer.analysis.sandbox import Job, Sandbox
    from indexer.catalog.file_queries import SeenFile
    from indexer.errors import AnalysisError

Result = TypeVar("Result")
Task: TypeAlias = "Callable[[Any, bytes], Result]"
"""A function of what a worker process holds and of a path, as a `Sandbox` takes it."""
Finished: TypeAlias = "tuple[SeenFile, Result | AnalysisError | None]"
"""A file with its outcome; None if it was not analysed and is left for the next run."""

_FILES_EACH = 4
"""Files held for each process, so that none waits for work."""


class Workers(Protocol[Result]):
    """Workers that analyse the files of a run: processes here, or machines."""

    @property
    def capacity(self) -> int:
        """How many files they can hold now, those included that they hold; 0 if none can work."""

    def submit(self, work: Task[Result], files: Sequence[SeenFile]) -> None:
        """Take over files, with the function that is applied to each."""

    def result(self, timeout_s: float) -> Sequence[Finished[Result]]:
        """Files that are done, each one once, in any order; none if none is within the time.

        Raises
        ------
        WorkersFailed
            There are no workers any more.
        """

    def stop(self) -> None:
        """Start no more files: those in work are finished, the others are left."""

    def close(self) -> None:
        """End the workers at once."""


class LocalWorkers(Generic[Result]):
    """The processes of a sandbox, as `Workers`."""

    def __init__(self, sandbox: Sandbox[Any]) -> None:
        self._sandbox = sandbox
        self._jobs: dict[Future[Any], tuple[SeenFile, Job[Any, Result]]] = {}
        self._left: list[SeenFile] = []

    @property
    def capacity(self) -> int:
        """How many files they can hold, those included that they hold."""
        return _FILES_EACH * self._sandbox.workers

    def submit(self, work: Task[Result], files: Sequence[SeenFile]) -> None:
        """Take over files, with the function that is applied to each."""
        for file in files:
            job = self._sandbox.submit(work, file.path)
            self._jobs[job.future] = (file, job)

    def result(self, timeout_s: float) -> Sequence[Finished[Result]]:
        """Files that are done, each one once; none if none is within the time."""
        left, self._left = self._left, []
        finished: list[Finished[Result]] = [(file, None) for file in left]
        done = wait(self._jobs, timeout_s, return_when=FIRST_COMPLETED).done
        for future, (file, job) in list(self._jobs.items()):
            if not (future in done or job.is_lost):
                continue
            del self._jobs[future]
            outcome = self._sandbox.result(job)
            finished.append((file, outcome))
        return finished

    def stop(self) -> None:
        """Start no more files: those in work are finished, the others are left."""
        waiting = [future for future in self._jobs if not (future.running() or future.done())]
        for future in waiting:
            future.cancel()
            self._left.append(self._jobs.pop(future)[0])

    def close(self) -> None:
        """End the processes at once."""
        self._sandbox.close(at_once=True)
