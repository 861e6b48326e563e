"""Names of tracks, artists, albums and genres for comparing; None where one says nothing."""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol
from unicodedata import category

from indexer.filesystem import display_path
from indexer.text_folding import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from indexer.catalog.records import Track

_PLACEHOLDERS = """
track; audiotrack; audio track; track cdda wav; untitled; untitled track; no title;
unknown; unknown artist; unknown title; unknown track; unknown album; unknown album artist;
no artist; no album; no name; none; null; nan; n a; na; not available; not specified; unspecified;
new artist; new recording; various; various artists; va; v a;
piste; piste audio; sans titre; titre; titre inconnu; inconnu; artiste inconnu; album inconnu;
artistes divers; artistes varies; titel; spur; audiospur; ohne titel; unbenannt; unbekannt;
unbekannter titel; unbekannter kunstler; unbekannter interpret; unbekanntes album;
verschiedene; verschiedene interpreten; diverse; diverse interpreten; aufnahme;
pista; pista de audio; sin titulo; titulo; desconocido; artista desconocido; titulo desconocido;
album desconocido; varios artistas; varios; faixa; faixa de audio; sem titulo; desconhecido;
artista desconhecido; titulo desconhecido; album desconhecido; varios interpretes;
traccia; traccia audio; brano; titolo; senza titolo; sconosciuto; artista sconosciuto;
titolo sconosciuto; traccia sconosciuta; album sconosciuto; artisti vari; autori vari; aa vv;
nummer; naamloos; zonder titel; onbekend; onbekende artiest; onbekende titel; onbekend album;
diverse artiesten; spor; lydspor; uden titel; uten tittel; ukendt; ukendt kunstner; ukjent;
ukjent artist; spar; ljudspar; namnlos; utan titel; okand; okand artist; raita; nimeton;
tuntematon; tuntematon artisti; tuntematon esittaja; utwor; sciezka; bez tytulu; nieznany;
nieznany wykonawca; nieznany artysta; nieznany album; rozni wykonawcy; stopa; skladba; bez nazvu;
neznamy; neznamy interpret; neznamy umelec; ruzni; szam; sav; ismeretlen; ismeretlen eloado;
cim nelkul; fara titlu; piesa; necunoscut; artist necunoscut; parca; adsiz; isimsiz; bilinmeyen;
bilinmeyen sanatci; трек; дорожка; аудиодорожка; без названия; без имени; неизвестен; неизвестно;
неизвестный; неизвестный исполнитель; неизвестный артист; неизвестный альбом; разные исполнители;
доріжка; без назви; невідомий; невідомий виконавець; писта; без заглавие; неизвестен изпълнител;
κομμάτι; χωρίς τίτλο; άτιτλο; άγνωστο; άγνωστος; άγνωστος καλλιτέχνης; トラック; 無題; 不明;
タイトル不明; 不明なアーティスト; 不明なタイトル; アーティスト不明; オーディオトラック; ヴァリアス;
音轨; 音軌; 曲目; 轨道; 未知; 未知艺术家; 未知藝術家; 未知歌手; 未知标题; 未知專輯; 未知专辑;
无标题; 無標題; 未命名; 群星; 트랙; 제목 없음; 무제; 알 수 없음; 알 수 없는 아티스트;
알 수 없는 음악가;
مسار; بدون عنوان; مجهول; غير معروف; فنان غير معروف; רצועה; ללא שם; ללא כותרת; לא ידוע; אמן לא ידוע
"""
"""Titles and artists that taggers and rippers write for want of a name, without numbers."""

_WORDS = re.compile(r"[^\W\d_]+")
_FEATURING = re.compile(r"\s[(\[]?(?:feat|ft|featuring)\b.*", re.IGNORECASE)
_CREDITED = re.compile(r" / | feat\.? | ft\.? |; ", re.IGNORECASE)
_NOTHING = re.compile(r"[-_.?~/\s]*|0\d*")

NO_GENRES = frozenset(
    {"none", "other", "unknown", "undefined", "unclassifiable", "misc", "miscellaneous", "various"}
    | {"genre", "music", "na"}
)
"""What taggers write where no genre is known, as `genre_key` returns it."""

_DISC_FOLDER = re.compile(r"(.*)/(?:cd|dis[ck])[ ._-]?\d{1,2}\b[^/]*", re.IGNORECASE)
_SEPARATORS = re.compile(r"[;/,|\0]")
_AND = re.compile(r"&|\+|\band\b|\b'?n'?\b")


