"""Guitars of Frets on Fire songs as loops: OUT/other/*.flac, mono, 16 kHz, of the songs' ``guitar.ogg``.

    python examples/default_detector/game_guitars.py /usr/share/games/fretsonfire/data/songs OUT

The game keeps the guitar apart from the rest of a song. Pieces of 20 s are kept where the guitar plays in at least
half of the half seconds; OUT is a `--loops` folder of `remix-miner train-detector`. Debian's fretsonfire-songs-muldjord
(CC BY-SA 3.0) and fretsonfire-songs-sectoid (a licence like MIT's) hold eight songs.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "material"))
from pool import SAMPLE_RATE, Part, read_mono, write_part

PIECE_SECONDS = 20.0
PLAYING_DB = -45.0
LEAST_PLAYING = 0.5


def playing_share(piece: np.ndarray) -> float:
    """Return the share of whole half seconds with a level of at least -45 dB."""
    blocks = piece[: len(piece) // 8000 * 8000].reshape(-1, 8000)
    return float((np.square(blocks).mean(axis=1) >= 10 ** (PLAYING_DB / 10)).mean()) if len(blocks) else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    frames, kept, left_out = int(PIECE_SECONDS * SAMPLE_RATE), 0, 0
    for path in sorted(options.songs.rglob("guitar.ogg")):
        audio = read_mono(path)
        for number, start in enumerate(range(0, len(audio) - frames + 1, frames)):
            piece = audio[start : start + frames]
            if playing_share(piece) < LEAST_PLAYING:
                left_out += 1
                continue
            stem = f"{path.parents[1].name}-{path.parent.name}_{number:02d}".replace(" ", "-")
            kept += write_part(Part("other", piece, "recorded guitar"), options.out, stem) is not None
    if not kept:
        raise SystemExit(f"no guitar.ogg in {options.songs} has a piece of {PIECE_SECONDS:g} s with a playing guitar")
    print(
        f"{kept} pieces of {PIECE_SECONDS:g} s in {options.out / 'other'}, {left_out} with too little guitar left out"
    )


if __name__ == "__main__":
    main()
