"""Exports: the rules of their readers, whole files, the same bytes again, provenance, labels that come back."""

import csv
import hashlib
import json
import math
import os
import shlex
import sqlite3
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from remix_miner.cli import main
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.detector.training.material import load_weak
from remix_miner.errors import DataError, UsageError
from remix_miner.export.files import check_space
from remix_miner.export.run import export
from remix_miner.export.settings import ExportSettings
from remix_miner.export.spans import find_spans
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.reviews.decisions import Review, record, review_transaction
from remix_miner.sources import SOURCES

from .conftest import MINED_RATE, mined_audio

TRACKS = {
    "library/a b.wav": {"drums": [12.0], "bass": [10.0], "vocals": [6.0, 7.0]},
    "library/c.wav": {"vocals": [9.0]},
}


@pytest.fixture
def folder(tmp_path, mine):
    """Excerpt n of each source starts at 10 n seconds; drums to 12, bass to 10, vocals to 6 and from 10 to 17."""
    mine(tmp_path / "mined", TRACKS).close()
    return tmp_path / "mined"


@pytest.fixture
def songs(tmp_path, stem_corpus):
    stem_corpus(tmp_path / "stems" / "train", {"ada - one": 6.0})
    stem_corpus(tmp_path / "stems" / "valid", {"bob - two": 6.5})
    return tmp_path / "stems"


def contents(out) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def reject(folder, excerpt_id: int, stretch=None) -> None:
    with review_transaction(folder) as database:
        row = database.execute(
            "SELECT track_id, source, start_seconds, seconds FROM excerpts WHERE id = ?", (excerpt_id,)
        ).fetchone()
        record(database, Review(*row, "rejected", "ada", excerpt_id=excerpt_id, stretch=stretch))


def spans_of(folder, *without, **settings):
    with CatalogueView.read(folder) as catalogue:
        found = find_spans(catalogue.database, without, **settings)
    return [(span.track, round(span.start_seconds, 3), round(span.end_seconds, 3)) for span in found]


# --- the query -------------------------------------------------------------------------------------------------------


def test_spans_without_several_sources_are_the_overlaps(folder):
    a, c = "library/a b.wav", "library/c.wav"
    assert spans_of(folder, "vocals") == [(a, 0, 6), (a, 10, 17), (c, 0, 9)]
    assert spans_of(folder, "drums", "bass") == [(a, 0, 10)]
    assert spans_of(folder, "bass", "drums") == [(a, 0, 10)]
    assert spans_of(folder, "drums", "vocals", min_seconds=1.0) == [(a, 0, 6), (a, 10, 12)]
    assert spans_of(folder, "drums", "vocals") == [(a, 0, 6)]
    assert spans_of(folder, "drums", "bass", "vocals") == [(a, 0, 6)]
    assert spans_of(folder, "other") == []


def test_rejected_ones_are_left_out_and_the_rest_beside_a_stretch_is_kept(folder):
    reject(folder, 3)  # the first without vocals
    reject(folder, 1, (5.5, 6.0))  # drums, 0 to 12 s
    assert [one[1:] for one in spans_of(folder, "vocals")] == [(10, 17), (0, 9)]
    assert [one[1:] for one in spans_of(folder, "drums")] == [(0, 5.5), (6, 12)]