class OnAlbum(Protocol):
    """What says of which album a track is; None where the file does not."""

    @property
    def key(self) -> str:
        """The caller's own name for it, or the file's path below the indexed folder."""

    @property
    def path(self) -> bytes:
        """Of its file."""

    @property
    def album(self) -> str | None:
        """The album's name."""

    @property
    def album_artist(self) -> str | None:
        """As shown to people."""

    @property
    def musicbrainz_album_id(self) -> str | None:
        """Of the edition."""


def folded(text: str) -> str:
    """A name as it is compared: without case, accents and spare spaces."""
    return " ".join(fold(text).split())


def is_placeholder(name: str | None) -> bool:
    """Whether a title or artist says nothing: missing, "Track 01", "[unknown]", "sans titre"."""
    folded = fold(name or "").strip()
    words = " ".join(_WORDS.findall(folded))
    return words in _PLACEHOLDER_WORDS if words else bool(_NOTHING.fullmatch(folded))


def artist_key(*artists: str | None) -> str | None:
    """Text that all spellings of an artist share, without featured artists.

    Of several artists the first that is known counts; None where none is.
    """
    known = (artist for artist in artists if artist and not is_placeholder(artist))
    return next((folded(_FEATURING.sub("", artist)) for artist in known), None)


def credited_artists(credit: str) -> tuple[str, ...]:
    """The artists that one text names, each once: "Anna feat. Bert" -> ("Anna", "Bert").

    It is cut only where players cut it too; "Tyler, The Creator" and "AC/DC" stay whole.
    """
    names = (part.strip() for part in _CREDITED.split(credit))
    return tuple(dict.fromkeys(name for name in names if name)) or (credit,)


def artist_of(track: Track) -> str | None:
    """`artist_key` of the track's first artist, or else the album's; None if neither is known."""
    return artist_key(*track.artists, track.artist, *track.album_artists, track.album_artist)


def name_key(artist: str | None, title: str | None) -> tuple[str, str] | None:
    """Artist and title, folded; None where one of them is missing or a placeholder."""
    known = artist_key(artist)
    if known is None or title is None or is_placeholder(title):
        return None
    return known, folded(title)


def album_key(track: OnAlbum) -> tuple[str, str]:
    """What all tracks of an album share, of a track that names one.

    It is the album's MusicBrainz id; else its name and album artist, as many are called "Greatest
    Hits"; else its name and folder, folders of single discs being taken together.
    """
    if track.musicbrainz_album_id:
        return "", track.musicbrainz_album_id
    name = folded(track.album or "")
    if track.album_artist:
        return name, folded(track.album_artist)
    # Of a key that follows the path, which stays when the whole library moves.
    path = display_path(track.path)
    folder = "/" + (track.key if path.endswith(f"/{track.key}") else path).rpartition("/")[0]
    disc = _DISC_FOLDER.fullmatch(folder)
    return name, f"/{disc[1] if disc else folder}"


def genre_key(genre: str) -> str:
    """Text that all spellings of a genre share: "Hip-Hop", "hip hop"; "R&B", "R'n'B", "rnb".

    Pictures count where there are no letters; of punctuation alone it is empty.
    """
    words = _AND.sub("n", fold(genre))
    return "".join(letter for letter in words if letter.isalnum()) or "".join(
        letter for letter in words if category(letter) == "So"
    )


@lru_cache(maxsize=20_000)
def genres_by_key(tag: str | None) -> Mapping[str, str]:
    """Genres that a tag names, in its order, by `genre_key`: of each the first spelling.

    A tag that names several separates them by ; / , or |.
    """
    found: dict[str, str] = {}
    for part in _SEPARATORS.split(tag or ""):
        genre = " ".join(part.split())
        key = genre_key(genre)
        if key and key not in NO_GENRES:
            found.setdefault(key, genre)
    return MappingProxyType(found)


def split_genres(tag: str | None) -> tuple[str, ...]:
    """Genres that a tag names, each once: "Jazz; Blues/jazz" -> ("Jazz", "Blues")."""
    return tuple(genres_by_key(tag).values())


def tags_with_genres(tags: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Those of the tags that name one of the wanted genres, however it is spelt.

    Of a wanted text that names several genres, "Rock/Pop", a tag must name all; of one that names
    none, "Other", it must be the same text.
    """
    keys_of_wanted = [(fold(text).strip(), genres_by_key(text).keys()) for text in wanted]
    return [
        tag
        for tag in tags
        if any(
            keys <= genres_by_key(tag).keys() if keys else text == fold(tag).strip()
            for text, keys in keys_of_wanted
        )
    ]


_PLACEHOLDER_WORDS = frozenset(
    " ".join(_WORDS.findall(fold(phrase))) for phrase in _PLACEHOLDERS.split(";")
)
