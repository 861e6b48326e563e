"""Synthetic sounds for tests, written in every container; and files that are bad in one way each.

Everything is seeded: the same call writes the same sound. Writers return the path they wrote.
"""

from __future__ import annotations

import base64
import os
import struct
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# Container by suffix: FFmpeg's format and encoder. Ogg Vorbis goes through soundfile.
ENCODERS = {
    ".wav": ("wav", "pcm_s16le"),
    ".aiff": ("aiff", "pcm_s16be"),
    ".flac": ("flac", "flac"),
    ".mp3": ("mp3", "libmp3lame"),
    ".mp2": ("mp2", "mp2"),
    ".opus": ("ogg", "libopus"),
    ".m4a": ("ipod", "aac"),
    ".aac": ("adts", "aac"),
    ".ac3": ("ac3", "ac3"),
    ".wma": ("asf", "wmav2"),
    ".mka": ("matroska", "libopus"),
    ".webm": ("webm", "libopus"),
    ".wv": ("wv", "wavpack"),
    ".tta": ("tta", "tta"),
}
SUFFIXES = (*ENCODERS, ".ogg")
RARE_ENCODERS = {".eac3": ("eac3", "eac3"), ".amr": ("amr", "libopencore_amrnb")}


def music(
    seconds: float, *, sample_rate: int = 44_100, channels: int = 2, seed: int = 0
) -> NDArray[np.float32]:
    """Notes, a bass and noise on the beat that never repeat exactly: float32 (channels, samples).

    No stretch of it equals another, so a window cut at the wrong sample is found out.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    beat = (time * 3).astype(int)
    pitch = 220 * 2 ** (rng.integers(0, 24, beat.max(initial=0) + 1)[beat] / 12)
    decay = 1 - 0.8 * (time * 3 % 1)
    notes = 0.25 * decay * np.sin(2 * np.pi * np.cumsum(pitch) / sample_rate)
    bass = 0.2 * np.sin(2 * np.pi * np.cumsum(pitch / 4) / sample_rate)
    hats = 0.1 * rng.standard_normal(len(time)) * (time * 3 % 1 < 0.15)
    sides = np.linspace(0.6, 1.0, channels)
    return np.stack(
        [notes * side + bass + hats * (1.6 - side) for side in sides], dtype=np.float32
    ).clip(-1, 1)


def write_audio(
    path: Path,
    waveform: NDArray[np.float32],
    *,
    sample_rate: int = 44_100,
    codec: str | None = None,
    bit_rate: int = 128_000,
    tags: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> Path:
    """Encode a waveform (channels, samples) by the suffix of the path; `codec` overrides.

    Opus files are at 48 kHz whatever the waveform's rate is.
    """
    if path.suffix == ".ogg":
        return _write_vorbis(path, waveform, sample_rate, tags or {})
    format_name, encoder = (ENCODERS | RARE_ENCODERS)[path.suffix]
    codec = codec or encoder
    rate_out = 48_000 if codec == "libopus" else sample_rate
    channels = len(waveform)
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[channels]
    with path.open("wb") as file, av.open(file, "w", format=format_name) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=rate_out, options=dict(options or {}))
        stream.layout = layout
        stream.bit_rate = bit_rate
        context = stream.codec_context
        resampler = av.AudioResampler(format=context.format, layout=layout, rate=rate_out)
        for at in range(0, waveform.shape[1], sample_rate):
            # Interleaved: PyAV fills a ninth plane that 8 planar channels do not have.
            piece = np.ascontiguousarray(waveform[:, at : at + sample_rate].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=layout)
            frame.sample_rate, frame.pts = sample_rate, at
            for resampled in resampler.resample(frame):
                container.mux(stream.encode(resampled))
        for resampled in resampler.resample(None):
            container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))
    return path


def _write_vorbis(
    path: Path, waveform: NDArray[np.float32], sample_rate: int, tags: Mapping[str, str]
) -> Path:
    import soundfile

    with (
        path.open("wb") as raw,
        soundfile.SoundFile(
            raw, "w", sample_rate, len(waveform), format="OGG", subtype="VORBIS"
        ) as file,
    ):
        for name, value in tags.items():
            setattr(file, {"track": "tracknumber"}.get(name, name), value)
        # All at once overflows the stack of libsndfile's encoder.
        for at in range(0, waveform.shape[1], sample_rate):
            file.write(waveform[:, at : at + sample_rate].T)
    return path


def write_float_wav(
    path: Path, waveform: NDArray[np.float32], *, sample_rate: int = 44_100
) -> Path:
    """32-bit float WAV, sample for sample: NaN and infinity stay what they are."""
    data = np.ascontiguousarray(waveform.T, "<f4").tobytes()
    channels = len(waveform)
    header = _wav_header(3, channels, sample_rate, 32, len(data))
    path.write_bytes(header + data)
    return path


def _wav_header(kind: int, channels: int, sample_rate: int, bits: int, size: int) -> bytes:
    block = channels * bits // 8
    layout = (kind, channels, sample_rate, sample_rate * block % 2**32, block % 2**16, bits)
    riff = struct.pack("<4sI4s", b"RIFF", min(size + 36, 2**32 - 1), b"WAVE")
    return (
        riff + struct.pack("<4sIHHIIHH", b"fmt ", 16, *layout) + struct.pack("<4sI", b"data", size)
    )


def empty_file(path: Path) -> Path:
    """Zero bytes."""
    path.touch()
    return path


def random_bytes(path: Path, *, size: int = 200_000, seed: int = 0) -> Path:
    """Noise; in 200 kB there are a hundred bytes that look like the start of an MP3 frame."""
    path.write_bytes(np.random.default_rng(seed).bytes(size))
    return path


def text_file(path: Path) -> Path:
    """Prose under whatever name it is given."""
    path.write_text("What sounds like this? A letter to the editor.\n" * 400)
    return path


def cut(path: Path, source: Path, *, keep: int | float) -> Path:
    """The beginning of another file: so many bytes, or that fraction of it."""
    data = source.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else round(len(data) * keep)])
    return path


def flip_bytes(path: Path, source: Path, *, share: float, seed: int = 0) -> Path:
    """Another file with a share of its bytes, after the first 10 %, replaced by noise."""
    rng = np.random.default_rng(seed)
    data = np.frombuffer(source.read_bytes(), np.uint8).copy()
    changed = rng.integers(len(data) // 10, len(data), round(len(data) * share))
    data[changed] = rng.integers(0, 256, len(changed))
    path.write_bytes(data.tobytes())
    return path


def silent_video(path: Path, *, seconds: float = 1.0) -> Path:
    """A video (MPEG-4 in .mp4) without an audio stream."""
    with path.open("wb") as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(round(10 * seconds)):
            picture = np.full((64, 64, 3), 20 * number % 255, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_large_cover(path: Path, *, size: int) -> Path:
    """An M4A of 4 s whose tags end with a cover of so many bytes; a sparse file."""
    body = bytearray(write_audio(path, music(4), tags={"title": "Large"}).read_bytes())
    body = _grow_mp4_tags(body, size + 24)
    cover = (
        (size + 24).to_bytes(4) + b"covr" + (size + 16).to_bytes(4) + b"data\0\0\0\x0d" + bytes(4)
    )
    with path.open("wb") as file:
        file.write(body + cover)
        file.truncate(len(body) + len(cover) + size)
    return path


def picture(path: Path) -> Path:
    """A JPEG or a PNG, by the suffix."""
    codec, pixels = {".jpg": ("mjpeg", "yuvj420p"), ".png": ("png", "rgb24")}[path.suffix]
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = 64, 64, pixels
    context.framerate, context.color_range = 1, 2
    gradient = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(gradient, format="rgb24").reformat(format=pixels)
    packets = [*context.encode(frame), *context.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
    return path


def silence(path: Path, *, seconds: float = 5.0) -> Path:
    """Digital silence."""
    return write_audio(path, np.zeros((2, round(44_100 * seconds)), np.float32))


def not_finite(path: Path, *, value: float, every: int | None = None, seconds: float = 5.0) -> Path:
    """A float WAV in which one sample, or every so many, is `value` (NaN or infinity)."""
    waveform = music(seconds)
    length = waveform.shape[1]
    waveform[0, 0 if every else length // 2 :: every or length] = value
    return write_float_wav(path, waveform)


def boastful_wav(path: Path, *, channels: int = 2, bits: int = 16, kind: int = 1) -> Path:
    """A WAV of 60 bytes whose header claims 4 GiB of sound."""
    path.write_bytes(_wav_header(kind, channels, 44_100, bits, 2**32 - 2) + bytes(16))
    return path


def claim_wav(
    path: Path, data: bytes, *, channels: int, sample_rate: int, bits: int, kind: int
) -> Path:
    """A WAV with any bytes as its samples, whatever they are said to be."""
    path.write_bytes(_wav_header(kind, channels, sample_rate, bits, len(data)) + data)
    return path


def id3v2(frames: Mapping[str, bytes]) -> bytes:
    """An ID3v2.3 tag of raw frames: each value begins with its encoding byte, unchecked."""
    return _id3v2(frames.items())


def _id3v2(frames: Iterable[tuple[str, bytes]]) -> bytes:
    body = b"".join(
        name.encode() + struct.pack(">IH", len(value), 0) + value for name, value in frames
    )
    size = bytes((len(body) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + body


def id3v1(*, title: bytes, genre: int) -> bytes:
    """An ID3v1 tag of 128 bytes."""
    return b"TAG" + title.ljust(30, b"\0")[:30] + bytes(94) + bytes([genre])


def apev2(items: Mapping[str, bytes], *, flags: int = 0) -> bytes:
    """An APEv2 tag with header and footer; the flags of an item say whether it is text (0)."""
    body = b"".join(
        struct.pack("<II", len(value), flags) + name.encode() + b"\0" + value
        for name, value in items.items()
    )
    fields = (2000, len(body) + 32, len(items))
    head = b"APETAGEX" + struct.pack("<IIII", *fields, 0xA0000000) + bytes(8)
    foot = b"APETAGEX" + struct.pack("<IIII", *fields, 0x80000000) + bytes(8)
    return head + body + foot


def lyrics3(text: bytes, *, version: int = 2) -> bytes:
    """A Lyrics3 tag, which stands before an ID3v1 tag."""
    if version == 1:
        return b"LYRICSBEGIN" + text + b"LYRICSEND"
    body = b"LYRICSBEGIN" + b"LYR%05d" % len(text) + text
    return body + b"%06dLYRICS200" % len(body)


def id3v2_with_footer(frames: Mapping[str, bytes]) -> bytes:
    """An ID3v2.4 tag that can stand at the end of a file."""
    tag = id3v2(frames)
    fields = b"\x04\x00\x10" + tag[6:10]
    return b"ID3" + fields + tag[10:] + b"3DI" + fields


def concatenate(path: Path, *sources: Path) -> Path:
    """Files one behind the other: a chained Ogg file, a jingle before a song."""
    path.write_bytes(b"".join(source.read_bytes() for source in sources))
    return path


def change_bytes(path: Path, source: Path, fractions: Iterable[float]) -> Path:
    """Another file with single bytes changed, at fractions of its length."""
    data = bytearray(source.read_bytes())
    for at in fractions:
        data[int(at * len(data))] ^= 0x5A
    path.write_bytes(data)
    return path


def ogg_pages(source: Path) -> list[bytes]:
    """The pages of an Ogg file."""
    data = source.read_bytes()
    starts = [at for at in range(len(data)) if data[at : at + 5] == b"OggS\0"]
    return [data[start:stop] for start, stop in zip(starts, [*starts[1:], len(data)], strict=True)]


def add_empty_ogg_packet(path: Path, source: Path) -> Path:
    """An Ogg file with a page in its middle that holds one packet of no bytes."""
    pages = ogg_pages(source)
    middle = len(pages) // 2
    pages.insert(middle, pages[middle - 1][:26] + b"\x01\x00")
    path.write_bytes(b"".join(_seal(page, number) for number, page in enumerate(pages)))
    return path


def set_pre_skip(path: Path, source: Path, samples: int) -> Path:
    """An Opus file whose decoder is to drop so many samples at 48 kHz first (RFC 7845)."""
    head, *pages = ogg_pages(source)
    at = head.index(b"OpusHead") + 10
    head = head[:at] + struct.pack("<H", samples) + head[at + 2 :]
    path.write_bytes(b"".join([_seal(head, 0), *pages]))
    return path


def _seal(page: bytes, number: int) -> bytes:
    """An Ogg page with its number and its checksum (RFC 3533, section 6)."""
    page = page[:18] + struct.pack("<II", number, 0) + page[26:]
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 1 << 31 else 0)) & 0xFFFFFFFF
    return page[:22] + struct.pack("<I", crc) + page[26:]


def laced_matroska(path: Path, frames: Sequence[bytes], *, sample_rate: int, codec: str) -> Path:
    """A mono Matroska file with eight frames a block, of which only the first has a time stamp."""

    def element(name: str, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return bytes.fromhex(name) + (len(body) | 1 << 56).to_bytes(8, "big") + body

    blocks = []
    for at in range(0, len(frames), 8):
        laced = frames[at : at + 8]
        sizes = b"".join(b"\xff" * (len(f) // 255) + bytes([len(f) % 255]) for f in laced[:-1])
        stamp = struct.pack(">hB", 26 * at, 0x82)
        blocks.append(
            element("a3", b"\x81", stamp, bytes([len(laced) - 1]), sizes, b"".join(laced))
        )
    audio = element("e1", element("b5", struct.pack(">d", sample_rate)), element("9f", b"\x01"))
    numbers = [element(name, b"\x01") for name in ("d7", "73c5")]
    track = element("ae", *numbers, element("83", b"\x02"), element("86", codec.encode()), audio)
    header = element("1a45dfa3", element("4282", b"matroska"))
    cluster = element("1f43b675", element("e7", b"\x00"), *blocks)
    path.write_bytes(header + element("18538067", element("1654ae6b", track), cluster))
    return path


def vorbis_comment_not_utf8(path: Path, source: Path) -> Path:
    """A FLAC whose tags say TITLE=caf\\xe9, which is Latin-1 and not UTF-8."""
    comment = b"TITLE=caf\xe9\xff"
    block = struct.pack("<I", 4) + b"test" + struct.pack("<I", 1)
    block += struct.pack("<I", len(comment)) + comment
    data = source.read_bytes()
    stream_info = data[8:42]
    at, last = 4, False
    while not last:
        last, size = bool(data[at] & 0x80), int.from_bytes(data[at + 1 : at + 4], "big")
        at += 4 + size
    head = b"fLaC" + b"\x00\x00\x00\x22" + stream_info
    path.write_bytes(head + b"\x84" + len(block).to_bytes(3, "big") + block + data[at:])
    return path


def playlists(folder: Path, target: Path) -> list[Path]:
    """Files of the kinds that make a player open other files; all name `target`."""
    texts = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
        "list.m3u": f"#EXTM3U\n#EXTINF:9,\n{target}\n",
        "list.ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
        "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=audio 5004 RTP/AVP 0\n",
        "list.mpd": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' "
        f"type='static'><Period><BaseURL>file://{target}</BaseURL></Period></MPD>\n",
        "list.cue": f'FILE "{target}" MP3\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
        "list.mp3": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def odd_names() -> list[bytes]:
    """File names that a shell, a terminal or a decoder may stumble over."""
    return [
        b"new\nline.wav",
        b"quotes \"double\" 'single'.wav",
        "emoji \U0001f3b5 na\u00efve.wav".encode(),
        b"not utf-8 \xff\xfe\xe9.wav",
        b"-dash.wav",
        b"concat:a|b.wav",
        b"http:colon %d #hash?.wav",
    ]


def copy_as(source: Path, folder: Path, name: bytes) -> bytes:
    """Put a file's content under a name of raw bytes; returns the whole path as bytes."""
    target = os.fsencode(folder) + b"/" + name
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(source.read_bytes())
    return target


