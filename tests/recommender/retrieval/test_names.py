"""Folding and placeholders, on a table of languages."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from indexer.library import Library
from indexer.text_folding import fold
from recommender.engine import Recommender
from recommender.retrieval.lookup import find_track
from recommender.retrieval.names import artist_key, credited_artists, is_placeholder, name_key
from recommender.retrieval.ranking import Ranking
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("Don\u2019t Stop", "don't stop"),
        ("a\u2010ha", "a-ha"),
        ("Jay\u2013Z", "jay-z"),
        ("\u201eHeroes\u201c", '"heroes"'),
        ("Rock\u00a0\u2019n\u2019\u00a0Roll\u2026", "rock 'n' roll..."),
        ("M\u00b4Boka", "m'boka"),
        ("Trentem\u00f8ller", "trentemoller"),
        ("Mot\u00f6rhead", "motorhead"),
        ("Sigur R\u00f3s \u00c1g\u00e6tis byrjun", "sigur ros agaetis byrjun"),
        ("\u00dejo\u00f0", "thjod"),
        ("STRASSE", "stra\u00dfe"),
        ("\u0141ona i Webber", "lona i webber"),
        ("Ch\u0142opcy z Plac\u00f3w", "chlopcy z placow"),
        ("\u0110or\u0111e Bala\u0161evi\u0107", "dorde balasevic"),
        ("I\u015f\u0131n Karaca", "isin karaca"),
        ("\u0130stanbul", "istanbul"),
        ("Dvo\u0159\u00e1k", "dvorak"),
        ("S\u1edbm H\u00e0 N\u1ed9i", "som ha noi"),
        ("\u0100 \u0113 \u012b \u014d \u016b", "a e i o u"),
        ("C\u0153ur de pirate", "coeur de pirate"),
        ("\u0386\u03bd\u03bd\u03b1 \u0392\u03af\u03c3\u03c3\u03b7", "αννα βισση"),
        ("\u0391\u0398\u0397\u039d\u0391\u03a3", "αθηνας"),
        ("\u0415\u043b\u043a\u0430 \u0438 \u0401\u043b\u043a\u0430", "елка и елка"),
        ("за\u0301мок", "замок"),
        ("\uff26\uff55\uff4c\uff4c \uff37\uff49\uff44\uff54\uff48", "full width"),
        ("\uff76\uff9e\uff97\uff7d", "ガラス"),
        ("\ufb01nal \u2167 \u00bd", "final viii 1/2"),
        ("Nocturne in C\u266f", "nocturne in c#"),
        ("so\u00adft\u200b", "soft"),
    ],
)
def test_what_is_typed_equals_what_is_written(written: str, typed: str) -> None:
    assert fold(written) == fold(typed) == fold(fold(written))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("か", "が"),
        ("は", "ぱ"),
        ("й", "и"),
        ("їжак", "іжак"),
        ("ў", "у"),
        ("ќ", "к"),
        ("한국", "하구"),
        ("กา", "ก"),
        ("की", "क"),
        ("a-ha", "aha"),
    ],
)
def test_letters_of_their_own_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    "name",
    [
        *("Track 01", "track01", "01. Track", "AudioTrack 07", "Track 3.cdda.wav", "Untitled"),
        *("[untitled]", "(unknown)", "<Unknown>", "Unknown Artist", "UNKNOWN ARTIST (2)", "N/A"),
        *("Unknown Album (01/01/2010 12:00:00)", "Various Artists", "VA", "V.A.", "[no artist]"),
        *("Piste 1", "Artiste inconnu", "Sans titre", "Titel 12", "Unbekannter K\u00fcnstler"),
        *("Ohne Titel", "Pista 3", "Sin t\u00edtulo", "Artista desconocido", "Faixa 2"),
        *("Artista Desconhecido", "Traccia 4", "Artista sconosciuto", "Onbekende artiest"),
        *("Sp\u00e5r 1", "Ok\u00e4nd artist", "Ukendt kunstner", "Raita 9", "Tuntematon artisti"),
        *("\u015acie\u017cka 5", "Nieznany wykonawca", "Nezn\u00e1m\u00fd interpret", "Bilinmeyen"),
        *("Дорожка 1", "Неизвестный исполнитель", "Без названия", "Невідомий виконавець"),
        *(
            "Άγνωστος καλλιτέχνης",
            "トラック 1",
            "不明なアーティスト",
            "無題",
            "未知艺术家",
            "音轨 2",
        ),
        *("트랙 1", "알 수 없는 아티스트", "فنان غير معروف", "אמן לא ידוע"),
        *("", " ", "-", "???", "...", "01", "007"),
    ],
)
def test_placeholders(name: str) -> None:
    assert is_placeholder(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Tracks of My Tears", "The Unknown", "Unknown Pleasures", "Untitled Love Song", "!!!"),
        *("1979", "7", "99 Luftballons", "Soundtrack", "Unknown Mortal Orchestra", "Number 1"),
        *("Artist 1", "Album Leaf", "Pista de baile", "無題の夜", "Трек на память", "4'33\""),
    ],
)
def test_names_that_say_something(name: str) -> None:
    assert not is_placeholder(name)


def test_keys_of_placeholders_are_none() -> None:
    assert artist_key("Unknown Artist", None, "M\u00f8") == "mo"
    assert artist_key("[unknown]", "Various Artists") is None
    assert name_key("Bj\u00f6rk ", "It\u2019s  Oh So Quiet") == ("bjork", "it's oh so quiet")
    assert name_key("Band", "Track 01") is name_key("Unknown Artist", "Song") is None
    assert name_key(None, "Song") is name_key("Band", None) is None


@pytest.mark.parametrize(
    ("credit", "artists"),
    [
        ("Anna feat. Bert", ("Anna", "Bert")),
        ("Anna Ft Bert; Cid / Anna", ("Anna", "Bert", "Cid")),
        ("Tyler, The Creator", ("Tyler, The Creator",)),
        ("AC/DC", ("AC/DC",)),
        (" ; ", (" ; ",)),
    ],
)
def test_a_credit_is_cut_into_artists(credit: str, artists: tuple[str, ...]) -> None:
    assert credited_artists(credit) == artists


def test_what_is_typed_finds_tracks(tmp_path: Path) -> None:
    tracks = [
        Planted("Don\u2019t Stop", artist="Mew"),
        Planted("Moan", artist="Trentem\u00f8ller"),
        Planted("かき", artist="がき"),
        Planted("がき", artist="かき"),
    ]
    with closing(Library.open(plant(tmp_path, ("loud",), tracks))) as library:
        words = ("don't stop", "trentemoller", "\u304b\u3099き")
        assert [find_track(library.catalog, text).id for text in words] == [1, 2, 4]


def test_placeholders_fold_and_cap_nothing(tmp_path: Path) -> None:
    near = [[1.0, 0.02 * n, 0, 0, 0, 0, 0, 0] for n in range(6)]
    far = [[0, 0, *(1.0 if n == k else 0.5 * (n > k) for n in range(6))] for k in range(6)]
    tracks = [
        Planted("Track 01", artist="Unknown Artist", vector=vector, duration_s=100.0 + 20 * n)
        for n, vector in enumerate([*near, *far])
    ]
    with Recommender.open(plant(tmp_path, ("loud",), tracks)) as recommender:
        answer = recommender.similar_to_track(1, n=11, ranking=Ranking(per_artist=1))
    assert len(answer) == 11


def test_a_cap_counts_tracks_by_the_first_of_several_artists(tmp_path: Path) -> None:
    tracks = [
        Planted("Seed", artist="Other"),
        Planted("Solo", artist="Mø"),
        Planted("Duet", artist="Mo & Friend", artists=("MØ", "Friend")),
    ]
    with Recommender.open(plant(tmp_path, ("loud",), tracks)) as recommender:
        answer = recommender.similar_to_track(1, n=2, ranking=Ranking(per_artist=1))
    assert len(answer) == 1
