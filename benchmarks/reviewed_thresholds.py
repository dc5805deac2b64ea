"""Thresholds from listeners' answers on planted songs: what 20, 60 and 200 answers give, with and without the sample.

    python benchmarks/reviewed_thresholds.py OUT [--songs 80] [--seconds 40] [--trials 10] [--bound none]

Generated songs with known stems are a library. The default detector scans it without storing audio. Answers come from
the stems: a draw is accepted where the source is at most -20 dB in every window, else rejected, with the stretch from
the first to the last louder window marked. The functions behind `review` and `calibrate --reviews` draw the stretches
and turn the answers into a threshold, by the plain share (`--bound none`) unless ``--bound`` names another rule. Two
kinds of sample are compared: audits, which draw from the harvest of the scan, and samples around the threshold, which
draw below it, too. Each starts from three thresholds: one too low, the scan's own, and one too high.

For each source the output has the lowest threshold at which 95% of the harvested seconds are silent on this library
(known from the stems), and for each start and number of answers, over the trials: how often a threshold was chosen,
its median, the true purity of the harvest there (mean and lowest), and the share of the silent spans that it finds. A
rerun keeps songs and scan.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit

from remix_miner.audio import downmix, resample, write_audio
from remix_miner.calibration.harvest import Harvest, HarvestRule, harvest, perfect_harvest
from remix_miner.calibration.recalibration import threshold_from_draws
from remix_miner.calibration.reviewed_songs import WindowLabels
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong, sounding_windows
from remix_miner.calibration.thresholds import Rule
from remix_miner.calibration.window_table import windows_of
from remix_miner.detector.spans import silent_spans
from remix_miner.detector.window_volumes import window_volumes_db
from remix_miner.detector.windows import HOP_SECONDS, SAMPLE_RATE, WINDOW_SECONDS
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.probabilities import ProbabilityStore, StoredTrack
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.progress import track
from remix_miner.review.samples.threshold_draw import draw_stretches, lowest_score, strata_of, stretches, track_scores
from remix_miner.sources import MINED_SOURCES, SOURCES
from remix_miner.synthesis.song import song_name, synthesize_song

FIRST_SEED = 7_000_000
SILENT_DB = -20.0
TARGET = 0.95
ANSWERS = (20, 60, 200)
MIN_SECONDS = 5.0
GRID = expit(np.arange(-3, 8.01, 0.0625))


Drawn = tuple[str, float, float, float]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one set of answers gave: a threshold or None, and the true purity and found share there."""

    threshold: float | None
    purity: float | None = None
    found: float | None = None


def plant(out: Path, songs: int, seconds: float) -> None:
    """Write mixtures into ``out/library`` and the volumes of their sources per window into ``out/truth``."""
    (out / "library").mkdir(parents=True, exist_ok=True)
    (out / "truth").mkdir(exist_ok=True)
    for seed in track(range(FIRST_SEED, FIRST_SEED + songs), "planting songs"):
        name = song_name(seed)
        if (out / "truth" / f"{name}.npy").is_file():
            continue
        song = synthesize_song(seed, seconds, 44_100)
        write_audio(out / "library" / f"{name}.flac", song.mixture, 44_100, "int16")
        mono = np.stack([resample(downmix(stem)[None], 44_100, SAMPLE_RATE)[0] for stem in song.stems])
        volumes = window_volumes_db(torch.from_numpy(mono)).numpy()
        volumes[:, ~sounding_windows(torch.from_numpy(mono).sum(dim=0))] = np.nan
        np.save(out / "truth" / f"{name}.npy", volumes)


def labelled(out: Path, mined: Path) -> list[LabelledSong]:
    """Return the songs with the scan's probabilities and the true volumes."""
    songs = []
    with ProbabilityStore(mined, to_read=True) as store:
        for stored in store.all():
            volumes = np.load(out / "truth" / f"{Path(stored.track).stem}.npy")
            seconds = stored.frames / stored.sample_rate
            songs.append(LabelledSong(stored.track, stored.track, seconds, stored.probabilities, volumes))
    return songs


class Truth:
    """True answers and harvests of one source."""

    def __init__(self, songs: list[LabelledSong], source: str) -> None:
        self.row = SOURCES.index(source)
        self.songs = {song.name: song for song in songs}
        self.windows = windows_of(songs, self.row, SILENT_DB)
        self.perfect = perfect_harvest(self.windows, 5.0).kept

    def outcome(self, threshold: float | None) -> Outcome:
        """Return the true purity of the harvest at a threshold, and the share of the silent spans that it finds."""
        if threshold is None:
            return Outcome(None)
        kept: Harvest = harvest(self.windows, HarvestRule(threshold))
        return Outcome(threshold, kept.purity, float((kept.kept & self.perfect).sum() / self.perfect.sum()))

    def lowest(self) -> float | None:
        """Return the lowest threshold at and above which the purity is `TARGET`."""
        purities = [self.outcome(float(threshold)).purity for threshold in GRID]
        enough = [purity is not None and purity >= TARGET for purity in purities]
        return float(GRID[enough.index(True)]) if any(enough) else None

    def answer(self, song: str, start: float, end: float) -> tuple[str, tuple[float, float] | None]:
        """Return the decision about a stretch of a song and, where it is wrong, the part to mark."""
        volumes = self.songs[song].volumes[self.row]
        centres = np.arange(len(volumes)) * HOP_SECONDS
        half = WINDOW_SECONDS / 2
        inside = (centres - half >= start - 1e-9) & (centres + half <= end + 1e-9)
        loud = centres[inside & (volumes > SILENT_DB)]
        if not len(loud):
            return "accepted", None
        return "rejected", (max(start, loud[0] - half), min(end, loud[-1] + half))