def add_cover(path: Path, *pictures: tuple[int, bytes], media_type: str = "image/jpeg") -> Path:
    """Put pictures, each with its kind by ID3v2 (3 is the front), into a file by its suffix.

    An .opus file has to be written with `opus_cover` among its tags instead.
    """
    body = path.read_bytes()
    if path.suffix in (".mp3", ".wav"):
        mime = media_type.encode()
        frames = [b"\0" + mime + b"\0" + bytes([kind]) + b"\0" + data for kind, data in pictures]
        tag = _id3v2([("APIC", frame) for frame in frames])
        if path.suffix == ".mp3":
            path.write_bytes(tag + body)
            return path
        body += b"id3 " + struct.pack("<I", len(tag)) + tag + bytes(len(tag) % 2)
        path.write_bytes(body[:4] + struct.pack("<I", len(body) - 8) + body[8:])
    elif path.suffix == ".flac":
        blocks = [flac_picture(kind, data, media_type=media_type) for kind, data in pictures]
        heads = [b"\x06" + len(block).to_bytes(3) + block for block in blocks]
        info = 8 + int.from_bytes(body[5:8])
        path.write_bytes(body[:info] + b"".join(heads) + body[info:])
    elif path.suffix == ".m4a":
        ((_, data),) = pictures
        cover = b"covr" + (len(data) + 16).to_bytes(4) + b"data\0\0\0\x0d" + bytes(4) + data
        body = _grow_mp4_tags(bytearray(body), len(cover) + 4)
        path.write_bytes(body + (len(cover) + 4).to_bytes(4) + cover)
    elif path.suffix == ".wv":
        ((_, data),) = pictures
        path.write_bytes(body + apev2({"Cover Art (Front)": b"cover.jpg\0" + data}, flags=2))
    return path


