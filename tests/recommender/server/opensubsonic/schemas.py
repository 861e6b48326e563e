"""What answers hold, as the OpenSubsonic specification has it: names, types, what must be there.

A schema is written as `name:type` of each field, with `!` behind those that must be there. Types
are `str`, `int`, `float`, `bool`, `time`, the name of another schema, or either in brackets for a
list.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.recommender.server.opensubsonic.library import NS

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

_ARTIST = (
    "id:str! name:str! coverArt:str artistImageUrl:str starred:time userRating:int "
    "averageRating:float"
)
_ARTIST_ID3 = (
    "id:str! name:str! coverArt:str artistImageUrl:str albumCount:int starred:time "
    "musicBrainzId:str sortName:str disambiguation:str roles:[str]"
)
_ALBUM_ID3 = (
    "id:str! name:str! version:str artist:str year:int coverArt:str starred:time duration:int! "
    "playCount:int genre:str created:time! artistId:str songCount:int! played:time "
    "userRating:int recordLabels:[RecordLabel] musicBrainzId:str genres:[ItemGenre] "
    "artists:[ArtistID3] displayArtist:str releaseTypes:[str] moods:[str] sortName:str "
    "isCompilation:bool explicitStatus:str discTitles:[DiscTitle]"
)
_CHILD = (
    "id:str! parent:str isDir:bool! title:str! album:str artist:str track:int year:int "
    "coverArt:str size:int contentType:str suffix:str starred:time duration:int bitRate:int "
    "bitDepth:int samplingRate:int channelCount:int path:str playCount:int played:time "
    "discNumber:int created:time albumId:str artistId:str type:str mediaType:str isVideo:bool "
    "bpm:int comment:str sortName:str musicBrainzId:str isrc:[str] genres:[ItemGenre] "
    "artists:[ArtistID3] displayArtist:str albumArtists:[ArtistID3] displayAlbumArtist:str "
    "displayComposer:str moods:[str] explicitStatus:str genre:str transcodedContentType:str "
    "transcodedSuffix:str userRating:int averageRating:float bookmarkPosition:int"
)
_PLAYLIST = (
    "id:str! name:str! comment:str owner:str public:bool songCount:int! duration:int! "
    "created:time! changed:time! coverArt:str allowedUser:[str] readonly:bool validUntil:time"
)
_INFO = "musicBrainzId:str lastFmUrl:str smallImageUrl:str mediumImageUrl:str largeImageUrl:str"
_ROLES = (
    "admin settings download upload playlist coverArt comment podcast stream jukebox share "
    "videoConversion"
)

SCHEMAS = {
    "Empty": "",
    "Artist": _ARTIST,
    "ArtistID3": _ARTIST_ID3,
    "ArtistWithAlbums": f"{_ARTIST_ID3} album:[AlbumID3]!",
    "IndexID3": "name:str! artist:[ArtistID3]",
    "Artists": "ignoredArticles:str! index:[IndexID3]",
    "Index": "name:str! artist:[Artist]",
    "Indexes": "ignoredArticles:str! lastModified:int! shortcut:[Artist] child:[Child] "
    "index:[Index]",
    "Directory": "id:str! parent:str name:str! starred:time userRating:int averageRating:float "
    "playCount:int child:[Folder]",
    "RecordLabel": "name:str!",
    "DiscTitle": "disc:int! title:str! coverArt:str",
    "ItemGenre": "name:str!",
    "AlbumID3": _ALBUM_ID3,
    "AlbumWithSongs": f"{_ALBUM_ID3} song:[Child]!",
    "Child": _CHILD,
    # The examples of the specification have both, which its table leaves out.
    "AlbumFolder": f"{_CHILD} name:str! songCount:int!",
    "Folder": f"{_CHILD} name:str songCount:int",
    "Songs": "song:[Child]",
    "Albums": "album:[AlbumID3]",
    "AlbumFolders": "album:[AlbumFolder]",
    "Found": "artist:[ArtistID3] album:[AlbumID3] song:[Child]",
    "FoundFolders": "artist:[Artist] album:[AlbumFolder] song:[Child]",
    "Genre": "value:str! songCount:int! albumCount:int!",
    "Genres": "genre:[Genre]",
    "AlbumInfo": f"notes:str {_INFO}",
    "ArtistInfo": f"biography:str {_INFO} similarArtist:[Artist]",
    "ArtistInfo2": f"biography:str {_INFO} similarArtist:[ArtistID3]",
    "License": "valid:bool! email:str licenseExpires:time trialExpires:time",
    "Extension": "name:str! versions:[int]!",
    "TokenInfo": "username:str!",
    "MusicFolder": "id:int! name:str",
    "MusicFolders": "musicFolder:[MusicFolder]",
    "User": "username:str! scrobblingEnabled:bool! maxBitRate:int avatarLastChanged:time "
    + "".join(f"{role}Role:bool! " for role in _ROLES.split())
    + "folder:[int]",
    "Users": "user:[User]",
    "ScanStatus": "scanning:bool! count:int",
    "SonicMatch": "entry:Child! similarity:float!",
    "Playlist": _PLAYLIST,
    "PlaylistWithSongs": f"{_PLAYLIST} entry:[Child]",
    "Playlists": "playlist:[Playlist]",
    "Line": "value:str! start:float",
    "StructuredLyrics": "lang:str! synced:bool! line:[Line]! displayArtist:str displayTitle:str "
    "offset:float kind:str",
    "LyricsList": "structuredLyrics:[StructuredLyrics]",
    "PlayQueue": "current:str position:int username:str! changed:time! changedBy:str! "
    "entry:[Child]",
    "NowPlaying": "entry:[Child]",
    "Lyrics": "value:str! artist:str title:str",
    "Podcasts": "channel:[Empty]",
    "NewestPodcasts": "episode:[Empty]",
    "RadioStations": "internetRadioStation:[Empty]",
    "Bookmarks": "bookmark:[Empty]",
    "Shares": "share:[Empty]",
    "Videos": "video:[Child]",
    "Error": "code:int! message:str helpUrl:str",
}
ENVELOPE = "status:str! version:str! type:str! serverVersion:str! openSubsonic:bool!"
IN_ELEMENTS = ("biography", "notes", "similarity", *re.findall(r"(\w+):", _INFO))
"""Scalars that some objects have as elements in XML."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_TYPES: dict[str, Any] = {"str": str, "int": int, "bool": bool, "float": float}


