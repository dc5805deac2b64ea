"""What is fully known comes back from an export as it was mined: audio, silence, names."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.cli import app
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.export.files import ExcerptAudio
from remix_miner.export.run import export
from remix_miner.export.settings import ExportSettings
from remix_miner.export.spans import Span, find_spans
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.sources import SOURCES


@pytest.fixture(params=[0, 1, 2])
def mined(request: Any, tmp_path: Path, mine: Any) -> Path:
    """Excerpts of random lengths without each source, of three tracks: excerpt n starts at 10 n seconds."""
    generator = np.random.default_rng(request.param)
    names = ["Ann - Über.mp3", "deep/Bo - 2.flac", "c d.wav"]
    tracks = {
        name: {source: list(generator.uniform(5, 9.9, 2).round(3)) for source in SOURCES} for name in names
    }  # every three of the sources overlap by 5 s at 0 s and at 10 s
    mine(tmp_path / "mined", tracks).close()
    return tmp_path / "mined"


def mined_spans(folder: Path, without: tuple[str, ...]) -> dict[str, tuple[Span, np.ndarray]]:
    """The spans, and their audio (channels, frames) as the shards hold it, by the name of their folder or file."""
    with CatalogueView.read(folder) as catalogue:
        spans = find_spans(catalogue.database, without)
    audio = ExcerptAudio(folder)
    found = {span.name: (span, audio.read(span)[0]) for span in spans}
    audio.close()
    assert len(found) == 6
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_songs_of_one_known_source_are_imported_as_they_were_mined(tmp_path: Path, mined: Path, source: str) -> None:
    """mined -> export as MUSDB18-HQ -> import-stems -> the same audio, to the bit; the other sources are silent."""
    without = tuple(each for each in SOURCES if each != source)
    spans = mined_spans(mined, without)
    export(mined, tmp_path / "out", ExportSettings("musdb18-hq", without, audio="wav"))
    arguments = ["import-stems", str(tmp_path / "out"), "--out", str(tmp_path / "corpus"), "-q"]
    assert not app(arguments, standalone_mode=False)
    for folder in (tmp_path / "out", tmp_path / "corpus"):
        tracks = load_stem_tracks(folder)
        assert {track.name for track in tracks} == set(spans)
        for track in tracks:
            stems = track.read()
            np.testing.assert_array_equal(stems[SOURCES.index(source)], spans[track.name][1])
            assert not np.delete(stems, SOURCES.index(source), axis=0).any()
            np.testing.assert_array_equal(track.read_mixture(), spans[track.name][1])


def test_isolated_stems_for_the_other_trainer_are_a_corpus_here(tmp_path: Path, mined: Path) -> None:
    """Type 3 read back: the same source, the same audio to the 24 bits of flac, and the manifest's gain."""
    without = ("drums", "bass", "vocals")
    spans = mined_spans(mined, without)
    export(mined, tmp_path / "out", ExportSettings("msst", without))
    with (tmp_path / "out" / "manifest.csv").open() as file:
        gains = {Path(row["file"]).stem: float(row["gain"]) for row in csv.DictReader(file)}
    tracks = load_stem_tracks(tmp_path / "out")
    assert {track.isolated for track in tracks} == {"other"}
    assert {track.name for track in tracks} == set(spans)
    for track in tracks:
        expected = gains[track.name] * spans[track.name][1]
        np.testing.assert_allclose(track.read_source("other"), expected, rtol=0, atol=2.0**-23)


def test_the_manifest_leads_back_to_the_track(tmp_path: Path, mined: Path) -> None:
    spans = mined_spans(mined, ("vocals",))
    export(mined, tmp_path / "out", ExportSettings("msst", ("vocals",)))
    with (tmp_path / "out" / "manifest.csv").open() as file:
        rows = {Path(row["file"]).stem: row for row in csv.DictReader(file)}
    assert set(rows) == set(spans)
    for name, (span, _) in spans.items():
        row = rows[name]
        assert (row["track"], row["track_sha256"]) == (span.track, span.track_sha256)
        assert float(row["start_seconds"]) == pytest.approx(span.start_seconds, abs=1e-6)
        assert float(row["seconds"]) == pytest.approx(span.seconds, abs=1e-6)
        info = soundfile.info(tmp_path / "out" / row["file"])
        assert info.frames == span.frames
