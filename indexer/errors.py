"""The exceptions of soundalike, as one tree.

Each message is one sentence that names what was wrong, where, and what to do about it. Errors of
one audio file (`AnalysisError`) become rows in the catalog's failures; the others end a command.
"""

from __future__ import annotations

import traceback


class SoundalikeError(Exception):
    """Base of all errors below: catch this one to catch them all."""


class AnalysisError(SoundalikeError):
    """One audio file could not be turned into an embedding.

    Attributes
    ----------
    stage : str
        Where it happened: "fetch", "open", "hash", "decode", "resample", "signal", "descriptors",
        "network", "tags", "worker" or "store".
    reason : str
        The class in words, for tables and JSON, e.g. "too short".
    """

    reason = "analysis failed"

    def __init__(self, message: str, *, stage: str) -> None:
        super().__init__(message)
        self.stage = stage

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with stage and trace, so that both survive the way out of a worker."""
        was_raised = self.__traceback__ or self.__cause__
        trace = "".join(traceback.format_exception(self)) if was_raised else ""
        return (_rebuild, (type(self), str(self), self.stage, trace))


def _rebuild(kind: type[AnalysisError], message: str, stage: str, trace: str) -> AnalysisError:
    error = kind(message, stage=stage)
    error.__cause__ = WorkerTrace(trace) if trace else None
    return error


class WorkerTrace(Exception):
    """The trace of an exception in a worker process, as text; cause of the error it led to."""

    def __str__(self) -> str:
        """On lines of its own."""
        return f"\n{self.args[0]}"


class Unreadable(AnalysisError):
    """The operating system does not let us read the file."""

    reason = "unreadable"


class FetchFailed(AnalysisError):
    """A file on a server could not be fetched."""

    reason = "fetch failed"


class NotAudio(AnalysisError):
    """No known container format: empty, random bytes, a text file called .mp3."""

    reason = "not audio"


class NoAudioStream(AnalysisError):
    """A container without sound: a silent video, a picture."""

    reason = "no audio stream"


class UnknownCodec(AnalysisError):
    """FFmpeg has no decoder for the sound."""

    reason = "codec not known"


class BadSampleRate(AnalysisError):
    """The sample rate is far below or above that of any recording."""

    reason = "sample rate not supported"


class Corrupt(AnalysisError):
    """The container is known but its sound cannot be decoded."""

    reason = "corrupt"


class TooShort(AnalysisError):
    """Less sound than the minimum."""

    reason = "too short"


class Silent(AnalysisError):
    """No sample is louder than the threshold of silence."""

    reason = "silent"


class NotFinite(AnalysisError):
    """Too many samples are NaN, infinite or far beyond full scale."""

    reason = "not finite"


class OutOfMemory(AnalysisError):
    """The decoder asked for more memory than a worker may have."""

    reason = "out of memory"


class NotStorable(AnalysisError):
    """The catalog's database does not take a value of the file, such as a number beyond 64 bits."""

    reason = "not storable"


class TimedOut(AnalysisError):
    """The file took longer than the time limit of one file."""

    reason = "timed out"


class WorkerDied(AnalysisError):
    """The process that analysed the file was killed or crashed."""

    reason = "worker died"


class Unforeseen(AnalysisError):
    """An exception that is not one of the above: an error of this program or of a library."""

    reason = "unforeseen"

    @classmethod
    def of(cls, error: Exception, name: str, *, stage: str) -> Unforeseen:
        """The error of a file in which an exception was raised; without its cause."""
        what = " ".join(f"{type(error).__name__}: {error}".split())
        message = (
            f"{name!r} cannot be analysed (unforeseen {what}); "
            "please report it with what `soundalike --debug` shows."
        )
        return cls(message, stage=stage)


class WorkersFailed(SoundalikeError):
    """No worker process can be started, or stays alive: nothing can be analysed."""


class ClusterFailed(WorkersFailed):
    """The machines of a cluster cannot be reached, or none of them analyses files any more."""


class ModelError(SoundalikeError):
    """A model cannot be loaded or used."""


class ModelMissing(ModelError):
    """The named model is not on this machine."""


class ModelCorrupt(ModelError):
    """A checkpoint is damaged, or its content does not match its description."""


class CatalogError(SoundalikeError):
    """The catalog cannot be opened, written or trusted."""


class NotACatalog(CatalogError):
    """The file is not a catalog of ours, or not a database at all, or damaged."""


class CatalogMissing(CatalogError):
    """There is no catalog at that path."""


class CatalogTooNew(CatalogError):
    """The catalog was written by a newer version of the program."""


class CatalogLocked(CatalogError):
    """Another process writes to the catalog."""


class CatalogFull(CatalogError):
    """The disk under the catalog is full, or may not be written."""


class CatalogUnreachable(CatalogError):
    """The server that holds the catalog cannot be reached, or went away."""


class CatalogForbidden(CatalogError):
    """The server does not let this role read or write the catalog."""


class ValueRefused(CatalogError):
    """The database cannot store a value that a file or a caller gave."""


class ModelMismatch(CatalogError):
    """The catalog's embeddings were made by another model."""


class BadAnalyses(CatalogError):
    """A file of analyses made elsewhere is missing, damaged, or of another shape."""


class LibraryUnreachable(CatalogError):
    """None of the folders to be indexed can be reached."""


class IndexFileError(SoundalikeError):
    """A vector index file is missing, damaged, or belongs to something else."""


class IndexServerError(SoundalikeError):
    """The server of the vectors cannot be reached, or refuses what it is asked for."""


class QueryError(SoundalikeError):
    """A query that cannot be answered."""


class UnknownTrack(QueryError, LookupError):
    """No track of the catalog matches."""


class AmbiguousTrack(QueryError, LookupError):
    """Several tracks match.

    Attributes
    ----------
    candidates : tuple of str
        The tracks that match, one line each.
    """

    def __init__(self, message: str, *, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


class BadVector(QueryError, ValueError):
    """A vector has the wrong shape, holds NaN or infinity, or is zero."""


class InvalidOption(QueryError, ValueError):
    """An option of a query has no meaning, such as n = 0."""


class BadLabels(QueryError, ValueError):
    """Labels cannot be read, or are too few to train with."""


class ExtraMissing(SoundalikeError):
    """An optional package is not installed."""


class NoClassifier(QueryError):
    """No genre classifier was trained for the catalog, or its file is damaged."""


class BadFactors(QueryError, ValueError):
    """Factors, embeddings or plays are not finite numbers or do not fit each other."""


class UnknownUser(QueryError, LookupError):
    """No user of the model has this id, or the user has played nothing."""


class PlayerUnreachable(SoundalikeError):
    """A player's server does not answer, or refuses what it is asked for."""


class IdMapError(SoundalikeError):
    """The file with another server's ids is damaged, of another catalog, or cannot be written."""
