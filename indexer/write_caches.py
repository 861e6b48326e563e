"""A process of low priority that writes the files of vectors and facets, where they are due.

python -m indexer.write_caches CATALOG POLICY

POLICY is an `IndexPolicy` as JSON.

Readers start it, and go on asking meanwhile; see `indexer.library`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress

from indexer.catalog.reader import Catalog
from indexer.errors import SoundalikeError
from indexer.library_on_server import library_of
from indexer.vectors.policy import IndexPolicy


def main(policy: str) -> int:
    """Write the files of the catalog whose address is on standard input; returns the status.

    An address can hold a password, which other users of a machine would see among arguments.
    """
    catalog = sys.stdin.readline().strip()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with suppress(OSError):
        # Readers come first, but 19 would leave it a hundredth of a processor that others use.
        os.nice(10)
    import faiss

    faiss.omp_set_num_threads(1)
    try:
        library = library_of(
            Catalog.open_for_reading(catalog), policy=IndexPolicy(**json.loads(policy))
        )
    except SoundalikeError:
        return 1  # Its parent has it open, and sees for itself what has become of it.
    library.save_index(check=True)
    library.facets.save(closing=False)
    library.close()
    return 0


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: a draft is all that it leaves."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
