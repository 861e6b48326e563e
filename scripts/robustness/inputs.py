"""Inputs that once failed, and their right values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robustness.command_line import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAGS: dict[str, dict[str, object]] = {
    "10_apev2_only.mp3": {
        "title": "Real Title",
        "artist": "Real Artist",
        "genre": "Jazz",
        "year": 1959,
    },
    "11_id3v23_compressed.mp3": {"title": "Title Eight"},
    "11_id3v23_extended_header.mp3": {"title": "Title Six", "artist": "Artist Six"},
    "11_id3v23_unsync_utf16.mp3": {"title": "Ÿÿ Title", "artist": "Björk", "album": "Debut"},
    "11_id3v24_itunes_sizes.mp3": {
        "title": "T" * 300,
        "artist": "Artist Ten",
        "album": "Album Ten",
    },
    "12_genres_nul.mp3": {
        "genres": ["Rock", "Jazz", "Soul"],
        "artists": ["Artist A", "Artist B"],
    },
    "13_year_album_artist.ogg": {"year": 1987, "album_artist": "The Album Artist"},
    "14_artists_before_artist.ogg": {"artist": "First & Second"},
    "15_m4a_named.mp3": {"title": "Tagged M4A", "artist": "Art"},
    "16_meta_without_version.m4a": {"title": "Tagged M4A", "artist": "Art", "genre": "Jazz"},
    "17_info_cp1252.wav": {"title": "Café", "artist": "Björk", "track_number": 3},
}
"""Fields of `soundalike show --json`."""
SECONDS = {
    "02_jingle24k_song44k_a.mp3": 8.61,
    "02_jingle24k_song44k_b.mp3": 8.61,
    "03_aac_one_byte.m4a": 8.0,
    "05_chained_same.ogg": 12.0,
    "06_id3v2_front.wv": 3.2,
    "07_alac_laced.mka": 6.0,
    "09_antiphase.flac": 4.0,
    "21_lost_pages.opus": 20.1,
}
"""Duration to 0.1 s; files that are not indexed have none."""
REASONS = {"01_codec_unknown.wav": "codec not known"}
RECORDINGS = {
    ("02_jingle24k_song44k_a.mp3", "02_jingle24k_song44k_b.mp3"): 2,
    ("08_flac_id3v1_one.flac", "08_flac_id3v1_two.flac"): 1,
}
"""Audio hashes of two files."""
NO_DUPLICATES = (
    ("19_placeholder_1.mp3", "19_placeholder_2.mp3"),
    ("20_kana_1.mp3", "20_kana_2.mp3"),
)
FOUND_BY = {
    "don't stop": "18_typographic_apostrophe.mp3",
    "trentemoller": "18_o_slash.mp3",
    "がき": "20_kana_1.mp3",
}
FOUND_BY_FILTER = {
    ("--genre", "jazz"): "12_genres_nul.mp3",
    ("--artist", "Artist B"): "12_genres_nul.mp3",
}


@dataclass(frozen=True)
class Check:
    """A value of one input: right, and found."""

    name: str
    asked: str
    right: object
    found: object

    @property
    def passed(self) -> bool:
        """Whether it was found as it should be."""
        return self.right == self.found


def check_inputs(folder: Path, catalog: Path) -> list[Check]:
    """Index `folder` into a new catalog, and compare what the commands print with right values."""

    def ask(*arguments: object) -> Any:
        result = run(*arguments, "--catalog", catalog, "--json")
        return json.loads(result.out) if result.status == 0 else {"error": result.err.strip()}

    indexed = run("index", folder, "--catalog", catalog)
    checks = [Check("all of them", "exit status of index", 0, indexed.status)]
    failures = {one["path"]: one["reason"] for one in ask("failures").get("failures", [])}
    for name, reason in REASONS.items():
        checks.append(Check(name, "reason", reason, failures.get(str(folder / name))))
    checks += _facts(lambda name: ask("show", folder / name))
    for query, name in FOUND_BY.items():
        checks.append(Check(name, f"found by {query!r}", name, ask("show", query).get("key")))
    seed = folder / "03_aac_one_byte.m4a"
    for (option, value), name in FOUND_BY_FILTER.items():
        answer = ask("similar", seed, option, value, "--no-collapse", "-n", 100)
        found = [one["key"] for one in answer.get("neighbours", [])]
        right = name if name in found else found
        checks.append(Check(name, f"found by {option} {value!r}", name, right))
    groups = [
        {one["key"] for one in group["tracks"]} for group in ask("duplicates").get("groups", ())
    ]
    for pair in NO_DUPLICATES:
        together = [group for group in groups if set(pair) <= group]
        checks.append(Check(" ".join(pair), "groups with both", [], together))
    return checks


def _facts(show: Callable[[str], dict[str, Any]]) -> list[Check]:
    checks = []
    for name, fields in TAGS.items():
        shown = show(name)
        checks += [Check(name, field, right, shown.get(field)) for field, right in fields.items()]
    for name, seconds in SECONDS.items():
        found = show(name).get("duration_s")
        close = found is not None and abs(found - seconds) <= 0.1
        checks.append(Check(name, "duration_s", seconds, seconds if close else found))
    for pair, count in RECORDINGS.items():
        found = len({show(name).get("recording_id") for name in pair})
        checks.append(Check(" ".join(pair), "audio hashes", count, found))
    return checks
