"""When an index is searched exactly, when by lists, and what its lists must reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexPolicy:
    """When an index is exact and when it has lists, and the recall it must reach.

    Attributes
    ----------
    exact_up_to : int
        More vectors than this are grouped into lists when they are written to a file. 25,000 of 200
        dimensions take one core 2 ms.
    recall : float
        Part of the 10 nearest that an approximate search must find.
    lists_per_root : float
        Lists for n vectors, divided by the square root of n.
    server_lists_per_root : float
        The same on a server, whose training takes memory with the square of the lists.
    retrain_at : float
        Lists are trained anew when the number of vectors has grown or shrunk by this factor.
    measure_at : float
        Recall is measured again when their number has changed by this part.
    write_at : float
        The file is written again when so much of the index is not as it is in the file.
    read_all_up_to : int
        A filter that leaves at most so many vectors gets all of them scored.
    queries : int
        Held-out queries of a calibration.
    seed : int
        Of the choice of training vectors and held-out queries.
    """

    exact_up_to: int = 25_000
    recall: float = 0.99
    lists_per_root: float = 3.0
    server_lists_per_root: float = 1.0
    retrain_at: float = 2.0
    measure_at: float = 0.25
    write_at: float = 0.05
    read_all_up_to: int = 10_000
    queries: int = 256
    seed: int = 0


DEFAULT_POLICY = IndexPolicy()
