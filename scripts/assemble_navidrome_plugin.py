"""Assemble the WebAssembly of Navidrome's plugin from its source, with PyPI's wasmtime.

python scripts/assemble_navidrome_plugin.py
"""

from pathlib import Path

ROOM = Path(__file__).parents[1] / "recommender" / "players" / "navidrome"


def assemble() -> bytes:
    """The module that the source gives."""
    import wasmtime

    return bytes(wasmtime.wat2wasm((ROOM / "plugin.wat").read_text(encoding="utf-8")))


if __name__ == "__main__":
    (ROOM / "plugin.wasm").write_bytes(assemble())
