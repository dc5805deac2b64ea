"""Accuracy and cost of duplicate detection on real music: copies found, and false matches of other songs.

    python benchmarks/duplicates.py AUDIO... [--stems STEMS...] [--seconds 30] [--simulate 2000] [--json FILE]

AUDIO are folders of music, STEMS stem corpora (their mixtures are used). Of each song the first ``--seconds`` are
changed in several ways and compared with the whole song (should match) and with all other songs (should not match). The
threshold, the smallest without a false match, is chosen on one half of the songs and tested on the other half. Files
that match for 20 s and more are listed as copies within the material and count for neither; check them by hand.
``--simulate`` measures the index on that many tracks of 200 s, each with the peaks of one of the songs in random order.
The cost is realistic. The number of pairs proposed by chance is not, since the tracks share no tempo or key.
"""

import argparse
import itertools
import json
import os
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from remix_miner.audio import Audio, AudioReader, read_audio
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.library import find_audio
from remix_miner.duplicates.fingerprints import Peaks, fingerprint, fingerprint_file, groups
from remix_miner.duplicates.matching import (
    COMPARED_PEAKS,
    COPY_SHARE,
    INDEXED_PEAKS,
    LEAST_MATCHED_SECONDS,
    match,
    proposed_pairs,
)

COPY_SECONDS = 20
CROP_START = 7.3137


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path, nargs="*", help="folders of music")
    parser.add_argument("--stems", type=Path, nargs="*", default=[], help="stem corpora")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each song to change")
    parser.add_argument("--songs", type=int, default=None, help="how many to change, spread over all; every one")
    parser.add_argument("--simulate", type=int, default=2000, help="tracks in the index")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    options = parser.parse_args()
    songs = {file.name: file.path for file in find_audio(options.audio)[0]} if options.audio else {}
    prints, cost = whole_files(songs)
    heads = {name: head(path, options.seconds) for name, path in songs.items()}
    for track in load_stem_tracks(options.stems, absent_ok=True) if options.stems else []:
        prints[track.name] = fingerprint([track.read_mixture()], track.sample_rate)
        frames = min(track.frames, round(options.seconds * track.sample_rate))
        heads[track.name] = track.read_mixture(0, frames), track.sample_rate
    names = list(prints)
    print(f"{len(names)} songs, {sum(map(length, prints.values())) / 60:.0f} minutes; load {os.getloadavg()[0]:.0f}")
    for suffix, (seconds, cpu) in cost.items():
        print(f"fingerprints of {suffix}: {seconds / cpu:.0f} times real time (CPU time of one core)")
    changed = [names[at] for at in np.linspace(0, len(names) - 1, options.songs or len(names)).round().astype(int)]
    heads = {name: heads[name] for name in dict.fromkeys(changed)}
    copies, same_songs = false_matches(prints)
    print(
        "copies in the material:",
        *(f"\n  {first} = {other}: {seconds} s" for first, other, seconds in copies),
        flush=True,
    )
    related = {frozenset(copy[:2]) for copy in copies}
    positives, negatives, found = changed_songs(prints, heads, related)
    for (first, other), seconds in same_songs.items():
        negatives[first].append(seconds)
        negatives[other].append(seconds)
    chosen = tables([*heads, *(name for name in names if name not in heads)], positives, negatives)
    print(f"threshold chosen here {chosen} s, in use {LEAST_MATCHED_SECONDS} s; {found}")
    result: dict[str, Any] = {"songs": len(names), "positives": positives, "negatives": negatives, "chosen": chosen}
    if options.simulate:
        result["index"] = simulate(list(prints.values()), options.simulate)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, default=int))


def whole_files(songs: dict[str, Path]) -> tuple[dict[str, Peaks], dict[str, tuple[float, float]]]:
    """Return the fingerprint of each file, and per format (seconds of audio, seconds of CPU)."""
    prints, cost = {}, {}
    for name, path in songs.items():
        started = time.process_time()
        prints[name], seconds = fingerprint_file(path)
        audio, cpu = cost.get(path.suffix, (0.0, 0.0))
        cost[path.suffix] = audio + seconds, cpu + time.process_time() - started
    return prints, cost