# --- msst ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("audio", ["flac", "wav"])
def test_msst_types_2_and_3_with_the_stems_of_songs(tmp_path, folder, songs, audio):
    """Rules of its reader: columns instrum,path; any label; a folder a stem; validation as folders a track."""
    out = tmp_path / "out"
    made = export(folder, out, ExportSettings("msst", ("vocals",), audio=audio, stems=(songs,)))
    assert made.spans == 3
    with (out / "train.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["instrum"] for row in rows} == {"vocals", "no_vocals"}
    by_label = {
        label: sorted(row["path"] for row in rows if row["instrum"] == label) for label in ("vocals", "no_vocals")
    }
    assert [len(by_label[label]) for label in ("vocals", "no_vocals")] == [1, 4]
    for label, paths in by_label.items():
        assert sorted(map(str, (out / "train" / label).resolve().iterdir())) == paths
    (mined_file,) = [path for path in by_label["no_vocals"] if "/c-" in path]
    stored, rate = soundfile.read(mined_file, always_2d=True)
    assert rate == MINED_RATE
    np.testing.assert_allclose(stored, mined_audio("library/c.wav", "vocals", 0, 9.0), atol=1e-4)
    song = load_stem_tracks(songs, "train")[0]
    (rest,) = [path for path in by_label["no_vocals"] if path.endswith(f"one.{audio}")]
    expected = sum(song.read_source(source) for source in SOURCES if source != "vocals")
    gains = {row["file"]: float(row["gain"]) for row in csv.DictReader((out / "manifest.csv").open())}
    gain = gains[f"train/no_vocals/ada - one.{audio}"]
    assert gain == pytest.approx(min(1, 1 / np.abs(expected).max()) if audio == "flac" else 1)
    np.testing.assert_allclose(soundfile.read(rest)[0].T, gain * expected, atol=1e-6)
    valid = load_folder(out / "valid" / "bob - two")
    np.testing.assert_allclose(valid["vocals"] + valid["no_vocals"], valid["mixture"], atol=1e-6)


def load_folder(folder) -> dict[str, np.ndarray]:
    return {path.stem: soundfile.read(path)[0] for path in folder.iterdir()}


def test_the_config_of_msst_avoids_padding_and_endless_draws(tmp_path, folder):
    out = tmp_path / "out"
    export(folder, out, ExportSettings("msst", ("vocals",)))
    config = dict(
        line.split("#")[0].strip().split(": ", 1)
        for line in (out / "config.yaml").read_text().splitlines()
        if ": " in line.split("#")[0]
    )
    shortest = min(soundfile.info(path).frames for path in (out / "train").rglob("*.flac"))
    assert shortest == 6 * MINED_RATE
    assert shortest - 512 < int(config["chunk_size"]) <= shortest
    assert float(config["min_mean_abs"]) == 0
    assert config["target_instrument"] == "vocals"
    assert config["instruments"] == "[vocals, no_vocals]"
    assert int(config["sample_rate"]) == MINED_RATE


THEIRS = """\
audio:
  chunk_size: 131584 # 3 s
  hop_length: 512
  min_mean_abs: 0.001
model:
  dim: 8
  num_stems: 4
  windows: !!python/tuple
  - 4096
training:
  instruments:
  - drums

  # the rest
  - other
  target_instrument: drums
  lr: 1.0e-04
"""


def test_a_config_of_msst_is_filled_in_and_nothing_else_changes(tmp_path, folder):
    (tmp_path / "theirs.yaml").write_text(THEIRS)
    made = export(folder, tmp_path / "out", ExportSettings("msst", ("vocals",), config=tmp_path / "theirs.yaml"))
    lines = (tmp_path / "out" / "config.yaml").read_text().splitlines()
    assert [line for line in lines if line and not line.lstrip().startswith("#")] == [
        "audio:",
        f"  sample_rate: {MINED_RATE}",
        f"  chunk_size: {512 * (6 * MINED_RATE // 512 // 32 * 32 - 1)}",
        "  hop_length: 512",
        "  min_mean_abs: 0.0",
        "model:",
        "  dim: 8",
        "  num_stems: 1",
        "  windows: !!python/tuple",
        "  - 4096",
        "training:",
        "  instruments: [vocals, no_vocals]",
        "  target_instrument: vocals",
        "  lr: 1.0e-04",
    ]
    assert ["chunk_size 131584 is longer" in note or "no file of 'vocals'" in note for note in made.written.notes] == [
        True, True,
    ]  # fmt: skip


def test_a_config_that_does_not_fit_is_refused_before_anything_is_written(tmp_path, folder):
    for text, message in (
        (THEIRS.replace("  hop_length: 512", "  sample_rate: 44100"), "is for 44100 Hz, the data set has 8000 Hz"),
        ("audio:\n  chunk_size: 100\n", "is no configuration"),
        (THEIRS.replace("hop_length: 512", "hop_length: 4096"), "too few for a chunk"),
    ):
        (tmp_path / "theirs.yaml").write_text(text)
        settings = ExportSettings("msst", ("vocals",), config=tmp_path / "theirs.yaml")
        with pytest.raises((UsageError, DataError), match=message):
            export(folder, tmp_path / "out", settings)
        assert not list((tmp_path / "out").rglob("*.flac"))


def test_a_song_without_the_target_gives_its_rest_alone(tmp_path, folder, stem_corpus):
    stem_corpus(tmp_path / "stems", {"ada - one": 6.0, "eve - instrumental": 6.0})
    (tmp_path / "stems" / "eve - instrumental" / "vocals.wav").unlink()
    (tmp_path / "stems" / "corpus.toml").write_text('[tracks."eve - instrumental"]\nabsent = ["vocals"]\n')
    made = export(folder, tmp_path / "out", ExportSettings("msst", ("vocals",), stems=(tmp_path / "stems",)))
    train = tmp_path / "out" / "train"
    assert [path.stem for path in (train / "vocals").iterdir()] == ["ada - one"]
    assert (train / "no_vocals" / "eve - instrumental.flac").is_file()
    assert made.written.notes == []
    assert "min_mean_abs: 0.001" in (tmp_path / "out" / "config.yaml").read_text()


def test_songs_of_another_sample_rate_are_resampled_for_msst(tmp_path, folder, stem_corpus):
    """Its reader takes all files for files of one rate."""
    stem_corpus(tmp_path / "stems", {"ada - one": 6.0}, sample_rate=2 * MINED_RATE)
    made = export(folder, tmp_path / "out", ExportSettings("msst", ("vocals",), stems=(tmp_path / "stems",)))
    assert made.written.notes == []
    files = list((tmp_path / "out" / "train").rglob("*.flac"))
    assert {soundfile.info(path).samplerate for path in files} == {MINED_RATE}
    (vocals,) = (path for path in files if path.parent.name == "vocals")
    assert soundfile.info(vocals).frames == 6 * MINED_RATE


def test_isolated_stems_are_labelled_as_what_they_are(tmp_path, folder):
    out = tmp_path / "out"
    made = export(folder, out, ExportSettings("msst", ("drums", "bass", "vocals")))
    assert made.label == "other"
    assert [path.parent.name for path in (out / "train").rglob("*.flac")] == ["other"]
    assert "target_instrument: other" in (out / "config.yaml").read_text()


def test_loud_audio_is_scaled_in_flac_and_the_manifest_says_so(tmp_path, mine):
    mine(tmp_path / "mined", {"a.mp3": {"drums": [5.0]}}).close()
    import h5py

    (shard,) = (tmp_path / "mined" / "shards").iterdir()
    with h5py.File(shard, "r+") as file:
        table = file["excerpts"][:]
        table["scale"] *= 10
        file["excerpts"][:] = table
    for audio in ("flac", "wav"):
        out = tmp_path / audio
        export(tmp_path / "mined", out, ExportSettings("msst", ("drums",), audio=audio))
        (row,) = csv.DictReader((out / "manifest.csv").open())
        stored, _ = soundfile.read(out / row["file"])
        assert (float(row["gain"]) < 1) == (audio == "flac")
        assert (np.abs(stored).max() <= 1) == (audio == "flac")


@pytest.mark.parametrize("format_name", ["labels", "msst", "demucs"])
def test_the_command_to_use_an_export_can_be_pasted_into_a_shell(tmp_path, folder, format_name):
    out = tmp_path / "my mined data"
    without, audio = () if format_name == "labels" else ("vocals",), "wav" if format_name == "demucs" else "flac"
    made = export(folder, out, ExportSettings(format_name, without, audio=audio))
    words = [word.partition("=")[2] or word for word in shlex.split(made.use)]
    inside = [word for word in words if Path(word.rstrip(",")).is_absolute()]
    assert inside
    assert all(Path(word.rstrip(",")).is_relative_to(out) for word in inside)


# --- demucs ----------------------------------------------------------------------------------------------------------


def test_demucs_two_stems_and_its_metadata(tmp_path, folder, songs):
    """Rules of `demucs.wav`: leaf folders, equal lengths and rates, [train, valid] under a hash of the root's path."""
    out = tmp_path / "out"
    done = export(folder, out, ExportSettings("demucs", ("vocals",), audio="wav", stems=(songs,)))
    assert "'dset.sources=[vocals,no_vocals]'" in done.use
    signature = hashlib.sha1(str(out.resolve()).encode()).hexdigest()[:8]
    train, valid = json.loads((out / "metadata" / f"wav_{signature}.json").read_text())
    assert (len(train), len(valid)) == (4, 1)
    for split, metadata in (("train", train), ("valid", valid)):
        assert set(metadata) == {path.name for path in (out / split).iterdir()}
        for name, facts in metadata.items():
            stems = load_folder(out / split / name)
            assert set(stems) == {"vocals", "no_vocals", "mixture"}
            assert {len(stem) for stem in stems.values()} == {facts["length"]}
            np.testing.assert_allclose(stems["vocals"] + stems["no_vocals"], stems["mixture"], atol=1e-6)
            mono = stems["mixture"].mean(axis=1)
            assert facts["mean"] == pytest.approx(mono.mean(), abs=1e-7)
            assert facts["std"] == pytest.approx(mono.std(ddof=1), rel=1e-5)
            assert facts["samplerate"] == MINED_RATE
    (mined,) = (out / "train").glob("c-*")
    assert not load_folder(mined)["vocals"].any()
    assert (mined / "mixture.wav").stat().st_ino == (mined / "no_vocals.wav").stat().st_ino


def test_demucs_own_reader_takes_it(tmp_path, folder, songs, monkeypatch):
    def load(path, frame_offset=0, num_frames=-1):
        audio, rate = soundfile.read(path, num_frames, frame_offset, dtype="float32", always_2d=True)
        return torch.from_numpy(audio.T.copy()), rate

    def info(path):
        found = soundfile.info(path)
        return types.SimpleNamespace(num_frames=found.frames, sample_rate=found.samplerate)

    torchaudio = types.ModuleType("torchaudio")  # its own reading needs more packages
    torchaudio.load, torchaudio.info = load, info
    monkeypatch.setitem(sys.modules, "torchaudio", torchaudio)
    for unused in ("musdb", "demucs.distrib"):  # which need ffmpeg and Dora
        monkeypatch.setitem(sys.modules, unused, types.ModuleType(unused))
    monkeypatch.delitem(sys.modules, "demucs.wav", raising=False)
    wav = pytest.importorskip("demucs.wav", reason="demucs is not installed")
    monkeypatch.delitem(sys.modules, "demucs.wav")
    out = tmp_path / "out"
    export(folder, out, ExportSettings("demucs", ("vocals",), audio="wav", stems=(songs,)))
    (metadata,) = (out / "metadata").iterdir()
    ours = json.loads(metadata.read_text())
    for split, expected in zip(("train", "valid"), ours, strict=True):
        built = wav.build_metadata(out / split, ["vocals", "no_vocals"])
        assert built.keys() == expected.keys()
        for name in built:
            assert built[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6)
        dataset = wav.Wavset(out / split, expected, ["vocals", "no_vocals"], segment=5, samplerate=MINED_RATE)
        for index in range(len(dataset)):
            assert dataset[index].shape == (2, 2, 5 * MINED_RATE)


def test_without_songs_a_share_of_the_tracks_validates(tmp_path, mine):
    mine(tmp_path / "mined", {f"{number}.mp3": {"drums": [5.0, 5.0]} for number in range(30)}).close()
    out = tmp_path / "out"
    export(tmp_path / "mined", out, ExportSettings("demucs", ("drums",), audio="wav", valid_share=0.3))
    tracks = {split: {path.name.split("-")[0] for path in (out / split).iterdir()} for split in ("train", "valid")}
    assert not tracks["train"] & tracks["valid"]
    assert 3 <= len(tracks["valid"]) <= 16


# --- musdb18-hq ------------------------------------------------------------------------------------------------------


def test_what_is_fully_known_reads_as_musdb(tmp_path, folder):
    out = tmp_path / "out"
    export(folder, out, ExportSettings("musdb18-hq", ("drums", "bass", "vocals"), audio="wav"))
    (track,) = load_stem_tracks(out)
    assert track.split == "train"
    stems = track.read()
    assert [bool(stem.any()) for stem in stems] == [False, False, True, False]
    np.testing.assert_allclose(
        stems[SOURCES.index("other")].T, mined_audio("library/a b.wav", "drums", 0, 12.0)[: 6 * MINED_RATE], atol=1e-4
    )


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path):
    (tmp_path / "library").mkdir()
    for name in TRACKS:
        soundfile.write(tmp_path / name, np.random.default_rng(0).normal(0, 0.1, 20 * 16000), 16000)
    return tmp_path / "library"


