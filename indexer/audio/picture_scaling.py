"""Pictures made smaller: JPEG, or PNG where something shows through."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import av

from indexer.audio.cover_art import Picture
from indexer.audio.error_translation import translate_errors
from indexer.errors import Corrupt

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MOST_PIXELS = 64_000_000
"""Of pictures that are decoded; larger ones take more memory than a cover is worth."""
_FORMATS = {
    "image/jpeg": "jpeg_pipe",
    "image/png": "png_pipe",
    "image/webp": "webp_pipe",
    "image/gif": "gif",
}
_WITH_ALPHA = ("rgba", "argb", "bgra", "abgr", "gbrap", "yuva", "ya", "pal")
"""How FFmpeg's names of such formats of pixels begin."""
_QUALITY = 3
"""Of JPEG, from 2, the best, to 31."""


def scale_down(picture: Picture, size: int, name: str) -> Picture:
    """A picture of at most so many pixels a side; one that is no larger stays as it is.

    Parameters
    ----------
    name : str
        Of its file, for messages.

    Raises
    ------
    AnalysisError
        It cannot be decoded; the stage is "cover".
    """
    with translate_errors(name, stage="cover"):
        frame = _first_frame(picture, name)
        longest = max(frame.width, frame.height)
        if longest <= size:
            return picture
        width, height = (
            max(1, round(side * size / longest)) for side in (frame.width, frame.height)
        )
        if _shows_through(frame):
            return Picture(_encode(frame, width, height, "png", "rgba"), "image/png")
        return Picture(_encode(frame, width, height, "mjpeg", "yuvj444p"), "image/jpeg")


def _first_frame(picture: Picture, name: str) -> VideoFrame:
    options = {"max_pixels": str(MOST_PIXELS)}
    kind = _FORMATS[picture.media_type]
    # Of the stream as well: FFmpeg decodes a picture already when it looks for streams.
    with av.open(io.BytesIO(picture.data), "r", format=kind, options=options) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = options
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            return frame
    raise Corrupt(f"{name!r} has a cover that holds no picture; replace it", stage="cover")


def _shows_through(frame: VideoFrame) -> bool:
    """Whether a picture is of a kind that can have transparent parts."""
    return str(frame.format.name).startswith(_WITH_ALPHA)


def _encode(frame: VideoFrame, width: int, height: int, codec: str, pixels: str) -> bytes:
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = width, height, pixels
    context.framerate = 1
    if codec == "mjpeg":
        context.color_range = 2  # The full range, as in JPEG.
        context.qmin = context.qmax = _QUALITY
    # An area average: fewer steps would leave out lines of a picture that becomes much smaller.
    scaled = frame.reformat(width=width, height=height, format=pixels, interpolation="AREA")
    return b"".join(bytes(packet) for packet in (*context.encode(scaled), *context.encode(None)))
