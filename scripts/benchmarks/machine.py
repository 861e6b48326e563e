"""Which machine the figures are of."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PACKAGES = ("soundalike", "numpy", "torch", "av", "soxr", "faiss-cpu", "SQLAlchemy", "pebble")


def machine_facts() -> dict[str, str]:
    """Processor, memory, load, date and versions, by what they are called."""
    import av

    codec = ".".join(str(part) for part in av.library_versions["libavcodec"])
    versions = [f"{name} {metadata.version(name)}" for name in PACKAGES]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": f"{_processor()}, {usable_cores()} cores, {pages / 1e9:.0f} GB of memory",
        "system": f"{platform.system()} {platform.release()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()) + " (1, 5, 15 minutes before)",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "versions": f"Python {platform.python_version()}, {', '.join(versions)}, "
        f"libavcodec {codec}",
    }


def usable_cores() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        fields: dict[str, str] = {}
        for line in facts.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
        if "model name" in fields:
            # Virtual machines hide the model's name; family and number still tell it.
            numbers = f"family {fields.get('cpu family')}, model {fields.get('model')}"
            return f"{fields['model name']} ({numbers})"
    return platform.processor() or platform.machine()