def flac_picture(kind: int, data: bytes, *, media_type: str = "image/jpeg") -> bytes:
    """A picture as FLAC and Vorbis comments store it (RFC 9639, section 8.8)."""
    mime = media_type.encode()
    sizes = struct.pack(">IIIII", 64, 64, 24, 0, len(data))
    return struct.pack(">II", kind, len(mime)) + mime + bytes(4) + sizes + data


def opus_cover(data: bytes) -> dict[str, str]:
    """The tag of an Ogg file that holds a front cover."""
    return {"METADATA_BLOCK_PICTURE": base64.b64encode(flac_picture(3, data)).decode()}


def _grow_mp4_tags(body: bytearray, size: int) -> bytearray:
    """An MP4 file that ends with its tags, with boxes that say they have so many bytes more."""
    for box in (b"moov", b"udta", b"meta", b"ilst"):
        at = body.rindex(box) - 4
        body[at : at + 4] = (int.from_bytes(body[at : at + 4]) + size).to_bytes(4)
    return body


def long_silent_flac(path: Path, *, hours: float, sample_rate: int = 1_000) -> Path:
    """Hours of digital silence in some kB: every frame of 65,535 samples says one value."""
    samples = round(3600 * hours * sample_rate)
    block = 65_535
    info = struct.pack(">HH", block, block) + bytes(6)
    info += (sample_rate << 44 | 15 << 36 | samples).to_bytes(8) + bytes(16)
    frames = []
    for number in range(-(-samples // block)):
        length = min(block, samples - number * block)
        # Lengths and rates of 16 bits stand behind the number; mono, 16 bits a sample.
        head = b"\xff\xf8\x7d\x08" + chr(number).encode()
        head += struct.pack(">HH", length - 1, sample_rate)
        frame = head + bytes([_crc(head, 0x07, 8)]) + b"\0\0\0"
        frames.append(frame + struct.pack(">H", _crc(frame, 0x8005, 16)))
    path.write_bytes(b"fLaC\x80\0\0\x22" + info + b"".join(frames))
    return path


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    """The checksum of FLAC's frames (RFC 9639, sections 9.1.8 and 9.3)."""
    crc = 0
    for byte in data:
        crc ^= byte << (bits - 8)
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc >> (bits - 1) else 0)) & ((1 << bits) - 1)
    return crc
