"""What a million tracks cost beside a tenth of them: questions, opening, memory, one more track.

Every program and size has a process of its own; they are asked in turn, a few questions at a time,
so that whatever else the machine does falls on all alike. Beside this code, where they are given or
installed, stand the code of another checkout, on a catalog that its own modules have written, and
two libraries that search vectors and do nothing else.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import peers
from benchmarks.asked import HERE, Asked, run
from benchmarks.asking import K
from benchmarks.catalogs import Names, added_at, write_files
from benchmarks.made_up import GENRES_OF_STYLE, MadeUp, made_up
from benchmarks.table import Cell, Table
from indexer.models.registry import model_info

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.setting import Setting

SHARES = (0.5, 0.1, 0.01, 0.001)
"""What filters keep."""
READERS = 8
_PER_TURN = 10
"""Questions that a process is asked before the next one is."""
_TEXTS = (
    "calm piano",
    "sad guitar",
    "happy",
    "dark ambient",
    "female vocalists",
    "metal",
)
_SLOW_TURNS = 10
"""Turns in which questions are asked that take the code of today a second."""
_JUDGED = 100
_BLOCK = 20_000
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Program:
    """What answers: this code, another checkout, or a library; with the size of its catalog."""

    name: str
    count: int
    catalog: Path
    checkout: Path | None

    def start(self) -> Asked:
        """A process of it."""
        if self.checkout is not None:
            return Asked("benchmarks.asking", self.catalog, checkout=self.checkout)
        return Asked(
            "benchmarks.peers", self.name, self.catalog, self.catalog.parent / "made_up/vectors.npy"
        )


@dataclass(frozen=True)
class Question:
    """A row of questions: a request, its arguments by turn, and in how many turns it is asked."""

    label: str
    do: str
    arguments: tuple[dict[str, Any], ...]
    where: dict[str, Any] | None = None


def measure(setting: Setting) -> tuple[Table, ...]:
    """Every figure of two sizes of catalog, of this code and of what stands beside it."""
    folder = setting.keep or setting.folder / "million"
    programs = list(_prepared(setting, folder))
    libraries = {
        count: MadeUp.load(folder / str(count) / "made_up")
        for count in setting.sizes.million_counts
    }
    absent = [name for name in peers.NAMES if not peers.installed(name)]
    missing = f"\nNot installed: {', '.join(absent)}." if absent else ""
    return (
        _question_table(setting, programs, libraries, missing),
        _opening_table(setting, programs),
        _memory_table(setting, programs),
        _added_table(setting, programs),
        _rescan_table(setting, programs),
    )


def _prepared(setting: Setting, folder: Path) -> Iterator[Program]:
    """Make what is not there yet; yields the programs, by size, the smaller first."""
    for count in setting.sizes.million_counts:
        place = folder / str(count)
        if not (place / "made_up").exists():
            made_up(count, dim=model_info().dim, seed=setting.seed).save(place / "made_up")
        checkouts = {"this code": HERE} | (
            {} if setting.against is None else {_revision(setting.against): setting.against}
        )
        for name, checkout in checkouts.items():
            below = place / ("this" if checkout == HERE else name)
            if not below.exists():
                draft = place / "draft"
                shutil.rmtree(draft, ignore_errors=True)
                draft.mkdir()
                arguments = (draft / "catalog.db", place / "made_up", place / "music", setting.seed)
                run("benchmarks.catalogs", *arguments, checkout=checkout)
                draft.rename(below)
            if not (place / "music").exists():
                write_files(below / "catalog.db")
            yield Program(name, count, below / "catalog.db", checkout)
        for name in filter(peers.installed, peers.NAMES):
            program = Program(name, count, place / f"{name}.index", None)
            with program.start() as process:
                process.ask("build")
            yield program


def _revision(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or checkout.name


def _question_table(
    setting: Setting,
    programs: Sequence[Program],
    libraries: Mapping[int, MadeUp],
    missing: str,
) -> Table:
    with ExitStack() as stack:
        running = {program: stack.enter_context(program.start()) for program in programs}
        for process in running.values():
            process.ask("load")
            process.ask("open")
        questions = {
            program: _questions(setting, program, libraries[program.count], running[program])
            for program in programs
        }
        times: dict[tuple[Program, str], list[float]] = {}
        turns = setting.sizes.queries // _PER_TURN
        for turn in range(-1, turns):
            for row in range(max(map(len, questions.values()))):
                for program in programs:
                    if row >= len(questions[program]):
                        continue
                    question = questions[program][row]
                    if turn >= len(question.arguments) - 1:
                        continue
                    # The first turn, which makes caches, is not counted.
                    asked = question.arguments[turn + 1]
                    found = running[program].ask(question.do, **asked)["ms"]
                    if turn >= 0:
                        times.setdefault((program, question.label), []).extend(found)
        recalls = _recalls(setting, programs, questions, running, libraries)
    rows: list[tuple[Cell, ...]] = []
    labels = [question.label for question in next(iter(questions.values()))]
    for label in labels:
        for name in dict.fromkeys(program.name for program in programs):
            before: float | None = None
            for program in programs:
                if program.name == name and (program, label) in times:
                    p50, p99 = np.percentile(times[program, label], [50, 99]).tolist()
                    ratio = None if before is None else p50 / before
                    recall = recalls.get((program, label))
                    asked = len(times[program, label])
                    rows.append((label, name, program.count, asked, p50, p99, ratio, recall))
                    before = p50
    least, most = setting.sizes.million_counts
    return Table(
        title=f"Questions for {K} among {least:,} and {most:,} tracks, milliseconds",
        columns=(
            "question",
            "by",
            "tracks",
            "asked",
            "p50",
            "p99",
            "growth",
            "recall",
        ),
        rows=tuple(rows),
        notes="All in turn, a few questions at a time, in processes that have answered each kind "
        "before. Growth: the p50 over that of the same program's smaller catalog.\n"
        f"Recall@{K} of `Recommender.nearest` against an exact scan of {_JUDGED} vectors, ties "
        "counted as found.\n"
        "Filters keep tracks added since a time, which is at random, or genres of a style. usearch "
        f"and hnswlib search vectors only, by graphs of {peers.LINKS} links with the shortest list "
        f"that finds {peers.RECALL:.0%}; they read no names and fold no duplicates, and their "
        f"Python functions filter by one call per vector or not at all.{missing}",
    )


def _questions(
    setting: Setting, program: Program, library: MadeUp, process: Asked
) -> list[Question]:
    rng = np.random.default_rng([setting.seed, program.count])
    turns = setting.sizes.queries // _PER_TURN + 1
    ids = rng.integers(1, program.count + 1, (turns, _PER_TURN)).tolist()
    found = [Question("similar_to_track", "similar", tuple({"ids": turn} for turn in ids))]
    if program.checkout is None:
        return found
    for share in SHARES:
        for kind, where in (
            ("at random", _since(library, setting.seed, share)),
            ("a style", _of_style(library, setting.seed, share)),
        ):
            asked = tuple({"ids": turn, "where": where} for turn in ids)
            found.append(
                Question(f"with a filter of {100 * share:g} %, {kind}", "similar", asked, where)
            )
    slow = min(turns, _SLOW_TURNS + 1)
    names = process.ask("names", ids=rng.integers(1, program.count + 1, slow).tolist())["texts"]
    words = [name.rpartition(" ")[2] for name in names]
    texts = {
        "find": [_TEXTS[turn % len(_TEXTS)] for turn in range(slow)],
        "track": names,
        "browse": words,
        "facets": words,
    }
    labels = {
        "find": 'find "calm piano" and others',
        "track": "track by artist and title",
        "browse": "browse, one word",
        "facets": "facets, one word",
    }
    for do, asked_for in texts.items():
        found.append(Question(labels[do], do, tuple({"texts": [text]} for text in asked_for)))
    return found


def _since(library: MadeUp, seed: int, share: float) -> dict[str, Any]:
    """A filter that keeps a share of tracks whatever they sound like."""
    return {"added_since": float(np.quantile(added_at(library, seed), 1 - share))}


def _of_style(library: MadeUp, seed: int, share: float) -> dict[str, Any]:
    """A filter that keeps about a share of tracks: genres of as few styles as possible."""
    counts = np.bincount(library.genre)
    names = Names(0, 0, seed=seed)
    wanted = share * len(library)
    chosen: list[int] = []
    # Styles from the largest, and their genres, each taken that still fits.
    styles = np.argsort(
        -np.bincount(np.arange(len(counts)) // GENRES_OF_STYLE, counts), kind="stable"
    )
    for style in styles.tolist():
        for genre in range(style * GENRES_OF_STYLE, (style + 1) * GENRES_OF_STYLE):
            if genre < len(counts) and 0 < counts[genre] <= wanted:
                chosen.append(genre)
                wanted -= counts[genre]
        if wanted < 0.2 * share * len(library):
            break
    return {"genre": [names.genres[genre] for genre in chosen or [int(counts.argmax())]]}


def _recalls(
    setting: Setting,
    programs: Sequence[Program],
    questions: Mapping[Program, Sequence[Question]],
    running: Mapping[Program, Asked],
    libraries: Mapping[int, MadeUp],
) -> dict[tuple[Program, str], float]:
    """The part of the nearest, by an exact scan, that each program finds."""
    found: dict[tuple[Program, str], float] = {}
    for count, library in libraries.items():
        rng = np.random.default_rng([setting.seed, count, 1])
        ids = rng.integers(1, count + 1, _JUDGED)
        queries = _unit(library.vectors[ids - 1])
        here = next(one for one in programs if one.count == count and one.checkout)
        kept: dict[str, NDArray[np.bool_]] = {}
        for question in questions[here]:
            if question.do == "similar":
                mask = np.ones(count, np.bool_)
                if question.where is not None:
                    of_filter = here.catalog.with_name("kept.npy")
                    running[here].ask("kept", where=question.where, file=str(of_filter))
                    mask[:] = False
                    allowed = np.load(of_filter)
                    mask[allowed[allowed <= count] - 1] = True
                    of_filter.unlink()
                kept[question.label] = mask
        least = _tenth_best(library, queries, kept)
        for program in programs:
            if program.count != count:
                continue
            for question in questions[program]:
                if question.label in least:
                    where = {} if question.where is None else {"where": question.where}
                    answers = running[program].ask("nearest", ids=ids.tolist(), **where)["ids"]
                    hits = [
                        _hits(library, query, answer, tenth)
                        for query, answer, tenth in zip(
                            queries, answers, least[question.label], strict=True
                        )
                    ]
                    found[program, question.label] = float(np.mean(hits))
    return found


def _tenth_best(
    library: MadeUp, queries: NDArray[np.float32], kept: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.float32]]:
    """The `K`-th highest cosines (queries, K) of tracks in each mask, ascending; -2 for none."""
    best = {label: np.full((len(queries), K), -2.0, np.float32) for label in kept}
    for start in range(0, len(library), _BLOCK):
        products = queries @ _unit(library.vectors[start : start + _BLOCK]).T
        for label, mask in kept.items():
            allowed = products[:, mask[start : start + _BLOCK]]
            both = np.hstack([best[label], allowed])
            best[label] = np.sort(np.partition(both, -K, axis=1)[:, -K:], axis=1)
    return best


def _hits(
    library: MadeUp, query: NDArray[np.float32], answer: Sequence[int], best: NDArray[np.float32]
) -> float:
    """The part of what could be found that an answer holds."""
    there = best[best > -2.0]
    if len(there) == 0:
        return 1.0
    rows = np.array(answer, np.int64) - 1
    cosines = _unit(library.vectors[np.sort(rows[(rows >= 0) & (rows < len(library))])]) @ query
    return min(1.0, float((cosines >= there[0] - 1e-5).sum()) / len(there))


def _unit(half: NDArray[np.float16]) -> NDArray[np.float32]:
    rows = np.asarray(half, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _opening_table(setting: Setting, programs: Sequence[Program]) -> Table:
    found: dict[Program, list[tuple[float, float]]] = {program: [] for program in programs}
    for number in range(setting.sizes.start_runs + 1):
        for program in programs:
            with program.start() as process:
                process.ask("load")
                opened = process.ask("open")["ms"][0]
                first = process.ask("similar", ids=[number + 1])["ms"][0]
                if number:
                    found[program].append((opened, first))
    rows: list[tuple[Cell, ...]] = []
    for name in dict.fromkeys(program.name for program in programs):
        for program in programs:
            if program.name == name:
                opened, first = (median(column) for column in zip(*found[program], strict=True))
                built = None
                if program.checkout is None:
                    with program.start() as process:
                        built = process.ask("build")["built_s"]
                rows.append((name, program.count, opened, first, built))
    return Table(
        title="Opening, milliseconds",
        columns=("by", "tracks", "open", "first question", "built in s"),
        rows=tuple(rows),
        notes=f"Medians of {setting.sizes.start_runs} fresh processes each, in turn, after one "
        "that is not counted; imports before; files in the page cache. Graphs are built once, on "
        "all cores.",
    )


def _memory_table(setting: Setting, programs: Sequence[Program]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    rng = np.random.default_rng(setting.seed)
    for program in programs:
        ids = rng.integers(1, program.count + 1, 2 * setting.sizes.queries).tolist()
        with program.start() as process:
            process.ask("load")
            bare = process.ask("memory")["rss"]
            process.ask("open")
            process.ask("similar", ids=ids[:1])
            once = process.ask("memory")
            process.ask("similar", ids=ids)
            many = process.ask("memory")
        all_of_them: list[float | None] = [None, None, None]
        if program.checkout is not None:
            all_of_them = list(_together(setting, program))
        rows.append(
            (
                program.name,
                program.count,
                bare,
                once["rss"] - bare,
                many["rss"] - bare,
                many["private"],
                many["shared"],
                many["pss"],
                *all_of_them,
            )
        )
    return Table(
        title="Memory of reading processes, MB",
        columns=(
            "by",
            "tracks",
            "imports",
            "one question",
            "many questions",
            "private",
            "shared",
            "PSS",
            f"{READERS} readers beyond imports",
            f"{READERS} readers",
            f"{READERS} readers, a writer",
        ),
        rows=tuple(rows),
        notes="By /proc/self/smaps_rollup. Imports: resident memory of Python with what questions "
        f"need; one and {2 * setting.sizes.queries} questions: what was added to that; private, "
        "shared and PSS: of the whole process after these.\n"
        f"{READERS} readers: the sum of their PSS, without and with that of imports, each after "
        f"{setting.sizes.queries} questions.",
    )


def _together(setting: Setting, program: Program) -> tuple[float, float, float]:
    rng = np.random.default_rng(setting.seed)
    with ExitStack() as stack:
        readers = [stack.enter_context(program.start()) for _ in range(READERS)]
        for reader in readers:
            reader.ask("load")
        bare = sum(reader.ask("memory")["pss"] for reader in readers)
        for reader in readers:
            reader.ask("open")
            ids = rng.integers(1, program.count + 1, setting.sizes.queries).tolist()
            reader.ask("similar", ids=ids)
        alone = sum(reader.ask("memory")["pss"] for reader in readers)
        writer = stack.enter_context(program.start())
        writer.ask("hold")
        return alone - bare, alone, sum(one.ask("memory")["pss"] for one in [*readers, writer])


def _added_table(setting: Setting, programs: Sequence[Program]) -> Table:
    asked = [program for program in programs if program.checkout is not None]
    found: dict[Program, list[tuple[float, ...]]] = {program: [] for program in asked}
    rewritten: dict[Program, dict[str, float]] = {program: {} for program in asked}
    rng = np.random.default_rng(time.time_ns())
    dim = model_info().dim
    with ExitStack() as stack:
        readers = {program: stack.enter_context(program.start()) for program in asked}
        for reader in readers.values():
            reader.ask("open")
            reader.ask("similar", ids=[1, 2, 3])
        for number in range(setting.sizes.start_runs):
            for program in asked:
                vector = rng.standard_normal(dim).tolist()
                before = _files(program.catalog)
                name = f"one more {time.time_ns()} {number}"
                with program.start() as writer:
                    began = time.monotonic()
                    added = writer.ask("add", vector=vector, name=name)
                    whole = time.monotonic() - began
                seen = readers[program].ask(
                    "see", vector=vector, track=added["first"], patience_s=_PATIENCE_S
                )
                if not seen["seen"]:
                    raise RuntimeError(
                        f"{program.name} has not seen a new track: {program.catalog}"
                    )
                found[program].append((seen["ms"][0], seen["cpu_ms"], added["ms"][0], whole))
                rewritten[program] |= {
                    file: size
                    for file, (size, *identity) in _files(program.catalog).items()
                    if before.get(file, (0,))[1:] != tuple(identity)
                }
    rows: list[tuple[Cell, ...]] = []
    for name in dict.fromkeys(program.name for program in asked):
        for program in asked:
            if program.name == name:
                columns = list(zip(*found[program], strict=True))
                seen_ms, cpu_ms, commit_ms, whole = (median(column) for column in columns)
                files = rewritten[program]
                shown = ", ".join(f"{file} ({size:,.1f} MB)" for file, size in files.items())
                cells = (seen_ms, max(columns[0]), cpu_ms, commit_ms, whole)
                rows.append((name, program.count, *cells, shown or "none"))
    return Table(
        title="One more track, written by one process and seen by another",
        columns=(
            "by",
            "tracks",
            "seen in ms",
            "worst",
            "CPU ms of the reader",
            "commit ms",
            "writer's whole life s",
            "files rewritten beside the catalog",
        ),
        rows=tuple(rows),
        notes=f"Medians of {setting.sizes.start_runs} tracks each. Seen: from when the reader is "
        "asked, after the commit, until its answer holds the track. A file is rewritten if its "
        "inode or time has changed; the catalog itself and SQLite's own files are not counted.",
    )


def _rescan_table(setting: Setting, programs: Sequence[Program]) -> Table:
    asked = [program for program in programs if program.checkout is not None]
    found: dict[Program, list[tuple[float, float, float]]] = {program: [] for program in asked}
    walks: dict[int, list[float]] = {program.count: [] for program in asked}
    for number in range(setting.sizes.rescans + 1):
        for program in asked:
            with program.start() as writer:
                music = str(program.catalog.parents[1] / "music")
                walked = writer.ask("walk", folder=music)["ms"][0]
                done = writer.ask("rescan", folder=music, count=program.count)
            if number:
                walks[program.count].append(walked)
                found[program].append((done["ms"][0], done["peak_mb"], done["more_mb"]))
    rows: list[tuple[Cell, ...]] = [
        ("os.walk and os.stat", count, median(times) / 1e3, 1e3 * count / median(times), None, None)
        for count, times in walks.items()
    ]
    for name in dict.fromkeys(program.name for program in asked):
        for program in asked:
            if program.name == name:
                ms, peak, more = (median(column) for column in zip(*found[program], strict=True))
                speed = 1e3 * program.count / ms
                rows.append((name, program.count, ms / 1e3, speed, peak, more))
    return Table(
        title="A rescan of files of which none has changed, in process",
        columns=("by", "files", "s", "files/s", "peak MB", "MB more than before"),
        rows=tuple(rows),
        notes=f"Medians of {setting.sizes.rescans} fresh processes each, in turn, after one that "
        "is not counted, of `index_paths` on an open library. Peak: of the whole process.",
    )


def _files(catalog: Path) -> dict[str, tuple[float, int, int]]:
    """Size in MB, inode and time of the files beside a catalog."""
    own = {catalog.name + end for end in ("", "-wal", "-shm", ".lock")}
    found = {}
    for path in sorted(catalog.parent.rglob("*")):
        if path.is_file() and path.name not in own and path.suffix != ".lock":
            status = path.stat()
            found[path.name] = (status.st_size / 1e6, status.st_ino, status.st_mtime_ns)
    return found
