"""The plan of the packages: which folder may import from which, and what each may not know."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WINGS = (
    "beetsplug",
    "recommender.__main__",
    "recommender.commands",
    "recommender.server",
    "recommender.players",
    "recommender.mcp",
    "recommender.plots",
    "recommender.text",
    "recommender.collection",
    "recommender.genres",
    "recommender.playlists",
    "recommender.evaluation",
    "recommender.cold_start",
    "recommender.engine",
    "recommender.catalog_view",
    "recommender.retrieval",
    "recommender.lazy_attributes",
    "indexer.indexing",
    "indexer.write_caches",
    "indexer.library_on_server",
    "indexer.library",
    "indexer.facets",
    "indexer.catalog",
    "indexer.analysis",
    "indexer.models",
    "indexer.features",
    "indexer.audio",
    "indexer.vectors",
    "indexer.mapped_arrays",
    "indexer.remote_files",
    "indexer.text_folding",
    "indexer.filesystem",
    "indexer.errors",
)
"""From the top down: a module imports from its own wing and from the wings below it."""
PUBLIC_NAMES = ("indexer", "recommender")
"""Packages whose `__init__` hands on names of their own wings."""

NO_DATABASE = ("sqlalchemy", "alembic", "sqlite3")
NO_AUDIO = ("av", "soxr", "torch", "librosa", "soundfile", "tinytag")
FORBIDDEN = {
    "recommender": NO_DATABASE,
    "indexer.analysis": (*NO_DATABASE, "faiss"),
    "indexer.models": (*NO_DATABASE, "faiss"),
    "indexer.features": (*NO_DATABASE, "faiss"),
    "indexer.audio": (*NO_DATABASE, "faiss"),
    "indexer.catalog": NO_AUDIO,
    "indexer.facets": (*NO_DATABASE, *NO_AUDIO),
    "indexer.vectors": NO_AUDIO,
}
"""What no module of a wing imports."""


def module_paths() -> dict[str, Path]:
    found = {}
    for package in ("beetsplug", "indexer", "recommender"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = module_paths()


def wing_of(module: str) -> int:
    fits = [n for n, wing in enumerate(WINGS) if module == wing or module.startswith(wing + ".")]
    assert fits, f"{module} is in no wing: give it one in WINGS"
    return fits[0]


def imports(module: str) -> set[str]:
    """Modules of ours by their whole names, and other packages by their first."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            names.update(inner or {node.module})
    return {name if name in MODULES else name.partition(".")[0] for name in names} - {module}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - set(PUBLIC_NAMES)))
def test_a_module_imports_only_from_its_own_wing_and_those_below(module: str) -> None:
    for name in imports(module) & MODULES.keys() - set(PUBLIC_NAMES):
        assert wing_of(name) >= wing_of(module), f"{module} imports {name}, which is above it"


def test_no_module_imports_itself_by_way_of_others() -> None:
    TopologicalSorter({module: imports(module) & MODULES.keys() for module in MODULES}).prepare()


@pytest.mark.parametrize("wing", FORBIDDEN)
def test_a_wing_knows_nothing_of(wing: str) -> None:
    for module in MODULES:
        if module == wing or module.startswith(wing + "."):
            assert not imports(module) & set(FORBIDDEN[wing]), module


@pytest.mark.parametrize(
    "package",
    ["recommender.engine", "indexer", "recommender.__main__", "recommender.cold_start"],
)
def test_importing_loads_no_heavy_package(package: str) -> None:
    heavy = ("torch", "librosa", "matplotlib", "sklearn", "pandas", "sqlalchemy", "faiss")
    code = f"import sys, {package}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
