"""Whether a track takes part in answers."""

from __future__ import annotations

import enum


class TrackStatus(enum.StrEnum):
    """Whether a track takes part in answers, and why not: only present ones do."""

    PRESENT = "present"
    MISSING = "missing"  # its file has vanished; it comes back when the file does
    FAILED = "failed"  # its file has changed into one that cannot be analysed
    REMOVED = "removed"  # the owner took it out; only naming the file brings it back