def fields(schema: str) -> dict[str, tuple[str, bool]]:
    """Type of each field and whether it must be there."""
    found = {}
    for text in schema.split():
        name, _, kind = text.partition(":")
        found[name] = kind.rstrip("!"), kind.endswith("!")
    return found


def check(value: Any, kind: str, where: str = "") -> None:
    """Assert that a value from JSON is of a type."""
    if kind.startswith("["):
        assert isinstance(value, list), where
        for number, one in enumerate(value):
            check(one, kind[1:-1], f"{where}[{number}]")
    elif kind == "time":
        assert TIME.fullmatch(value), (where, value)
    elif kind == "float":
        assert type(value) in (int, float), (where, value)
    elif kind in _TYPES:
        assert type(value) is _TYPES[kind], (where, value)
    else:
        check_object(value, SCHEMAS[kind], where)


def check_object(value: Any, schema: str, where: str = "") -> None:
    """Assert that an object from JSON has the fields of a schema, and no others."""
    known = fields(schema)
    assert isinstance(value, dict), where
    assert value.keys() <= known.keys(), (where, value.keys() - known.keys())
    missing = {name for name, (_, needed) in known.items() if needed} - value.keys()
    assert not missing, (where, missing)
    for name, one in value.items():
        check(one, known[name][0], f"{where}.{name}")


def from_xml(element: ET.Element, schema: str) -> dict[str, Any]:
    """An element as what JSON has for it, without empty lists."""
    known = fields(schema)
    found: dict[str, Any] = {}
    for name, text in element.attrib.items():
        assert name in known, (element.tag, name)
        found[name] = _scalar(text, known[name][0])
    for child in element:
        name = child.tag.removeprefix(NS)
        assert name in known, (element.tag, name)
        kind = known[name][0]
        if kind.startswith("["):
            found.setdefault(name, []).append(_one(child, kind[1:-1]))
        else:
            assert name not in found, (element.tag, name)
            assert kind in SCHEMAS or name in IN_ELEMENTS, (element.tag, name)
            found[name] = _one(child, kind)
    if "value" in known:
        found["value"] = element.text or ""
    else:
        assert not (element.text or "").strip() or not known, element.tag
    return found


def without_empty_lists(value: Any) -> Any:
    """A value from JSON as XML can say it."""
    if isinstance(value, dict):
        return {name: without_empty_lists(one) for name, one in value.items() if one != []}
    if isinstance(value, list):
        return [without_empty_lists(one) for one in value]
    return value


def _one(element: ET.Element, kind: str) -> Any:
    return (
        from_xml(element, SCHEMAS[kind]) if kind in SCHEMAS else _scalar(element.text or "", kind)
    )


def _scalar(text: str, kind: str) -> Any:
    if kind == "bool":
        return {"true": True, "false": False}[text]
    return {"int": int, "float": float}.get(kind, str)(text)
