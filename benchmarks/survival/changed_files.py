"""Files with bytes changed at random, scanned and stored: nothing crashes, and all that is stored is sound.

    python benchmarks/survival/changed_files.py [--files 3600]

tests/test_fuzz.py has a smaller form.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import soundfile
import torch
from formats import FORMATS
from scans import RATE, harvest, noise, scan

SCANNED = ("wav", "float.wav", "flac", "mp3", "ogg", "opus", "aiff", "caf")


def mutate(folder: Path, files: int) -> None:
    """Change bytes of short songs at random, scan them in one process, and check everything that was stored."""
    generator = random.Random(0)
    originals: list[tuple[str, bytes]] = []
    for name in SCANNED:
        path = folder / f"original.{name}"
        soundfile.write(path, noise(len(originals), 1.3), RATE, **FORMATS[name])
        originals.append((name, path.read_bytes()))
    library = folder / "library"
    library.mkdir()
    for number in range(files):
        name, content = originals[number % len(originals)]
        (library / f"{number:05d}.{name}").write_bytes(changed(content, generator))
    begun = time.process_time()
    report = scan(library, folder / "out", 0, duplicates=False)
    seconds = time.process_time() - begun
    excerpts = harvest(folder / "out")
    kinds = Counter(kind for _, kind, _ in report.failures)
    other = [failure for failure in report.failures if failure[1] != "undecodable"]
    assert not other, other[:9]
    with_excerpts = len({track for track, _, _ in excerpts})
    print(
        f"{files} changed files in {seconds:.0f} s of CPU: {report.tracks.get('done', 0)} scanned, {len(report.notes)} "
        f"of them with a remark, {sum(kinds.values())} refused, {len(report.skipped)} left out; "
        f"{len(excerpts)} excerpts of {with_excerpts} files, all finite, none silent, all shards intact"
    )


def changed(original: bytes, generator: random.Random) -> bytes:
    """Return the bytes with one to four changes; a third of them in the first hundredth, where headers are."""
    content = bytearray(original)
    for _ in range(generator.randint(1, 4)):
        at = int(generator.random() * len(content) * (0.01 if generator.random() < 0.33 else 1))
        what = generator.choice(("overwrite", "zero", "cut", "remove", "repeat"))
        if what == "overwrite":
            some = generator.randbytes(generator.randint(1, 8))
            content[at : at + len(some)] = some
        elif what == "zero":
            some = bytes(min(generator.randint(1, 2000), len(content) - at))
            content[at : at + len(some)] = some
        elif what == "cut":
            del content[max(at, len(content) // 4) :]
        elif what == "remove":
            del content[at : at + generator.randint(1, 500)]
        else:
            content[at:at] = content[at : at + generator.randint(1, 500)]
    return bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=3600)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        mutate(Path(folder), options.files)


if __name__ == "__main__":
    main()
