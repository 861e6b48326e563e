"""Ask a reader without pause while a writer adds and removes tracks and new bases are made.

Prints latencies, memory, and recall against exact scans of the same change number. Ends with exit
status 1 if an answer held a track that was not alive, or too few.

Example: python scripts/stress.py --minutes 10 --keep million
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.made_up import MadeUp, made_up
from benchmarks.stressing import Load, measure
from benchmarks.table import plain_text

from indexer.models.registry import model_info

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    seconds = 60 * options.minutes
    load = Load(
        add=options.add,
        remove=options.remove,
        batch=options.batch,
        alone_s=0.1 * seconds,
        seconds=0.8 * seconds,
        settle_s=0.1 * seconds,
    )
    kept = None if options.keep is None else options.keep / str(options.tracks)
    if kept is None:
        library = made_up(options.tracks, dim=model_info().dim, seed=options.seed)
    else:
        library = MadeUp.load(kept / "made_up")
    scratch = Path(tempfile.mkdtemp(prefix="soundalike-stress-", dir=options.scratch))
    try:
        outcome = measure(
            scratch / "stress",
            library,
            load,
            seed=options.seed,
            source=kept and kept / "this" / "catalog.db",
        )
    finally:
        shutil.rmtree(scratch)
    print(f"load: {' '.join(f'{load:.2f}' for load in os.getloadavg())} (1, 5, 15 minutes)")
    print(plain_text(outcome.table))
    for line in outcome.wrong:
        print(f"WRONG {line}")
    return int(bool(outcome.wrong))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=1_000_000, help="in the catalog at first")
    parser.add_argument("--add", type=int, default=100_000, help="tracks to be added")
    parser.add_argument("--remove", type=int, default=20_000, help="tracks to be removed")
    parser.add_argument("--batch", type=int, default=256, help="tracks added in one transaction")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the reader is asked")
    parser.add_argument("--seed", type=int, default=0, help="of vectors and choices")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="copy the catalog that `benchmark.py million --keep DIR` has made",
    )
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where the catalog lies")
    return parser


if __name__ == "__main__":
    sys.exit(main())
