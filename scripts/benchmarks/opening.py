"""A process that opens a catalog and asks once, and prints how long each took as JSON.

python -m benchmarks.opening CATALOG
"""

from __future__ import annotations

import json
import sys
import time

if __name__ == "__main__":
    began = time.perf_counter()
    from recommender import Recommender

    imported = time.perf_counter()
    with Recommender.open(sys.argv[1]) as recommender:
        opened = time.perf_counter()
        recommender.similar_to_track(1, 10)
        answered = time.perf_counter()
    print(
        json.dumps(
            {
                "import_s": imported - began,
                "open_s": opened - imported,
                "first_query_s": answered - opened,
            }
        )
    )
