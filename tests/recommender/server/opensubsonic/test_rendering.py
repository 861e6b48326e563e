"""One content in two formats, whatever tags hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.server.opensubsonic.rendering import render, render_error
from tests.recommender.server.opensubsonic.library import NS, Rest, parse_xml

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET


def both(payload: dict[str, Any]) -> tuple[dict[str, Any], ET.Element]:
    as_json = json.loads(render(payload, "json").body)["subsonic-response"]
    return as_json, parse_xml(render(payload, "xml").body)


def test_the_envelope() -> None:
    as_json, as_xml = both({})
    assert as_json | {"serverVersion": ""} == {
        "status": "ok",
        "version": "1.16.1",
        "type": "soundalike",
        "serverVersion": "",
        "openSubsonic": True,
    }
    assert as_xml.tag == f"{NS}subsonic-response"
    assert as_xml.attrib["openSubsonic"] == "true"
    failed = json.loads(render_error(70, "none", "json").body)["subsonic-response"]
    assert (failed["status"], failed["error"]) == ("failed", {"code": 70, "message": "none"})


def test_scalars_lists_and_texts() -> None:
    payload = {
        "genres": {"genre": [{"songCount": 2, "value": "R&B"}], "empty": [], "none": None},
        "sonicMatch": [{"entry": {"id": "tr-1", "isDir": False}, "similarity": 0.5}],
        "user": {"folder": [1, 2], "name": 'a "b" <c>'},
    }
    as_json, as_xml = both(payload)
    assert as_json["genres"] == {"genre": [{"songCount": 2, "value": "R&B"}], "empty": []}
    genre = as_xml.find(f"{NS}genres/{NS}genre")
    assert genre is not None
    assert (genre.text, genre.attrib) == ("R&B", {"songCount": "2"})
    match = as_xml.find(f"{NS}sonicMatch")
    assert match is not None
    assert [child.tag for child in match] == [f"{NS}entry", f"{NS}similarity"]
    assert (match.attrib, match[0].attrib["isDir"], match[1].text) == ({}, "false", "0.5")
    user = as_xml.find(f"{NS}user")
    assert user is not None
    assert [folder.text for folder in user] == ["1", "2"]
    assert user.attrib == {"name": 'a "b" <c>'}


@given(st.text(st.characters()))
def test_any_text_of_a_tag_is_the_same_in_both_formats(text: str) -> None:
    as_json, as_xml = both({"song": {"title": text, "value": text}})
    song = as_xml.find(f"{NS}song")
    assert song is not None
    assert song.attrib["title"] == as_json["song"]["title"]
    assert (song.text or "") == as_json["song"]["value"]
    assert len(as_json["song"]["title"]) == len(text)


def test_what_cannot_be_written_is_replaced() -> None:
    as_json, _ = both({"song": {"title": "a\x00b\ud800c\ufffed\x7f\n"}})
    assert as_json["song"]["title"] == "a\ufffdb\ufffdc\ufffdd\x7f\n"


@pytest.mark.parametrize("fmt", ["jsonp", "yaml", "JSON?"])
def test_other_formats_are_refused(rest: Rest, fmt: str) -> None:
    found = rest.get("ping", apiKey=rest.secret, f=fmt, callback="alert")
    assert found.headers["content-type"].startswith("application/xml")
    assert "alert" not in found.text
    error = parse_xml(found.content).find(f"{NS}error")
    assert error is not None
    assert error.attrib["code"] == "0"


def test_without_a_format_it_is_xml(rest: Rest) -> None:
    assert rest.xml("getMusicFolders").find(f"{NS}musicFolders/{NS}musicFolder") is not None
    unknown = rest.json("noSuchEndpoint")
    assert unknown["error"]["code"] == 0
