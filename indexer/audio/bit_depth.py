"""Bits a sample of lossless sound, from what its container says of the codec."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

_PCM = re.compile(r"pcm_[suf](\d{1,2})")
_LOSSLESS = ("wavpack", "ape", "tak", "mlp", "truehd", "shorten", "als")
"""Codecs that keep every sample and whose own header is not read here."""


def bit_depth(codec: AudioCodecContext) -> int | None:
    """Bits a sample of a stream, as stored; None where the codec is lossy or it is not known.

    Sources: FLAC format (RFC 9639, 8.2), Apple's ALACMagicCookieDescription, the TTA1 header. Of
    other lossless codecs the depth is known when their samples are decoded to 16 bits.
    """
    name, header = codec.codec.canonical_name, bytes(codec.extradata or b"")
    if found := _PCM.match(name):
        return int(found[1])
    if name.startswith("dsd_"):
        return 1
    if name == "flac":
        return _flac(header[8:] if header.startswith(b"fLaC") else header)
    if name == "alac" and header[4:8] == b"alac" and len(header) > 17:
        return header[17] or None
    if name == "tta" and header.startswith(b"TTA1"):
        return int.from_bytes(header[8:10], "little") or None
    sample = codec.format
    if name in _LOSSLESS and sample is not None and sample.name in ("s16", "s16p"):
        return 16
    return None


def _flac(stream_info: bytes) -> int | None:
    """From 5 bits that hold the depth less one, at bit 103 of STREAMINFO."""
    if len(stream_info) < 14:
        return None
    return ((stream_info[12] & 1) << 4 | stream_info[13] >> 4) + 1