def test_labels_come_back_as_weak_labels(tmp_path, folder, library):
    reject(folder, 4, (12.0, 14.0))  # vocals, 10 to 17 s: nothing of 5 s is left
    out = tmp_path / "out"
    export(folder, out, ExportSettings("labels", library=(library,)))
    songs = load_weak(out / "labels.csv")
    assert len(songs) == 2
    silent = songs[0].silent  # 'a b.wav'
    centres = np.arange(silent.shape[1]) * 0.064
    vocals, drums = silent[SOURCES.index("vocals")], silent[SOURCES.index("drums")]
    np.testing.assert_array_equal(vocals == 1, (centres >= 0.32) & (centres <= 6 - 0.32 + 1e-9))
    np.testing.assert_array_equal(vocals == 0, (centres >= 12.32) & (centres <= 14 - 0.32 + 1e-9))
    np.testing.assert_array_equal(drums == 1, (centres >= 0.32) & (centres <= 12 - 0.32 + 1e-9))
    assert np.isnan(silent[SOURCES.index("other")]).all()


def test_rttm_audacity_and_jams_tell_the_same(tmp_path, folder):
    out = tmp_path / "out"
    export(folder, out, ExportSettings("labels"))
    expected = sorted(
        (track, start, end, f"no_{source}")
        for source in ("drums", "bass", "vocals")
        for track, start, end in spans_of(folder, source)
    )
    rttm = [line.split() for line in (out / "labels.rttm").read_text().splitlines()]
    assert all(len(fields) == 10 and fields[0] == "SPEAKER" for fields in rttm)
    assert (
        sorted(
            (fields[1].replace("a_b", "a b"), float(fields[3]), float(fields[3]) + float(fields[4]), fields[7])
            for fields in rttm
        )
        == expected
    )
    in_audacity, in_jams = [], []
    for path in (out / "audacity").iterdir():
        for line in path.read_text().splitlines():
            start, end, text = line.split("\t")
            in_audacity.append((float(start), float(end), "_".join(text.split()[:2])))
    for path in (out / "jams").iterdir():
        document = json.loads(path.read_text())
        assert document["file_metadata"]["duration"] == 180.0
        for annotation in document["annotations"]:
            for one in annotation["data"]:
                assert one["confidence"] == pytest.approx(0.97)
                in_jams.append((one["time"], one["time"] + one["duration"], one["value"]))
    assert sorted(in_audacity) == sorted(in_jams) == sorted(one[1:] for one in expected)


