from __future__ import annotations

import pytest

from recommender.server.attachment import attachment


@pytest.mark.parametrize(
    ("name", "plain", "whole"),
    [
        ("Song 1.mp3", "Song 1.mp3", "Song%201.mp3"),
        ("Größe.flac", "Gr__e.flac", "Gr%C3%B6%C3%9Fe.flac"),
        (
            'a "b" \\ c/d%41\r\nX: y',
            "a _b_ _ c_d_41__X: y",
            "a%20%22b%22%20%5C%20c%2Fd%2541%0D%0AX%3A%20y",
        ),
        ("\ud800\U0001f3b5.wav", "__.wav", "%3F%F0%9F%8E%B5.wav"),
    ],
)
def test_a_name_is_there_whole_and_for_clients_that_read_plain_ones(
    name: str, plain: str, whole: str
) -> None:
    assert attachment(name) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"
