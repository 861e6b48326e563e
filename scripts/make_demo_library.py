"""Write the demo library: pieces in eight styles, composed and played by this project.

The pieces come from the package `composer` beside this file; here they become files, in six
formats in turn, tagged, one folder for each performer and album.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import soundfile
import soxr
from composer import SAMPLE_RATE, STYLES, Commission, guest, library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

VERSION = 1
"""Raised when the same seed gives other files, so that older ones are written anew."""

STAMP_NAME = ".demo-library.json"
PART_SUFFIX = ".part"


@dataclass(frozen=True)
class Format:
    """How a file is written: container and codec as FFmpeg calls them, and the rates."""

    suffix: str
    container: str
    codec: str
    sample_rate: int = SAMPLE_RATE
    bit_rate: int | None = None


FORMATS = (
    Format(".wav", "wav", "pcm_s16le"),
    Format(".flac", "flac", "flac"),
    Format(".mp3", "mp3", "libmp3lame", bit_rate=192_000),
    Format(".ogg", "ogg", "vorbis"),
    Format(".opus", "opus", "libopus", sample_rate=48_000, bit_rate=128_000),
    Format(".m4a", "ipod", "aac", bit_rate=192_000),
)


@dataclass(frozen=True)
class Order:
    """A piece and the file it is to fill."""

    commission: Commission
    path: Path
    format: Format


@dataclass(frozen=True)
class Truth:
    """What is known of a file because it was composed: a row of `--truth`."""

    path: str
    style: str
    performer: str
    tempo: float
    key: str
    seconds: float


def format_of(path: Path) -> Format:
    """The format that a file's suffix names; ValueError if it is not one of `FORMATS`."""
    for known in FORMATS:
        if known.suffix == path.suffix.lower():
            return known
    suffixes = ", ".join(known.suffix for known in FORMATS)
    raise ValueError(f"{path.name} has no suffix of a format written here: use one of {suffixes}.")


def order_library(folder: Path, *, seed: int, pieces_per_style: int) -> list[Order]:
    """The files of a library; the formats are shifted from style to style."""
    orders = []
    for commission in library(seed=seed, pieces_per_style=pieces_per_style):
        chosen = FORMATS[(commission.number + commission.style_number) % len(FORMATS)]
        performer = commission.performer
        name = f"{commission.track_number:02} {commission.title}{chosen.suffix}"
        orders.append(Order(commission, folder / performer.name / performer.album / name, chosen))
    return orders


def fill(order: Order) -> Truth:
    """Compose, play and write one file; the file appears only when it is complete."""
    piece = order.commission.compose()
    order.path.parent.mkdir(parents=True, exist_ok=True)
    part = order.path.with_name(f".{order.path.name}{PART_SUFFIX}")
    sound = piece.sound.astype(np.float32)
    try:
        if order.format.codec == "vorbis":
            _write_vorbis(part, sound, tags=_tags(order.commission, track="tracknumber"))
        else:
            _write_av(part, sound, form=order.format, tags=_tags(order.commission, track="track"))
        part.replace(order.path)
    finally:
        part.unlink(missing_ok=True)
    return Truth(
        path=str(order.path),
        style=order.commission.style.name,
        performer=order.commission.performer.name,
        tempo=piece.tempo,
        key=piece.key.name,
        seconds=round(sound.shape[1] / SAMPLE_RATE, 3),
    )


def _tags(commission: Commission, *, track: str) -> dict[str, str]:
    performer = commission.performer
    return {
        "title": commission.title,
        "artist": performer.name,
        "album": performer.album,
        "genre": commission.style.name,
        "date": str(performer.year),
        track: str(commission.track_number),
    }


def _write_av(
    path: Path, sound: NDArray[np.float32], *, form: Format, tags: dict[str, str]
) -> None:
    """Encode (2, samples) at `SAMPLE_RATE` with PyAV."""
    if form.sample_rate != SAMPLE_RATE:
        sound = soxr.resample(sound.T, SAMPLE_RATE, form.sample_rate).T
        sound = np.clip(sound, -1, 1)
    with av.open(path, "w", format=form.container) as output:
        output.metadata.update(tags)
        stream = output.add_stream(form.codec, rate=form.sample_rate)
        if not isinstance(stream, av.AudioStream):
            raise TypeError(f"{form.codec} is not an audio codec.")
        stream.layout = "stereo"
        if form.bit_rate is not None:
            stream.bit_rate = form.bit_rate
        block = form.sample_rate
        for start in range(0, sound.shape[1], block):
            samples = np.ascontiguousarray(sound[:, start : start + block])
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            frame.sample_rate = form.sample_rate
            frame.pts = start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _write_vorbis(path: Path, sound: NDArray[np.float32], *, tags: dict[str, str]) -> None:
    """Encode (2, samples) with soundfile: PyAV's wheel has no good Vorbis encoder."""
    with soundfile.SoundFile(
        path, "w", SAMPLE_RATE, channels=2, format="OGG", subtype="VORBIS"
    ) as output:
        for name, value in tags.items():
            setattr(output, name, value)
        # libsndfile's Vorbis encoder overflows the stack on one long write.
        for start in range(0, sound.shape[1], SAMPLE_RATE):
            output.write(sound[:, start : start + SAMPLE_RATE].T)


