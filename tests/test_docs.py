"""The docs: every command and option stands in a page, and their Python runs."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import click
import pytest

from recommender.__main__ import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHARED = ("--help", "--json", "--catalog", "--vectors")
"""Options that every page means."""


def commands(group: click.Command, *names: str) -> dict[tuple[str, ...], click.Command]:
    found = {names: group}
    for name, inner in getattr(group, "commands", {}).items():
        found |= commands(inner, *names, name)
    return found


COMMANDS = commands(cli)


def python_of(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_a_command_and_its_options_stand_in_one_page(names: tuple[str, ...]) -> None:
    pages = [page.read_text(encoding="utf-8") for page in PAGES]
    having = [text for text in pages if f"soundalike {' '.join(names)}".rstrip() in text]
    assert having, f"no page has `soundalike {' '.join(names)}`"
    options = {
        option
        for parameter in COMMANDS[names].params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--") and option not in SHARED
    }
    missing = [
        {option for option in options if not re.search(rf"{option}(?![\w-])", text)}
        for text in having
    ]
    assert set() in missing, f"in no page of this command: {min(missing, key=len)}"


def test_help_ends_with_an_example() -> None:
    for names, command in COMMANDS.items():
        assert command.epilog is not None, names
        assert command.epilog.startswith("Example: soundalike "), names
        assert command.help, names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_and_imports_work(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
    for code in python_of(page):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom):
                exec(ast.unparse(node), {})  # noqa: S102 - of our own pages


def test_the_python_of_the_readme_runs(
    catalog_path: Path, original_songs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(catalog_path.parent)
    Path("demo").mkdir()
    shutil.copy(original_songs / "album 0" / "02.mp3", "demo/upload.mp3")
    code = python_of(ROOT / "README.md")[0].replace("lamp oil", "song 3")
    printed: list[object] = []
    exec(code, {"print": printed.append})  # noqa: S102 - of our own page
    assert [len(frame) for frame in printed] == [5, 5]  # type: ignore[arg-type]
