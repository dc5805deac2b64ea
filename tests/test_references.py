"""References by name: rest, no_X and instrumental are sums of stems, worked out from the files."""

import json
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from remix_miner.audio import write_audio
from remix_miner.cli import main
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.tracks import StemTrack
from remix_miner.errors import DataError
from remix_miner.evaluation.estimates import find_estimates
from remix_miner.evaluation.evaluate import evaluate_model, score_estimates
from remix_miner.evaluation.metrics.whole_track import usdr
from remix_miner.evaluation.references import read_reference, reference_parts, with_reference
from remix_miner.separators.loading import LoadedSeparator
from remix_miner.separators.overlap_add import InferenceSettings
from remix_miner.sources import SOURCES

RATE = 4000


@pytest.fixture
def track(tmp_path: Path) -> StemTrack:
    random = np.random.default_rng(0)
    for source in SOURCES:
        write_audio(
            tmp_path / "stems" / "song" / f"{source}.wav",
            (0.1 * random.standard_normal((2, RATE))).astype(np.float32),
            RATE,
        )
    return load_stem_tracks(tmp_path / "stems")[0]


@pytest.mark.parametrize(
    ("source", "together", "parts"),
    [
        ("vocals", ("vocals", "rest"), ("vocals",)),
        ("rest", ("vocals", "rest"), ("drums", "bass", "other")),
        ("rest", ("drums", "bass", "rest"), ("other", "vocals")),
        ("no_drums", ("drums", "no_drums"), ("bass", "other", "vocals")),
        ("instrumental", ("vocals", "instrumental"), ("drums", "bass", "other")),
        ("guitar", ("guitar",), ()),
        ("no_guitar", ("guitar", "no_guitar"), ()),
        ("rest", ("guitar", "rest"), ()),
    ],
)
def test_names_stand_for_sums_of_stems(
    track: StemTrack, source: str, together: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert reference_parts(track, source, together) == parts
    if parts:
        wanted = sum(track.read_source(part) for part in parts)
        np.testing.assert_allclose(read_reference(track, source, together), wanted, atol=1e-7)


class Share(nn.Module):
    """Estimates of the names given, each half of the mixture."""

    sample_rate, audio_channels, segment_seconds, name = RATE, 2, 0.5, "share"

    def __init__(self, *sources: str) -> None:
        super().__init__()
        self.sources = sources

    def valid_length(self, frames: int) -> int:
        return frames

    def forward(self, mixture: Tensor, frames: int | None = None) -> Tensor:
        return 0.5 * mixture[:, None].expand(-1, len(self.sources), -1, -1)


def test_a_model_of_a_target_and_the_rest_is_scored_on_four_stems(track: StemTrack, tmp_path: Path) -> None:
    model = LoadedSeparator(Share("vocals", "rest"), "share", "share")
    result = evaluate_model(
        model, [track], ["usdr"], name="a", corpus="c", folder=tmp_path / "out", settings=InferenceSettings()
    )
    assert list(result.sources) == ["vocals", "rest"]
    mixture = track.read_mixture()
    rest = (mixture - track.read_source("vocals"))[None]
    wanted = usdr(rest, 0.5 * mixture[None])[0]
    assert result.tracks[0]["sources"]["rest"]["usdr"] == pytest.approx(wanted, abs=1e-3)


def test_sources_without_a_reference_are_noted_and_the_others_scored(track: StemTrack, tmp_path: Path) -> None:
    shared = {"name": "a", "corpus": "c", "folder": tmp_path / "out", "settings": InferenceSettings()}
    model = LoadedSeparator(Share("guitar", "vocals", "drums"), "share", "share")
    result = evaluate_model(model, [track], ["usdr"], **shared)
    assert list(result.sources) == ["drums", "vocals"]
    assert result.notes == ["not scored, since the songs have no such stem: guitar"]
    with pytest.raises(DataError, match="stems for none of them"):
        evaluate_model(LoadedSeparator(Share("speech"), "share", "share"), [track], ["usdr"], **shared)


def test_pairs_of_vocals_and_instrumental_are_scored(track: StemTrack, tmp_path: Path) -> None:
    mixture = track.read_mixture()
    write_audio(tmp_path / "est" / "song_vocals.wav", 0.9 * track.read_source("vocals"), RATE)
    write_audio(tmp_path / "est" / "song_instrumental.wav", 0.9 * (mixture - track.read_source("vocals")), RATE)
    pair = ("vocals", "instrumental")
    found = find_estimates(tmp_path / "est", pair)
    result = score_estimates([track], found, ["usdr"], name="a", corpus="c", sources=pair)
    for source in pair:  # an error of a tenth everywhere: 20 dB
        assert result.tracks[0]["sources"][source]["usdr"] == pytest.approx(20, abs=0.01)
    assert with_reference(track, pair) == list(pair)
    assert "instrumental" not in find_estimates(tmp_path / "est").tracks["song"]


def test_six_sources_are_scored_as_four_with_a_note(track: StemTrack, tmp_path: Path) -> None:
    """Each estimate is half the mixture; 'other' is the sum of three of them: three halves."""
    six = Share("drums", "bass", "other", "vocals", "guitar", "piano")
    model = LoadedSeparator(six, "six", "six")
    result = evaluate_model(
        model, [track], ["usdr"], name="a", corpus="c", folder=tmp_path / "out", settings=InferenceSettings()
    )
    assert list(result.sources) == list(SOURCES)
    assert result.notes == [
        "other is scored as the sum of the model's other, guitar, piano, as the songs' stems have it"
    ]
    mixture, other = track.read_mixture(), track.read_source("other")
    wanted = usdr(other[None], 1.5 * mixture[None])[0]
    assert result.tracks[0]["sources"]["other"]["usdr"] == pytest.approx(wanted, abs=1e-3)


def test_songs_with_other_stems_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Dialogue, music and effects; estimates with an error of a tenth: 20 dB."""
    random = np.random.default_rng(0)
    for source in ("dialogue", "music", "effects"):
        audio = (0.1 * random.standard_normal((2, RATE))).astype(np.float32)
        write_audio(tmp_path / "films" / "test" / "film" / f"{source}.wav", audio, RATE)
        write_audio(tmp_path / "est" / "film" / f"{source}.wav", 0.9 * audio, RATE)
    shared = ("--stems", tmp_path / "films", "--metrics", "usdr", "--workers", "1", "--json")
    assert _run("evaluate", tmp_path / "est", *shared, "--sources", "dialogue,music,effects", "--split", "test") == 0
    scores = json.loads(capsys.readouterr().out)["tracks"][0]["sources"]
    assert {source: round(row["usdr"], 2) for source, row in scores.items()} == {
        "dialogue": 20.0,
        "music": 20.0,
        "effects": 20.0,
    }
    assert _run("evaluate", tmp_path / "est", *shared, "--sources", "dialogue,rest") == 2


def test_corpora_of_pairs_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for source in ("vocals", "accompaniment"):
        audio = (0.1 * random.standard_normal((2, RATE))).astype(np.float32)
        write_audio(tmp_path / "pairs" / "song" / f"{source}.wav", audio, RATE)
        name = "instrumental" if source == "accompaniment" else source
        write_audio(tmp_path / "est" / f"song_{name}.wav", 0.9 * audio, RATE)
    arguments = ("evaluate", tmp_path / "est", "--stems", tmp_path / "pairs", "--sources", "vocals,instrumental")
    assert _run(*arguments, "--metrics", "usdr", "--workers", "1", "--json") == 0
    scores = json.loads(capsys.readouterr().out)["tracks"][0]["sources"]
    assert [round(scores[source]["usdr"], 2) for source in ("vocals", "instrumental")] == [20.0, 20.0]


def test_a_silent_estimate_is_counted_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has no SI-SDR, so it is missing from the mean of SI-SDR; the table, the JSON and the text say so."""
    random = np.random.default_rng(0)
    for song in ("a", "b", "c"):
        for source in SOURCES:
            audio = (0.1 * random.standard_normal((2, RATE))).astype(np.float32)
            write_audio(tmp_path / "stems" / song / f"{source}.wav", audio, RATE)
            muted = (song, source) == ("b", "bass")
            noise = (0.01 * random.standard_normal((2, RATE))).astype(np.float32)
            write_audio(tmp_path / "est" / song / f"{source}.wav", 0 * audio if muted else audio + noise, RATE)
    out = tmp_path / "r.json"
    shared = ("--stems", tmp_path / "stems", "--metrics", "usdr,si_sdr", "--workers", "1")
    assert _run("evaluate", tmp_path / "est", *shared, "--out", out) == 0
    said = capsys.readouterr().out
    assert "bass: silent estimate of a source that sounds in 1 of 3 tracks, excluded from SI-SDR" in said
    assert "mute" in said
    document = json.loads(out.read_text())
    assert document["tracks"][1]["sources"]["bass"]["silent_estimate"]
    counts = {name: document["aggregates"][name]["mean_over_tracks"]["bass"]["tracks"] for name in ("usdr", "si_sdr")}
    assert counts == {"usdr": 3, "si_sdr": 2}


def _run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)