def test_jams_own_reader_takes_it(tmp_path, folder):
    jams = pytest.importorskip("jams", reason="jams is not installed")
    out = tmp_path / "out"
    export(folder, out, ExportSettings("labels"))
    for path in (out / "jams").iterdir():
        assert jams.load(str(path), validate=True, strict=True).validate(strict=True)


# --- whole, the same, safe -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format_name", "without", "audio"),
    [
        ("msst", ("vocals",), "flac"),
        ("demucs", ("vocals",), "wav"),
        ("labels", (), "flac"),
        ("musdb18-hq", ("drums", "bass", "vocals"), "wav"),
    ],
)
def test_run_again_it_keeps_everything_and_makes_good_what_is_lost(tmp_path, folder, format_name, without, audio):
    out, settings = tmp_path / "out", ExportSettings(format_name, without, audio=audio)
    export(folder, out, settings)
    before = contents(out)
    again = export(folder, out, settings)
    assert again.written.written == again.written.linked == 0
    assert contents(out) == before
    for path in list(out.rglob("*"))[::2]:
        if path.is_file() and path.name != "export.json":
            path.unlink()
    export(folder, out, settings)
    assert contents(out) == before


def test_what_a_killed_export_left_is_removed_by_the_next(tmp_path, folder):
    out = tmp_path / "out"
    half = [out / ".export.tmp-12.json", out / "train" / "no_vocals" / "..a.tmp-12.tmp-12.flac"]
    out.mkdir()
    half[0].write_text("{")  # killed before the first file was whole
    export(folder, out, ExportSettings("msst", ("vocals",)))
    expected = sorted(path.relative_to(out) for path in out.rglob("*"))
    assert not half[0].exists()
    half[1].write_bytes(b"fLaC")
    export(folder, out, ExportSettings("msst", ("vocals",)))
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == expected