def read_stamp(folder: Path, *, seed: int) -> dict[str, Truth]:
    """The files that an earlier run with this seed and version has written, by path."""
    try:
        stamp = json.loads((folder / STAMP_NAME).read_text(encoding="utf-8"))
        if (stamp["version"], stamp["seed"]) != (VERSION, seed):
            return {}
        return {row["path"]: Truth(**row) for row in stamp["files"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def write_stamp(folder: Path, written: dict[str, Truth], *, seed: int) -> None:
    """Replace the stamp by one that names all of `written`."""
    rows = [asdict(written[path]) for path in sorted(written)]
    stamp = {"version": VERSION, "seed": seed, "files": rows}
    part = folder / f"{STAMP_NAME}{PART_SUFFIX}"
    part.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    part.replace(folder / STAMP_NAME)


def write_truth(path: Path, rows: list[Truth]) -> None:
    """Write style, performer, tempo (beats a minute), key and seconds of each file as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=list(Truth.__dataclass_fields__))
        table.writeheader()
        table.writerows(asdict(row) for row in rows)


def _known_as(order: Order, folder: Path) -> str:
    """A file's name in the stamp: below the folder if it lies there, else its absolute path."""
    path = order.path.resolve()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _results(orders: list[Order], *, jobs: int) -> Iterator[tuple[Order, Truth]]:
    """Fill the orders, each as soon as one of `jobs` processes is free."""
    if jobs == 1 or len(orders) == 1:
        for order in orders:
            yield order, fill(order)
        return
    with ProcessPoolExecutor(
        jobs,
        mp_context=get_context("spawn"),
        # Ctrl-C reaches every process of the terminal; only this one answers it.
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    ) as pool:
        waiting = {pool.submit(fill, order): order for order in orders}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def make_library(
    folder: Path,
    *,
    seed: int = 0,
    pieces_per_style: int = 6,
    jobs: int = 1,
    upload: Path | None = None,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Truth]:
    """Write what is missing of a library.

    Parameters
    ----------
    folder : Path
        Where it goes; made if it is not there.
    seed : int
        Another seed gives other music under the same names.
    pieces_per_style : int
        Pieces of each of the eight styles.
    jobs : int
        Processes that work at the same time.
    upload : Path or None
        A file for one more piece, by a performer the library does not hold.
    report : callable
        Called with the number of files done and the number of all.

    Returns
    -------
    list of Truth
        One for each file of the library, `upload` not among them, in order of the paths, which
        are relative to `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    for left in folder.rglob(f".*{PART_SUFFIX}"):
        left.unlink()
    orders = order_library(folder, seed=seed, pieces_per_style=pieces_per_style)
    names = [_known_as(order, folder) for order in orders]
    if upload is not None:
        orders.append(Order(guest(seed=seed), upload, format_of(upload)))
    written = read_stamp(folder, seed=seed)
    missing = [
        order
        for order in orders
        if _known_as(order, folder) not in written or not order.path.exists()
    ]
    # A file that is about to be replaced must not be vouched for by the stamp if we are stopped.
    for order in missing:
        written.pop(_known_as(order, folder), None)
    report(len(orders) - len(missing), len(orders))
    for done, (order, truth) in enumerate(_results(missing, jobs=jobs), start=1):
        name = _known_as(order, folder)
        written[name] = replace(truth, path=name)
        write_stamp(folder, written, seed=seed)
        report(len(orders) - len(missing) + done, len(orders))
    return [written[name] for name in sorted(names)]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=f"Write a library of music in {len(STYLES)} styles, composed and played "
        "by this script, as WAV, FLAC, MP3, Ogg Vorbis, Opus and M4A in turn. "
        "Files that an earlier run has written are left alone.",
        epilog="example:\n  python scripts/make_demo_library.py demo-music --jobs 2 "
        "--upload new-upload.mp3",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the library goes")
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed gives other music (default: 0)"
    )
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes at work at the same time (default: one a processor)",
    )
    parser.add_argument(
        "--pieces-per-style",
        type=_positive,
        default=6,
        metavar="N",
        help="pieces of each style (default: 6)",
    )
    parser.add_argument(
        "--upload",
        type=Path,
        metavar="FILE",
        help="also write one folk piece by a performer the library does not hold",
    )
    parser.add_argument(
        "--truth",
        type=Path,
        metavar="FILE",
        help="write style, performer, tempo, key and seconds of each file as CSV",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 1 on a fault, 130 when interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error("--seed is 0 or more")
    if options.upload is not None:
        try:
            format_of(options.upload)
        except ValueError as error:
            parser.error(str(error))
    started = time.monotonic()

    def report(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\rmusic: {done} of {total} files", end="", file=sys.stderr, flush=True)

    try:
        rows = make_library(
            options.folder,
            seed=options.seed,
            pieces_per_style=options.pieces_per_style,
            jobs=options.jobs,
            upload=options.upload,
            report=report,
        )
        if options.truth is not None:
            write_truth(options.truth, rows)
    except KeyboardInterrupt:
        print("\nInterrupted: run the same command again to go on.", file=sys.stderr)
        return 130
    except (OSError, av.error.FFmpegError, soundfile.SoundFileError, BrokenProcessPool) as error:
        print(f"\nThe library could not be written: {error}", file=sys.stderr)
        return 1
    if sys.stderr.isatty():
        print(file=sys.stderr)
    seconds = time.monotonic() - started
    print(
        f"{options.folder}: {len(rows)} pieces in {len(STYLES)} styles ({seconds:.1f} s).",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
