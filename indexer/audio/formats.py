"""Formats of recorded sound: FFmpeg's containers, first bytes, endings of file names."""

from __future__ import annotations

AUDIO_SUFFIXES = frozenset(
    b"3g2 3gp aac ac3 aif aifc aiff amr ape asf au avi caf dff dsf dts eac3 f4a flac flv gsm m2ts "
    b"m4a m4b m4r m4v mka mkv mov mp+ mp1 mp2 mp3 mp4 mpc mpeg mpg mts oga ogg ogv ogx opus ra rm "
    b"shn snd spx tak tta vob voc w64 wav wave weba webm wma wmv wv".split()
)
"""Endings of files that may hold sound. Others are counted, not opened, unless named themselves."""

# Left out on purpose: everything that names other files (hls, dash, concat, sdp, imf), devices,
# subtitles, images, and raw formats known by the ending of a name.
CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,matroska,webm,mov,mp4,m4a,"
    "mp3,mpc,mpc8,mpeg,mpegts,nut,ogg,oma,rm,shn,tak,truehd,tta,voc,w64,wav,wv,xwma"
)
"""FFmpeg's names of the containers that are opened, separated by commas."""

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_MAGIC = (
    b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"ID3", b"\x30\x26\xb2\x75", b"\x1aE\xdf\xa3",
    b"MAC ", b"wvpk", b"TTA1", b"MPCK", b"MP+", b"caff", b".snd", b"DSD ", b"riff",
)  # fmt: skip


def is_picture(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a picture."""
    return head.startswith(_PICTURES)


def is_audio_container(head: bytes) -> bool:
    """Whether a file that begins with these bytes (8 or more) claims to hold sound."""
    return head.startswith(_MAGIC) or head[4:8] == b"ftyp"
