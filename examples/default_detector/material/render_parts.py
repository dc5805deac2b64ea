"""Rendering of isolated parts for training a detector: OUT/{drums,bass,other,vocals}/*.flac, mono 16 kHz, manifests.

    python material/render_parts.py OUT --audio ../shared/audio --split train --only machine-drums --count 200

Everything is drawn from ``--seed``: the same command writes the same files, and a larger ``--count`` adds to them.
docs/background/default_detector_material.md lists the material and its licences.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

sys.path[:0] = [str(folder) for folder in sorted(Path(__file__).resolve().parents[1].iterdir()) if folder.is_dir()]

from generators import GENERATORS  # noqa: E402
from ingredients import Library  # noqa: E402
from kinds import KINDS  # noqa: E402
from masking_kinds import MASKING  # noqa: E402
from pool import SAMPLE_RATE, Manifest, parts, write_part  # noqa: E402

EVERY = {**GENERATORS, **KINDS, **MASKING}


def render(library: Library, out: Path, name: str, split: str, count: int, seed: int) -> float:
    """Write the missing ones of the first ``count`` parts of a generator, and return the seconds of audio rendered."""
    manifest, seconds = Manifest(out, f"{name}_{split}"), 0.0
    new = parts(partial(EVERY[name], library), name, split, count, seed, manifest.known)
    for done, (stem, part) in enumerate(new, start=1):
        manifest.add(stem, part, write_part(part, out, stem) is not None)
        seconds += len(part.audio) / SAMPLE_RATE
        if done % 20 == 0:
            manifest.save()
    manifest.save()
    return seconds


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("out", type=Path)
    options.add_argument(
        "--audio", type=Path, default=Path("../shared/audio"), help="oneshots/, loops/ and singing16k/"
    )
    options.add_argument("--fonts", type=Path, nargs="*", default=[], help="soundfonts, for font-*")
    options.add_argument("--drumkits", type=Path, help="folder of Hydrogen drum kits, for oneshot-*")
    options.add_argument("--samples", type=Path, help="unpacked tonejs-instrument-*-mp3 packages, for multisample-*")
    options.add_argument("--recorded", type=Path, help="folder with klettres/, ktuberling/ ..., for recorded-speech")
    options.add_argument("--split", choices=["train", "heldout", "measure"], default="train")
    options.add_argument("--only", nargs="+", required=True, choices=list(EVERY), help="generators")
    options.add_argument("--count", type=int, default=100, help="parts per generator")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    library = Library(chosen.audio, chosen.fonts, chosen.drumkits, chosen.samples, chosen.recorded)
    for name in chosen.only:
        started = time.monotonic()
        seconds = render(library, chosen.out, name, chosen.split, chosen.count, chosen.seed)
        speed = seconds / max(time.monotonic() - started, 1e-9)
        print(f"{name}: {seconds / 60:.1f} minutes, {speed:.0f} times real time", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
