"""What the figures are meant to reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.table import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Target:
    """A limit for a figure.

    Attributes
    ----------
    figure : str
        The name by which a table's `Result` gives it.
    said : str
        What it is.
    limit : float
    unit : str
    at_least : bool
        Whether the figure should be at least the limit; otherwise at most.
    """

    figure: str
    said: str
    limit: float
    unit: str
    at_least: bool = False

    def is_met(self, reached: float) -> bool:
        """Whether a figure is on the right side of the limit."""
        return reached >= self.limit if self.at_least else reached <= self.limit


_LONG = (("mp3", "MP3"), ("m4a", "M4A"), ("opus", "Opus"))

TARGETS = (
    # Half of the 1.3 s that the published extractor, in TensorFlow, took.
    Target("analysis.mp3.clip.total_s", "a 30-second MP3", 0.65, "CPU s"),
    Target("analysis.mp3.track.total_s", "a 4-minute MP3, 12 windows", 1.0, "CPU s"),
    Target("analysis.mp3.track.input_s", "of which demux + hash + decode + resample", 0.2, "CPU s"),
    *(
        # Twice the second that four minutes may cost, and twice what they do cost.
        Target(f"memory.{suffix}.cpu_s", f"a 3-hour {name}", 2.0, "CPU s")
        for suffix, name in _LONG
    ),
    *(
        Target(f"memory.{suffix}.cpu_ratio", f"CPU of a 3-hour {name} to a 4-minute one", 2.0, "x")
        for suffix, name in _LONG
    ),
    *(
        Target(
            f"memory.{suffix}.more_mb",
            f"peak memory of a 3-hour {name} above a 5-minute one",
            50.0,
            "MB",
        )
        for suffix, name in _LONG
    ),
    Target("workers.speed_up", "two workers to one, once they run", 1.7, "x", at_least=True),
    Target("queries.100000.track_p50_ms", "similar_to_track at 100k tracks, p50", 2.0, "ms"),
    Target("queries.100000.station_p50_ms", "a station step at 100k tracks, p50", 20.0, "ms"),
    *(
        Target(
            f"queries.1000000.filter_{part}_{kind}.{name}",
            f"a {kind} filter that keeps {part} % of 1M vectors, {said}",
            limit,
            unit,
            at_least=unit == "recall",
        )
        for kind in ("random", "style")
        for part in ("50", "10", "1", "0.1")
        for name, said, limit, unit in (
            ("p50_ms", "p50", 10.0, "ms"),
            ("recall", "recall@10", 0.99, "recall"),
        )
    ),
    Target("queries.mmr_p50_ms", "MMR over 1,000 candidates, p50", 20.0, "ms"),
    Target("open.100000_s", "opening 100k tracks", 1.0, "s"),
    Target("start.import_s", "import recommender", 0.5, "s"),
    Target("start.rescan_per_s", "rescan without changes", 20_000.0, "files/s", at_least=True),
)


def judged(figures: Mapping[str, float], targets: Iterable[Target] = TARGETS) -> Table:
    """A table of the targets with what was reached; those not measured have neither yes nor no."""
    rows: list[tuple[Cell, ...]] = []
    for target in targets:
        reached = figures.get(target.figure)
        met = None if reached is None else "yes" if target.is_met(reached) else "no"
        bound = ">=" if target.at_least else "<="
        rows.append((target.said, f"{bound} {target.limit:,g} {target.unit}", reached, met))
    return Table("Targets", ("what", "target", "reached", "met"), tuple(rows))
