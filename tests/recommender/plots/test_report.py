from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from contextlib import closing
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog import writer
from indexer.catalog.file_queries import SeenFile
from indexer.errors import NotAudio
from indexer.library import Library
from recommender.collection.survey import survey
from recommender.engine import Recommender
from recommender.retrieval.lookup import count_noun
from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCRIPT = "<script>alert(1)</script>"
VOID = {"meta", "br", "input", "circle", "rect", "line"}
BROWSER = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
        if (path := shutil.which(name))
    ),
    None,
)


class Page(HTMLParser):
    """What a page holds: tags with their attributes, its text, and whether its tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said.setdefault(self.open[-1] if self.open else "", []).append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two genres of four artists each, an outlier, a copy, a failure; markup wherever it fits."""
    rng = np.random.default_rng(0)
    planted = []
    for number in range(30):
        group = number % 2
        vector = np.eye(DIM)[group] + 0.1 * rng.standard_normal(DIM)
        planted.append(
            Planted(
                f'Song "{number}" <b>',
                activations={"loud": 0.1 + 0.7 * group, "calm": 0.8 - 0.7 * group},
                genre=("Jazz & <i>Blues</i>", "Rock")[group],
                artist=SCRIPT if number < 2 else f"Band {number % 8}",
                album="' onmouseover='alert(2)",
                vector=vector.tolist(),
                tempo_bpm=90.0 + number if number else None,
                year=1990 + number,
                musical_key="A minor",
            )
        )
    planted[7] = Planted("Copy", artist="Band 5", recording=6, vector=planted[5].vector)
    planted.append(Planted("Odd", artist=None, vector=(-np.eye(DIM)[5]).tolist()))
    place = plant(tmp_path_factory.mktemp("surveyed"), ("loud", "calm"), planted)
    with closing(Library.open_for_writing(place)) as opened:
        root = opened.catalog.roots()[0]
        with opened.catalog.writing() as connection:
            file = SeenFile(root + b"/<u>\xff.mp3", root, 0, 1)
            error = NotAudio(f"{SCRIPT} is no audio file", stage="open")
            writer.store_failures(connection, [(file, error)])
    return place


def test_figures_are_those_of_the_library(library: Path) -> None:
    with Recommender.open(library) as recommender:
        found = survey(recommender, str(library))
    assert found.totals["tracks"] == 31
    assert found.totals["recordings"] == 30
    assert found.totals["failures"] == 1
    assert sum(found.tempi.counts) == 29
    assert found.tempi.unknown == 2
    assert sum(found.durations.counts) == 31
    assert found.years.edges[0] <= 1990 < found.years.edges[1]
    assert dict(found.genres.counts)["Rock"] == 14
    assert dict(found.keys.counts) == {"A minor": 30}
    (loud,) = (one for one in found.genre_tags if one.genre == "Rock")
    assert loud.tags[0].tag == "loud"
    # Two heaps: all neighbours are of the genre.
    assert found.precision is not None
    assert found.precision > 0.9
    assert found.chance is not None
    assert found.chance < 0.6
    assert all(one.silhouette is not None and one.silhouette > 0.5 for one in found.separability)
    assert found.outliers[0].name == "Odd"
    assert any(group.sure and {6, 8} <= {t.id for t in group.tracks} for group in found.duplicates)
    json.dumps(found.to_json())


def test_the_page_is_whole_and_foreign_text_is_text(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, library: Path
) -> None:
    code, out, _ = run("explore", "--catalog", library, "--title", SCRIPT, "--json")
    assert code == 0
    assert json.loads(out)["totals"]["tracks"] == 31
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert len(page.all("script")) == 1
    assert "alert" not in "".join(page.said["script"])
    assert SCRIPT not in text
    assert not page.all("b") or all(not attributes for attributes in page.all("b"))
    assert not page.all("i")
    assert not page.all("u")
    said = "".join(part for parts in page.said.values() for part in parts)
    assert SCRIPT in said
    assert 'Song "0" <b>' in said
    assert "Jazz & <i>Blues</i>" in said
    for _tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.keys().isdisjoint({"src", "srcset", "action", "data", "style"})
        assert (attributes.get("href") or "#").startswith("#")
    assert not page.all("link")
    assert not page.all("img")
    assert not re.search(r"https?:|url\(|@import|//\w+\.\w", text)
    # What has no text of its own says what it is; links lead somewhere.
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert all((attributes["href"] or "")[1:] in ids for attributes in page.all("a"))
    for attributes in page.all("svg"):
        assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label")
    assert len(page.all("circle")) >= 31
    assert page.all("html")[0] == {"lang": "en"}
    assert any(one.get("name") == "viewport" for one in page.all("meta"))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_the_policy_lets_in_only_what_is_on_the_page(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, library: Path
) -> None:
    run("explore", "--catalog", library, "--out", "page.html")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    policy = page.all("meta")[1]["content"] or ""
    assert policy.startswith("default-src 'none'")
    for kind in ("style", "script"):
        digest = hashlib.sha256("".join(page.said[kind]).encode()).digest()
        assert f"{kind}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_tracks_make_a_report(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, count: int
) -> None:
    place = plant(tmp_path, ("loud",), [Planted(f"Song {number}") for number in range(count)])
    code, out, _ = run("explore", "--catalog", place)
    assert (code, out) == (0, f"{count_noun(count, 'track')}: report.html\n")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert bool(page.all("circle")) == (count >= 3)


def test_bad_input_is_one_sentence(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, library: Path
) -> None:
    (tmp_path / "notes.html").write_text("mine")
    empty = plant(tmp_path, ("loud",), [])
    for arguments, sentence in (
        (("--catalog", empty), "holds no tracks yet"),
        (("--catalog", tmp_path / "none.db"), "none.db"),
        (("--catalog", library, "--out", "report.txt"), "does not end in .html"),
        (("--catalog", library, "--out", "notes.html"), "exists and is no HTML page"),
    ):
        code, out, err = run("explore", *arguments)
        assert (code, out) == (1, "")
        assert sentence in err
        assert "Traceback" not in err
    assert (tmp_path / "notes.html").read_text() == "mine"


@pytest.mark.skipif(BROWSER is None, reason="needs a browser: install chromium")
def test_a_browser_runs_the_page_and_nothing_else(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, library: Path
) -> None:
    assert BROWSER is not None
    run("explore", "--catalog", library)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--disable-gpu",
            *sandbox,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--dump-dom",
            (tmp_path / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode != 0 or "<html" not in done.stdout:
        pytest.skip(f"the browser does not start here: {done.stderr[-200:]}")
    page = Page(done.stdout)
    (controls,) = (one for one in page.all("div") if one.get("class") == "controls")
    assert "hidden" not in controls, "the page's own script did not run"
    assert "CONSOLE" not in done.stderr, "the policy refused a part of the page, or a script failed"
    assert len(page.all("script")) == 1


def test_one_track_is_no_tracks() -> None:
    assert [count_noun(count, "track") for count in (0, 1, 1291)] == [
        *("0 tracks", "1 track", "1,291 tracks")
    ]
