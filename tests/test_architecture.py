"""The plan of the house: which room may import from which."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = (
    ("recommender.__main__",),
    ("recommender.commands",),
    ("recommender",),  # the package's public names
    ("recommender.checkup",),
    ("recommender.copy_lookups",),
    ("recommender.pictures",),
    ("recommender.duplicates",),
    ("recommender.words",),
    ("recommender.journeys",),
    ("recommender.genres", "recommender.clusters"),
    ("recommender.tag_profile", "recommender.pictures.style"),
    (
        "recommender.cold_start",  # loads its rooms when they are asked for
        "recommender.cold_start.hybrid",
    ),
    ("recommender.cold_start.features", "recommender.cold_start.export"),
    ("recommender.engine",),
    ("recommender.answering", "recommender.hearing"),
    ("recommender.ranking", "recommender.background", "recommender.search"),
    ("recommender.versions",),
    ("recommender.seeds",),
    ("recommender.reasons", "recommender.compiled"),
    ("recommender.filters",),
    ("recommender.rerank", "recommender.hubs"),
    ("recommender.playlists", "recommender.blending"),
    ("recommender.vocabulary", "recommender.lyrics"),
    (
        "recommender.cold_start.blending",
        "recommender.cold_start.content",
        "recommender.cold_start.items",
        "recommender.cold_start.listeners",
    ),
    ("recommender.cold_start.regressor",),
    (
        "recommender.cold_start.collaborative",
        "recommender.cold_start.folds",
        "recommender.cold_start.ids",
        "recommender.cold_start.maps",
        "recommender.cold_start.plays",
        "recommender.cold_start.ranked",
        "recommender.cold_start.scoring",
    ),
    ("recommender.cold_start.arguments",),
    ("recommender.lookup", "recommender.answers"),
    ("recommender.evaluation", "recommender.copies"),
    ("recommender.synonyms", "recommender.text_embedding"),
    ("indexer.pipeline",),
    ("indexer.scan", "indexer.run"),
    ("indexer.library",),
    ("indexer.vectors", "indexer.catalog_writer", "indexer.known_files", "indexer.filter_queries"),
    ("indexer.catalog", "indexer.migrations"),
    ("indexer.catalog_file",),
    ("indexer.schema", "indexer.lock", "indexer.vectors.half_precision"),
    ("indexer.workers", "indexer.listeners"),
    ("indexer.analysis",),
    ("indexer.descriptors",),
    ("indexer.tempo", "indexer.key", "indexer.loudness"),
    ("indexer.model",),
    ("indexer.ensemble",),
    ("indexer.embedding", "indexer.musicnn", "indexer.published"),
    ("indexer.network",),
    ("indexer.efficientat", "indexer.fcn"),
    ("indexer.checkpoint", "indexer.tensor_bundle"),
    ("indexer.outlines",),
    ("indexer.melspectrogram",),
    ("indexer.audio", "indexer.tags"),
    ("indexer.windows",),
    ("indexer.samples",),
    ("indexer.demux",),
    ("indexer.mpeg_frames", "indexer.sandbox"),
    ("indexer.errors", "indexer.paths", "indexer.track_status", "indexer.drafts"),
    ("indexer",),
)
"""From the roof down; a room imports from its own floor's package or from floors below."""

KNOW_NO_DATABASE = ("sqlalchemy", "alembic", "sqlite3", "faiss")
KNOW_NO_AUDIO = ("av", "soxr", "torch", "librosa", "soundfile", "tinytag")


def floor_of(module: str) -> int:
    """The floor whose room's name is the longest beginning of the module's."""
    fits = [
        (len(room), number)
        for number, rooms in enumerate(FLOORS)
        for room in rooms
        if module == room or module.startswith(room + ".")
    ]
    assert fits, f"{module} has no floor: give it one in FLOORS"
    return max(fits)[1]


def modules() -> dict[str, Path]:
    found = {}
    for package in ("indexer", "recommender"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    known = modules()
    ours = {name for name in names if name.split(".")[0] in ("indexer", "recommender")}
    return (names - ours) | (ours & known.keys())


@pytest.mark.parametrize("module", modules())
def test_a_room_imports_only_from_rooms_below_it(module: str) -> None:
    own = floor_of(module)
    package = module.rpartition(".")[0]
    for name in imports(modules()[module]):
        if name.split(".")[0] not in ("indexer", "recommender") or name == module:
            continue
        beside = floor_of(name) == own and name.startswith((package, module))
        assert beside or floor_of(name) > own, f"{module} imports {name}, which is above it"


@pytest.mark.parametrize("module", modules())
def test_audio_knows_no_database_and_the_database_no_audio(module: str) -> None:
    outside = {name.split(".")[0] for name in imports(modules()[module])}
    if floor_of("indexer.analysis") <= floor_of(module):
        assert not outside & set(KNOW_NO_DATABASE)
    if module.startswith(("indexer.catalog", "indexer.vectors", "indexer.schema")):
        assert not outside & set(KNOW_NO_AUDIO)


@pytest.mark.parametrize(
    "package",
    ["recommender.engine", "indexer", "recommender.__main__", "recommender.cold_start"],
)
def test_importing_loads_no_heavy_package(package: str) -> None:
    heavy = ("torch", "librosa", "matplotlib", "sklearn", "pandas", "sqlalchemy", "faiss")
    code = f"import sys, {package}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
