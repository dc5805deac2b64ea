"""MIDI music of free games in Debian: openttd-openmsx, planetblupi-music-midi and the music of freedoom and freedm."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GAMES = Path("/usr/share/games")
BLUPI = Path("/usr/share/planetblupi/music")
WADS = ("freedoom1", "freedoom2", "freedm")
ENTRY_BYTES = 16


@dataclass(frozen=True)
class Piece:
    """A MIDI file: its composer decides its split."""

    name: str
    composer: str
    licence: str
    data: bytes

    @property
    def split(self) -> str:
        return "test" if self.composer in ("Jim Redfarn", "Denis Dumoulin") else "train"


def lumps(wad: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the entries of a WAD archive (Doom's)."""
    count, directory = struct.unpack("<ii", wad[4:12])
    for at in range(directory, directory + count * ENTRY_BYTES, ENTRY_BYTES):
        start, size, name = struct.unpack("<ii8s", wad[at : at + ENTRY_BYTES])
        yield name.rstrip(b"\0").decode("latin-1"), wad[start : start + size]


def pieces() -> list[Piece]:
    """Return the pieces of the installed packages, each once."""
    found = []
    for path in sorted((GAMES / "openttd/baseset/openmsx").glob("*.mid")):
        composer = "Jim Redfarn" if path.stem.endswith("redfarn") else "OpenMSX authors"
        found.append(Piece(f"openmsx_{path.stem}", composer, "GPL-2.0", path.read_bytes()))
    for path in sorted(BLUPI.glob("*.mid")):
        found.append(Piece(f"blupi_{path.stem}", "Denis Dumoulin", "GPL-3.0 or later", path.read_bytes()))
    for wad in WADS:
        path = GAMES / "doom" / f"{wad}.wad"
        for name, data in lumps(path.read_bytes()) if path.exists() else ():
            if name.startswith("D_") and data.startswith(b"MThd"):
                found.append(Piece(f"{wad}_{name[2:].lower()}", "Freedoom authors", "BSD-3-Clause", data))
    return list({piece.data: piece for piece in reversed(found)}.values())[::-1]