def test_the_manifest_says_where_each_file_is_from_and_keeps_the_licence_filled_in(tmp_path, folder):
    out, settings = tmp_path / "out", ExportSettings("msst", ("vocals",))
    export(folder, out, settings)
    rows = list(csv.DictReader((out / "manifest.csv").open()))
    assert {row["file"] for row in rows} == {str(path.relative_to(out)) for path in out.rglob("*.flac")}
    assert {(row["track"], float(row["start_seconds"]), float(row["seconds"])) for row in rows} == {
        ("library/a b.wav", 0, 6), ("library/a b.wav", 10, 7), ("library/c.wav", 0, 9),
    }  # fmt: skip
    assert {row["licence"] for row in rows} == {""}
    assert all(len(row["track_sha256"]) >= 64 and float(row["probability_mean"]) > 0.9 for row in rows)
    text = (out / "manifest.csv").read_text().splitlines()
    (out / "manifest.csv").write_text("\n".join([text[0], text[1] + "CC BY 4.0", *text[2:]]) + "\n")
    export(folder, out, settings)
    assert (out / "manifest.csv").read_text().splitlines()[1].endswith(",CC BY 4.0")


def test_a_full_disk_another_export_and_foreign_files_are_refused_before_anything_is_written(
    tmp_path, folder, monkeypatch
):
    out = tmp_path / "out"
    export(folder, out, ExportSettings("msst", ("vocals",)))
    with pytest.raises(DataError, match="holds another export"):
        export(folder, out, ExportSettings("msst", ("drums",)))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("")
    with pytest.raises(DataError, match="not empty and no export"):
        export(folder, tmp_path / "other", ExportSettings("msst", ("drums",)))
    with pytest.raises(DataError, match=r"takes up to .* GB free"):
        check_space(tmp_path / "new" / "out", [(tmp_path / "x", 1 << 60)])
    assert check_space(tmp_path, [(out / "train.csv", 1 << 60)]) == 0


