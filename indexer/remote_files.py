"""Files on servers and in object stores, by URL, through fsspec (extra `remote`).

    list_folder(b"https://host/music/")     # entries
    fetch(b"s3://bucket/a.flac", descriptor, most_bytes=1 << 30, timeout_s=300)

What goes wrong is an `OSError` with a reason; it takes a bounded time.
"""

from __future__ import annotations

import asyncio
import html
import os
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from indexer.errors import ExtraMissing, InvalidOption, SoundalikeError
from indexer.filesystem import display_path, folder_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONNECT_S = 10.0
SILENCE_S = 30.0
"""How long a server may send nothing in the middle of an answer."""
ANSWER_S = 60.0
"""How long it may take to list a folder or to tell of a file."""
_POLL_S = 0.2
_HASHES = ("ETag", "etag", "Content-MD5", "Digest", "md5Hash", "md5", "content_md5")
_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified")
_AS_A_LAST_RESORT = ("created",)
_HTTP = ("http", "https")


@dataclass(frozen=True)
class RemoteFile:
    """A file, or a folder, as its server tells of it.

    Attributes
    ----------
    url : bytes
        Of a folder with a slash behind it.
    size : int or None
        None where the server does not tell.
    version : int
        Another number of 63 bits whenever the content is another: a hash of the ETag or checksum
        or, where there is none, the time of modification in nanoseconds; 0 where there is neither.
    """

    url: bytes
    size: int | None = None
    version: int = 0

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.url.endswith(b"/")


def list_folder(url: bytes) -> list[tuple[RemoteFile, bool]]:
    """Files and folders in a folder, and whether size and version of each are known already.

    Raises
    ------
    OSError
        It cannot be listed.
    ExtraMissing, InvalidOption
        The package for it is not installed, or there is none.
    """
    system, path = _open(url)
    # HTTP's listings are links of a page, which may lead anywhere.
    prefix = folder_prefix(url)
    is_page = url.startswith(tuple(f"{one}://".encode() for one in _HTTP))
    with _one_reason(url):
        listed = _call(system, "ls", path, detail=True, timeout_s=ANSWER_S)
    found: dict[bytes, tuple[RemoteFile, bool]] = {}
    for info in listed:
        name = info["name"]
        if is_page:
            name = html.unescape(name)
            whole = name.encode("utf-8", "surrogateescape")
            if not whole.startswith(prefix) or set(b"?#") & set(whole):
                continue
            below = whole.removeprefix(prefix).rstrip(b"/")
        else:
            below = name.rstrip("/").rpartition("/")[2].encode("utf-8", "surrogateescape")
        if not below or below in (b".", b"..") or b"/" in below:
            continue
        if info.get("type") == "directory":
            found[below] = (RemoteFile(prefix + below + b"/"), True)
        else:
            found[below] = (_file(prefix + below, info), info.get("size") is not None)
    return list(found.values())


def file_info(url: bytes) -> RemoteFile:
    """Size and version of a file.

    Raises
    ------
    OSError
        It is not there, or cannot be asked for.
    ExtraMissing, InvalidOption
    """
    system, path = _open(url)
    with _one_reason(url):
        return _file(url, _call(system, "info", path, timeout_s=ANSWER_S))