def around(tracks: list[StoredTrack], truth: Truth, start: float, answers: int, seed: int) -> list[Drawn]:
    """Return a sample around the threshold ``start``: track, start and end in seconds, and weight of each draw."""
    scored = [track_scores(number, track, truth.row, MIN_SECONDS) for number, track in enumerate(tracks)]
    strata = strata_of(stretches(scored, lowest_score(scored, start, answers), MIN_SECONDS), start)
    draws = draw_stretches(strata, answers, np.random.default_rng(seed))
    return [
        (tracks[draw.track_id].track, draw.start_seconds, draw.start_seconds + draw.seconds, draw.weight)
        for draw in draws
    ]


def audit(tracks: list[StoredTrack], truth: Truth, start: float, answers: int, seed: int) -> list[Drawn]:
    """Return draws of the harvest at the threshold ``start``, in proportion to their seconds and with replacement."""
    spans = [
        (track.track, span.start_seconds, span.end_seconds)
        for track in tracks
        for span in silent_spans(track.probabilities[truth.row], start, track.frames / track.sample_rate, MIN_SECONDS)
    ]
    if not spans:
        return []
    seconds = np.array([end - first for _, first, end in spans])
    chosen = np.random.default_rng(seed).choice(len(spans), size=answers, p=seconds / seconds.sum())
    return [(*spans[place], 1.0) for place in chosen]


def trial(drawn: list[Drawn], truth: Truth, labels: WindowLabels, bound: Rule) -> Outcome:
    """Answer the draws and return what the new threshold gives."""
    reviewed = []
    for name, start, end, weight in drawn:
        decision, wrong = truth.answer(name, start, end)
        found = labels.of(name, start, end - start, decision, *(wrong or (None, None)))
        reviewed.append(dataclasses.replace(found, weight=weight))
    if not reviewed:
        return Outcome(None)
    return truth.outcome(threshold_from_draws(reviewed, CalibrationSettings(precision=TARGET, bound=bound)).value)


def summary(outcomes: list[Outcome]) -> dict[str, float | int | None]:
    chosen = [outcome for outcome in outcomes if outcome.threshold is not None]
    purities = [outcome.purity for outcome in chosen if outcome.purity is not None]
    return {
        "trials": len(outcomes),
        "chosen": len(chosen),
        "threshold": float(np.median([outcome.threshold for outcome in chosen])) if chosen else None,
        "purity": float(np.mean(purities)) if purities else None,
        "purity_lowest": min(purities, default=None),
        "found": float(np.mean([outcome.found for outcome in chosen])) if chosen else None,
    }


def shown(row: dict[str, float | int | None]) -> str:
    if not row["chosen"]:
        return f"0/{row['trials']}"
    return (
        f"{row['chosen']}/{row['trials']} at {row['threshold']:.3f}: {row['purity']:.1%} (from "
        f"{row['purity_lowest']:.1%}), finds {row['found']:.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--songs", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--bound", default="none", choices=["none", "crossval", "bootstrap"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    out, mined = options.out, options.out / "mined"
    plant(out, options.songs, options.seconds)
    mine([out / "library"], mined, MineSettings(labels_only=True, engine=Engine(workers=0)))
    songs = labelled(out, mined)
    rows = []
    with CatalogueView.read(mined) as catalogue, ProbabilityStore(mined, to_read=True) as store:
        thresholds, tracks = catalogue.settings["thresholds"], list(store.all())
        for source in MINED_SOURCES:
            truth, own = Truth(songs, source), float(thresholds[source])
            labels = WindowLabels(store, source, MIN_SECONDS)
            lowest = truth.lowest()
            print(f"\n{source}: true threshold {lowest and round(lowest, 3)}, {truth.windows.silence_rate:.0%} silent")
            for start in (0.3, own, 0.99):
                here = truth.outcome(start)
                print(f"  from {start:.3f}: purity {here.purity or 0:.1%}, finds {here.found:.0%}")
                for kind, draw in (("audit", audit), ("around", around)):
                    for answers in ANSWERS:
                        drawn = [draw(tracks, truth, start, answers, seed) for seed in range(options.trials)]
                        found = summary([trial(draw, truth, labels, options.bound) for draw in drawn])
                        rows.append({"source": source, "start": start, "kind": kind, "answers": answers, **found})
                        print(f"    {kind:6} {answers:3} answers: {shown(found)}", flush=True)
    (out / "reviewed_thresholds.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