def test_nothing_to_export_and_wrong_usage(tmp_path, folder):
    with pytest.raises(DataError, match="no span of 5 s without other"):
        export(folder, tmp_path / "out", ExportSettings("msst", ("other",)))
    with pytest.raises(DataError, match="that was accepted"):
        export(folder, tmp_path / "out", ExportSettings("msst", ("vocals",), accepted_only=True))
    for wrong in (
        {"format": "tar"}, {"format": "msst"}, {"format": "demucs", "without": ("vocals",)},
        {"format": "demucs", "without": ("drums", "bass"), "audio": "wav"},
        {"format": "musdb18-hq", "without": ("drums",), "audio": "wav"}, {"format": "msst", "without": SOURCES},
        {"format": "msst", "without": ("drums",), "min_seconds": 0}, {"format": "labels", "valid_share": 1.0},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            ExportSettings(**wrong)


def test_the_command(tmp_path, folder, capsys):
    with pytest.raises(SystemExit) as status:
        main(["export", str(folder), "--format", "labels", "--out", str(tmp_path / "out"), "--json"])
    assert status.value.code == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["spans"], result["tracks"]) == (5, 2)
    assert math.isclose(result["seconds"], 44.0)
    assert os.listdir(tmp_path / "out" / "audacity")
    with pytest.raises(SystemExit) as status:
        main(["export", str(folder), "--format", "msst", "--out", str(tmp_path / "x")])
    assert status.value.code == 2
    assert "name the target" in capsys.readouterr().err
    assert sqlite3.connect(folder / "catalogue.sqlite").execute("SELECT count(*) FROM excerpts").fetchone() == (5,)