def fetch(
    url: bytes,
    descriptor: int,
    *,
    most_bytes: int,
    exactly: bool,
    timeout_s: float,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Write the whole of a file to a descriptor of this process.

    Parameters
    ----------
    exactly : bool
        Whether the file is known to have `most_bytes` bytes.

    Raises
    ------
    OSError
        It cannot be fetched, is larger or takes longer.
    """
    system, path = _open(url)
    watch = _watch_class()(most_bytes, stopped)
    target = f"/proc/self/fd/{descriptor}"
    with _one_reason(url):
        _call(
            system, "get_file", path, target, callback=watch, timeout_s=timeout_s, stopped=stopped
        )
    if exactly and os.fstat(descriptor).st_size != most_bytes:
        raise OSError(0, "it ended before it was whole")


@cache
def _watch_class() -> Any:
    from fsspec.callbacks import Callback

    class Watch(Callback):  # type: ignore[misc]  # fsspec has no types
        """Counts what is fetched, and ends it where it is too much."""

        def __init__(self, most_bytes: int, stopped: Callable[[], bool]) -> None:
            super().__init__()
            self.fetched = 0
            self._most_bytes = most_bytes
            self._stopped = stopped

        def set_size(self, size: int | None) -> None:
            if size is not None and size > self._most_bytes:
                raise OSError(0, "it is larger than it was said to be")

        def relative_update(self, inc: int = 1) -> None:
            self.fetched += inc
            if self.fetched > self._most_bytes:
                raise OSError(0, "it is larger than it was said to be")
            if self._stopped():
                raise OSError(0, "the run was ended")

    return Watch


def forget_listings(url: bytes) -> None:
    """Let the next listing of a folder be asked for anew."""
    _open(url)[0].invalidate_cache()


def _open(url: bytes) -> tuple[Any, str]:
    """The file system of a URL, and the path on it."""
    text = display_path(url)
    protocol = text.partition("://")[0]
    try:
        import fsspec
        import fsspec.core
    except ImportError as error:
        raise ExtraMissing(
            f"{text} needs fsspec, which is not installed: `pip install 'soundalike[remote]'`"
        ) from error
    try:
        system, path = fsspec.core.url_to_fs(text, **_options(protocol))
    except ImportError as error:
        raise ExtraMissing(f"{text} cannot be opened: {error}") from error
    except ValueError as error:
        raise InvalidOption(f"{text} cannot be opened ({error}): check the address") from error
    return system, path


def _options(protocol: str) -> Mapping[str, Any]:
    """What a file system is told beside fsspec's own configuration."""
    if protocol not in _HTTP:
        return {}
    import aiohttp
    from fsspec.config import conf

    own = conf.get(protocol, {})
    limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
    client = {"timeout": limits, "trust_env": True, **own.get("client_kwargs", {})}
    # Sizes are those of what is stored, not of what a server compresses on the way.
    headers = {"Accept-Encoding": "identity", **own.get("headers", {})}
    return {"client_kwargs": client, "headers": headers, "simple_links": False}


def _call(
    system: Any,
    name: str,
    *arguments: Any,
    timeout_s: float,
    stopped: Callable[[], bool] = lambda: False,
    **options: Any,
) -> Any:
    """Call a method of a file system; one that is asynchronous is given up after a time."""
    if not system.async_impl:
        return getattr(system, name)(*arguments, **options)
    work = getattr(system, f"_{name}")(*arguments, **options)
    future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout_s), system.loop)
    while not wait([future], _POLL_S).done:
        if stopped():
            future.cancel()
            raise OSError(0, "the run was ended")
    return future.result()


@contextmanager
def _one_reason(url: bytes) -> Iterator[None]:
    """Raise whatever a file system raises as an `OSError` with a reason."""
    try:
        yield
    except SoundalikeError:
        raise
    except Exception as error:  # each file system has exceptions of its own
        cause: BaseException = error
        while isinstance(cause, FileNotFoundError) and cause.__cause__ is not None:
            cause = cause.__cause__  # HTTP's says so of whatever went wrong
        kind = FileNotFoundError if _is_not_found(cause) else OSError
        raise kind(0, _reason(cause), display_path(url)) from error


def _is_not_found(error: BaseException) -> bool:
    return isinstance(error, FileNotFoundError) or getattr(error, "status", None) in (404, 410)


def _reason(error: BaseException) -> str:
    if _is_not_found(error):
        return "it is not there"
    if isinstance(error, TimeoutError):
        return "the server takes too long"
    status = getattr(error, "status", None)
    if status is not None:
        return f"the server answers {status} {getattr(error, 'message', '')}".rstrip()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__


def _file(url: bytes, info: Mapping[str, Any]) -> RemoteFile:
    return RemoteFile(url, info.get("size"), version_of(info))


def version_of(info: Mapping[str, Any]) -> int:
    """The version of a file, as `RemoteFile` has it, by what fsspec tells of it."""
    for name in _HASHES:
        if info.get(name):
            return _number(str(info[name]))
    for name in (*_TIMES, *_AS_A_LAST_RESORT):
        value = info.get(name)
        if isinstance(value, datetime):
            value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, int | float):
            return int(value * 1e9) & (1 << 63) - 1
        if value:
            return _number(str(value))
    return 0


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 1
