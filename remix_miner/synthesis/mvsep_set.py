"""Synthetic test sets with private references, as MVSep's quality checkers have them.

Solovyev et al. 2023 score systems on 'Synth MVSep' and 'Multisong MVSep': a hundred excerpts of one minute, whose
mixtures are public and whose references are not. Files of estimates are named ``song_000_<source>.wav``.
"""

from pathlib import Path
from typing import Any

from remix_miner.atomic import write_json
from remix_miner.audio import write_audio
from remix_miner.errors import UsageError
from remix_miner.progress import Progress
from remix_miner.synthesis.corpus import (
    FORMAT_VERSION,
    SEEDS_PER_CORPUS,
    SETTINGS_NAME,
    check_seed,
    claim_folder,
    write_stems,
)
from remix_miner.synthesis.song import synthesize_song

SONGS = 100
SECONDS = 60.0
FIRST_SEED = SEEDS_PER_CORPUS // 2
"""Songs of a corpus of the same seed have smaller numbers: no song is in both."""

PUBLIC, PRIVATE = "mixtures", "private"


def write_test_set(
    out: str | Path, songs: int = SONGS, seconds: float = SECONDS, seed: int = 0, sample_rate: int = 44100
) -> dict[str, Any]:
    """Write ``out/mixtures/song_000.wav`` and ``out/private/song_000/{drums,bass,other,vocals,mixture}.wav``, and on.

    Only the mixtures are to be given away: the private folder also holds the settings, and their seed gives the
    references. A rerun writes what is missing; a folder made with other settings raises `DataError`. Returns a
    summary.
    """
    if not 1 <= songs <= 1000:
        raise UsageError(f"a test set has 1 to 1000 songs, not {songs}")
    check_seed(seed)
    out = Path(out)
    settings = {
        "format_version": FORMAT_VERSION,
        "layout": "mvsep",
        "songs": songs,
        "seconds": seconds,
        "seed": seed,
        "sample_rate": sample_rate,
    }
    private = out / PRIVATE
    written = claim_folder(private, settings, ("song_000",))
    with Progress("synthesizing", total=songs, unit="songs") as progress:
        for index in range(songs):
            name = f"song_{index:03d}"
            mixture = out / PUBLIC / f"{name}.wav"
            if not (name in written and (private / name / "mixture.wav").exists() and mixture.exists()):
                song = synthesize_song(seed * SEEDS_PER_CORPUS + FIRST_SEED + index, seconds, sample_rate)
                write_stems(private / name, song)
                write_audio(mixture, song.mixture, sample_rate, "int16")
                written[name] = song.description()
            progress.advance(note=name)
    write_json(private / SETTINGS_NAME, {**settings, "written": written})
    return {"out": str(out), **settings, "files": sorted(f"{PUBLIC}/{name}.wav" for name in written)}