def head(path: Path, seconds: float) -> tuple[Audio, int]:
    with AudioReader(path) as reader:
        frames = min(round(seconds * reader.sample_rate), reader.frames)
    return read_audio(path, 0, frames)


def length(peaks: Peaks) -> float:
    return float(peaks["seconds"].max(initial=0))


def encoded(audio: Audio, sample_rate: int, suffix: str, level: float) -> Audio:
    """Encode with a lossy codec and decode. ``level`` 0 is the best quality, 1 the smallest file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        with soundfile.SoundFile(path, "w", sample_rate, len(audio), compression_level=level) as file:
            for start in range(0, audio.shape[1], sample_rate):
                file.write(np.clip(audio[:, start : start + sample_rate].T, -1, 1))
        return read_audio(path)[0]


def faster(audio: Audio, speed: float) -> Audio:
    resampled: Audio = np.ascontiguousarray(soxr.resample(audio.T, round(1000 * speed), 1000).T)
    return resampled


def crop(audio: Audio, sample_rate: int, seconds: float) -> Audio:
    return audio[:, round(CROP_START * sample_rate) : round((CROP_START + seconds) * sample_rate)]


CHANGES: dict[str, Callable[[Audio, int], Audio]] = {
    "mp3, low quality": lambda audio, rate: encoded(0.5 * audio, rate, ".mp3", 0.9),
    "ogg, low quality, -20 dB": lambda audio, rate: encoded(0.1 * audio, rate, ".ogg", 0.9),
    "1% faster, mp3": lambda audio, rate: encoded(0.5 * faster(audio, 1.01), rate, ".mp3", 0.6),
    "1% slower": lambda audio, rate: faster(audio, 0.99),
    "10 s of it, mp3": lambda audio, rate: encoded(0.5 * crop(audio, rate, 10), rate, ".mp3", 0.6),
    "10 s of it, 1% faster": lambda audio, rate: faster(crop(audio, rate, 10), 1.01),
    "6 s of it, ogg": lambda audio, rate: encoded(crop(audio, rate, 6), rate, ".ogg", 0.6),
}


def false_matches(prints: dict[str, Peaks]) -> tuple[list[tuple[str, str, int]], dict[tuple[str, str], int]]:
    """Return (copies in the material, matched seconds of every other pair of songs)."""
    copies, others = [], {}
    for first, other in itertools.combinations(prints, 2):
        seconds = match(prints[first], prints[other]).matched_seconds
        if seconds >= COPY_SECONDS:
            copies.append((first, other, seconds))
        else:
            others[first, other] = seconds
    return copies, others


def changed_songs(
    prints: dict[str, Peaks], heads: dict[str, tuple[Audio, int]], related: set[frozenset[str]]
) -> tuple[dict[str, dict[str, int]], dict[str, list[int]], str]:
    """Return the matched seconds of each changed song with its original and with others, and the proposed pairs."""
    positives: dict[str, dict[str, int]] = defaultdict(dict)
    negatives: dict[str, list[int]] = defaultdict(list)
    everything, owners = list(prints.values()), list(prints)
    for name, (audio, rate) in heads.items():
        for change, function in CHANGES.items():
            seconds = 10 if "10 s" in change else 6 if "6 s" in change else 0
            if audio.shape[1] < (CROP_START + seconds) * rate:
                continue
            changed = fingerprint([function(audio, rate)], rate)
            everything.append(changed)
            owners.append(name)
            positives[change][name] = match(changed, prints[name]).matched_seconds
            negatives[name] += [
                match(changed, prints[other]).matched_seconds
                for other in prints
                if other != name and frozenset((name, other)) not in related
            ]
    pairs, shares = proposed_pairs(everything)
    share = {(first, other): share for (first, other), share in zip(pairs.tolist(), shares.tolist(), strict=True)}
    own = [(owners.index(owner), at) for at, owner in enumerate(owners) if at >= len(prints)]
    of_copies = [share.get(pair, 0.0) for pair in own]
    wrong = [
        value
        for pair, value in share.items()
        if len(between := {owners[at] for at in pair}) == 2 and frozenset(between) not in related
    ]
    total = len(owners) * (len(owners) - 1) // 2
    return (
        positives,
        negatives,
        (
            f"the index proposed {sum(map(bool, of_copies))} of {len(own)} copies, with {min(of_copies):.1%} of the "
            f"keys or more, and {len(wrong)} wrong pairs of {total}, with {max(wrong, default=0.0):.1%} or fewer"
        ),
    )


def tables(names: list[str], positives: dict[str, dict[str, int]], negatives: dict[str, list[int]]) -> int:
    """Print both halves and return the threshold chosen on the first half."""
    halves = {"choosing": set(names[::2]), "judging": set(names[1::2])}
    most = max(max(negatives[name], default=0) for name in halves["choosing"])
    for half, members in halves.items():
        values = np.concatenate([negatives[name] for name in members])
        print(f"\n{half} songs: {len(members)}; other songs match for at most {int(values.max())} s")
        print(f"  {'':28} {'least':>6} {'median':>6}  missed at a threshold of {most + 1}, {LEAST_MATCHED_SECONDS} s")
        for change, rows in positives.items():
            matched = np.array([seconds for name, seconds in rows.items() if name in members])
            missed = ", ".join(
                f"{(matched < limit).sum()}/{len(matched)}" for limit in (most + 1, LEAST_MATCHED_SECONDS)
            )
            print(f"  {change:28} {matched.min():4d} s {np.median(matched):4.0f} s  {missed}")
        counts = np.bincount(values.astype(int))
        print(f"  {len(values)} comparisons with other songs, by matched seconds: {counts.tolist()}")
    return int(most) + 1


def simulate(prints: list[Peaks], tracks: int) -> dict[str, float]:
    """Measure the cost of the index on this many tracks of 200 s with the peaks of real songs in random order."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(tracks):
        peaks = prints[rng.integers(len(prints))]
        gaps = rng.choice(np.diff(peaks["seconds"]), size=round(200 * len(peaks) / length(peaks)))
        track = np.empty(len(gaps), dtype=peaks.dtype)
        track["seconds"] = np.cumsum(gaps)
        track["semitones"] = rng.choice(peaks["semitones"], size=len(gaps))
        made.append(track)
    started = time.process_time()
    pairs, shares = proposed_pairs(made)
    seconds = time.process_time() - started
    comparison_seconds = time.process_time()
    for first, second in itertools.pairwise(made[:50]):
        match(first, second)
    comparison_seconds = (time.process_time() - comparison_seconds) / min(49, max(tracks - 1, 1))
    result = {
        "tracks": tracks,
        "fingerprint_bytes": float(np.mean([track.nbytes for track in made])),
        "keys_compared": float(np.mean([len(groups(track, COMPARED_PEAKS)[0]) for track in made[:50]])),
        "keys_indexed": float(np.mean([len(groups(track, INDEXED_PEAKS)[0]) for track in made[:50]])),
        "seconds": seconds,
        "proposed": float(len(pairs)),
        "proposed_as_copies": float((shares >= COPY_SHARE).sum()),
        "match_seconds": comparison_seconds,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0,
    }
    print(
        f"\nindex of {tracks} tracks of 200 s: {seconds:.1f} s of CPU, {len(pairs)} pairs proposed, "
        f"{int(result['proposed_as_copies'])} of them as copies, "
        f"{1000 * comparison_seconds:.1f} ms a comparison, {result['fingerprint_bytes'] / 1000:.1f} kB a fingerprint, "
        f"peak memory {result['peak_bytes'] / 1e6:.0f} MB"
    )
    return result


if __name__ == "__main__":
    main()
