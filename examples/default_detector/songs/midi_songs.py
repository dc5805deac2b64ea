"""Songs with exact stems from MIDI: free game music, and arrangements by Musical MIDI Accompaniment (MMA).

    python midi_songs.py STEMS games --split train --fonts /usr/share/sounds/sf2/*GM*.sf2
    python midi_songs.py STEMS grooves --split test --count 20 --fonts /etc/timidity/freepats.cfg

``games`` renders the MIDI files of free games, split by composer (`game_music`); ``grooves`` renders random chord
charts in MMA's grooves, split by family of groove (`grooves`). The drums and the rest of a song get a font each, drawn
from ``--drum-fonts`` and ``--fonts``. Everything is drawn from ``--seed``; songs that are there stay.
"""

import argparse
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path[:0] = [str(folder) for folder in sorted(Path(__file__).resolve().parents[1].iterdir()) if folder.is_dir()]

from charts import pauses  # noqa: E402
from game_music import pieces  # noqa: E402
from grooves import families, song  # noqa: E402
from midi import Keep, merged, sources_in, stems  # noqa: E402
from stems import balanced, write_song  # noqa: E402

SAMPLE_RATE = 32000  # FluidSynth aliases above 8 kHz, which the stems do not contain


@dataclass(frozen=True)
class Fonts:
    """Soundfonts (.sf2, .sf3) or patch sets (.cfg) to draw from."""

    melodic: list[Path]
    drums: list[Path]

    def draw(self, rng: np.random.Generator) -> dict[str, Path]:
        melodic, drums = (fonts[int(rng.integers(len(fonts)))] for fonts in (self.melodic, self.drums))
        return {"drums": drums, "bass": melodic, "other": melodic}


def game_songs(out: Path, split: str, count: int, seed: int, fonts: Fonts) -> None:
    """Render the first ``count`` pieces of a split, in random order."""
    chosen = [piece for piece in pieces() if piece.split == split]
    order = np.random.default_rng([seed, 1]).permutation(len(chosen))
    for piece in [chosen[i] for i in order][:count]:
        folder = out / piece.name
        if folder.exists():
            continue
        rng = np.random.default_rng([seed, zlib.crc32(piece.name.encode())])
        with tempfile.NamedTemporaryFile(suffix=".mid") as file:
            file.write(piece.data)
            file.flush()
            midi = merged(Path(file.name))
        if len(sources_in(midi)) < 2:
            print(f"{piece.name}: one source only, left out", file=sys.stderr)
            continue
        rendered = stems(midi, fonts.draw(rng), SAMPLE_RATE)
        report(piece.name, write_song(folder, balanced(rendered, SAMPLE_RATE, rng), SAMPLE_RATE))


def groove_songs(out: Path, split: str, count: int, seed: int, fonts: Fonts) -> None:
    """Render ``count`` songs, one family of grooves after the other in random order."""
    chosen = [family for family in families() if family.split == split]
    order = np.random.default_rng([seed, 2]).permutation(len(chosen))
    for index in range(count):
        family = chosen[order[index % len(chosen)]]
        folder = out / f"groove_{family.genre}_{family.name}_{seed}_{index:03d}"
        if folder.exists():
            continue
        rng = np.random.default_rng([seed, 3, index])
        midi, chart = song(rng, family, seconds=float(rng.uniform(50, 80)))
        keep = arrangement(pauses(rng, len(chart.bars)), bar=sum(m.time for m in midi.tracks[0]) / len(chart.bars))
        rendered = stems(midi, fonts.draw(rng), SAMPLE_RATE, keep)
        report(folder.name, write_song(folder, balanced(rendered, SAMPLE_RATE, rng), SAMPLE_RATE))


def arrangement(silent: list[frozenset[str]], bar: float) -> Keep:
    """Return which notes sound where some sources pause in each bar of ``bar`` ticks."""
    return lambda source, tick: source not in silent[min(int(tick / bar), len(silent) - 1)]


def report(name: str, seconds: float) -> None:
    print(
        f"{name}: {seconds:.0f} s" if seconds else f"{name}: too short, or without a plain bass; not written",
        file=sys.stderr,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("material", choices=["games", "grooves"])
    parser.add_argument("--split", choices=["train", "test"], default="train")
    parser.add_argument("--fonts", type=Path, nargs="+", required=True)
    parser.add_argument("--drum-fonts", type=Path, nargs="+", help="for drums, in place of --fonts")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    make = game_songs if options.material == "games" else groove_songs
    fonts = Fonts(options.fonts, options.drum_fonts or options.fonts)
    make(options.out, options.split, options.count, options.seed, fonts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
