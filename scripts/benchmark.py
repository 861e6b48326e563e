"""Measure what indexing and asking cost on this machine, and print it as plain-text tables.

Machines are noisy: figures are medians of several runs, and the ratios beside them are to a
baseline measured in the same run.

Example: python scripts/benchmark.py analysis start --quick
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import sounds
from benchmarks.machine import machine_facts
from benchmarks.setting import FULL, QUICK, Setting, Sizes
from benchmarks.table import plain_text

from indexer.errors import SoundalikeError
from indexer.models.registry import model_info

# Servers of PostgreSQL are started as in the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

    from benchmarks.table import Table

TABLES = {
    "analysis": "CPU of the analysis of one file, by stage and format",
    "decoding": "CPU of reading the windows of a file, by format and length",
    "workers": "index runs with one and two workers",
    "machines": "index runs by processes here, and by one and two machines of a Dask cluster",
    "memory": "peak memory and CPU for a very long file",
    "queries": "latency and recall of questions; opening a catalog",
    "million": "a million tracks: questions, opening, memory, one more track",
    "pgvector": "vectors in a file and on a server with pgvector: latency and recall",
    "sizes": "bytes a track in each place where something of it is kept",
    "map": "the map of a library: its layout, new tracks, bytes, a frame in a browser",
    "page": "the first view of the page: requests, bytes, time until tracks are seen",
    "players": "answers to players, songs sent in another encoding",
    "serving": "requests a second of the server, alone and during an index run",
    "mpd_queue": "the next song in the queue of a Music Player Daemon: latency",
    "storing": "the one writer: analyses into a catalog, on disk",
    "rescans": "rescans that find nothing changed: files a second, memory",
    "start": "imports, the command line",
}
"""Modules of `benchmarks`, in the order they run, and what they measure."""

NEED_MUSIC = ("analysis", "decoding", "workers", "machines", "memory", "players", "serving")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    # `timeout` and the like: the files go as they do after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report = measure(
            options.tables or list(TABLES),
            sizes=QUICK if options.quick else FULL,
            seed=options.seed,
            say=print,
            keep=options.keep and options.keep.resolve(),
            against=options.against and options.against.resolve(),
        )
    except SoundalikeError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmark: interrupted", file=sys.stderr)
        return 130
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(
    names: Sequence[str],
    *,
    sizes: Sizes,
    seed: int,
    say: Callable[[str], object],
    keep: Path | None = None,
    against: Path | None = None,
) -> dict[str, Any]:
    """Measure tables, each in a process of its own.

    Parameters
    ----------
    names : sequence of str
        Some of `TABLES`.
    say : function of str
        Given each part of the text as soon as it is known.
    keep, against : Path, optional
        See `Setting`.

    Returns
    -------
    dict
        `machine`, `sizes`, `seed` and `tables` (by name, a list each), all of it fit for JSON.

    Raises
    ------
    ModelMissing, ModelCorrupt
        The default model is not on this machine.
    """
    model_info()
    facts = machine_facts()
    say("\n".join(f"{name + ':':11}{fact}" for name, fact in facts.items()) + "\n")
    report: dict[str, Any] = {
        "machine": facts,
        "sizes": asdict(sizes),
        "seed": seed,
        "tables": {},
    }
    with tempfile.TemporaryDirectory(prefix="soundalike-benchmark-") as folder:
        setting = Setting(sizes, seed, Path(folder), keep, against)
        if any(name in NEED_MUSIC for name in names):
            seconds = max(sizes.clip_s, sizes.track_s, sizes.ordinary_s)
            sounds.compose(setting.music, seconds, composed=sizes.composed_s, seed=seed)
        for name in (known for known in TABLES if known in names):
            began = time.monotonic()
            tables = _in_own_process(name, setting)
            report["tables"][name] = [asdict(table) for table in tables]
            for table in tables:
                say(plain_text(table))
            say(f"({name}: {time.monotonic() - began:.0f} s)\n")
    return report


def _in_own_process(name: str, setting: Setting) -> tuple[Table, ...]:
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, name, setting))
    process.start()
    sender.close()
    try:
        tables: tuple[Table, ...] = receiver.recv()
    except EOFError:
        raise RuntimeError(f"the process that measured {name} failed; see above") from None
    finally:
        receiver.close()
        if sys.exc_info()[0] is not None:
            process.terminate()
        process.join()
    return tables


def _send(sender: Connection, name: str, setting: Setting) -> None:
    sender.send(import_module(f"benchmarks.{name}").measure(setting))


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:10}{what}" for name, what in TABLES.items())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\ntables (all of them if none is named):\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", choices=[[], *TABLES])
    parser.add_argument(
        "--quick", action="store_true", help="fewer runs and sizes: two minutes instead of ten"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all of it as JSON")
    parser.add_argument("--seed", type=int, default=0, help="of music, vectors and choices")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="where `million` keeps its catalogs for the next time",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="beside this code, the code of another checkout (`million` only)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
