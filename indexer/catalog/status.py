"""Whether a track is answered."""

from __future__ import annotations

import enum


class TrackStatus(enum.StrEnum):
    """Whether a track is answered, and why not. Only present ones are."""

    PRESENT = "present"
    MISSING = "missing"  # its file has vanished; it comes back when the file does
    FAILED = "failed"  # its file has changed into one that cannot be analysed
    REMOVED = "removed"  # the owner took it out; only naming the file brings it back
