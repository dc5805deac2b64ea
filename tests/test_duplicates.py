"""Fingerprints, and what a scan leaves out: copies of a recording that is mined, and recordings of test sets."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from scipy.ndimage import maximum_filter

from remix_miner.audio import write_audio
from remix_miner.cli import main
from remix_miner.datasets.library import LibraryFile, Skipped, find_audio
from remix_miner.duplicates import fingerprints
from remix_miner.duplicates import store as fingerprint_store
from remix_miner.duplicates.fingerprints import PEAK, fingerprint, groups
from remix_miner.duplicates.matching import COPY_SHARE, NOTHING, match, proposed_pairs
from remix_miner.duplicates.merge_filter import take_fingerprints
from remix_miner.duplicates.recordings import NO_FINGERPRINT, Recording
from remix_miner.duplicates.scan_filter import ScanFilter
from remix_miner.duplicates.store import FingerprintStore
from remix_miner.errors import AudioError, DataError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.inspection import inspect_folder
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.merge import merge
from remix_miner.synthesis.song import synthesize_song

RATE = 22050
SECONDS = 16


@pytest.fixture(scope="module")
def songs() -> list[np.ndarray]:
    """Mixtures (2, frames) of four synthetic songs."""
    return [synthesize_song(seed, SECONDS, RATE).mixture for seed in range(4)]


@pytest.fixture(scope="module")
def library(songs: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Song 0 as wav, mp3, and cropped; song 1 as ogg and wav with silence before it; song 2; and a copy of it."""
    folder = tmp_path_factory.mktemp("music") / "library"
    folder.mkdir()
    write_audio(folder / "a0.mp3", songs[0], RATE)
    write_audio(folder / "b0.wav", songs[0], RATE)
    write_audio(folder / "c0.wav", 0.3 * songs[0][:, 4 * RATE : 14 * RATE], RATE)
    write_audio(folder / "d1.ogg", songs[1], RATE)
    write_audio(folder / "e1.wav", np.pad(songs[1], ((0, 0), (RATE // 3, 0))), RATE)
    write_audio(folder / "f2.wav", songs[2], RATE)
    shutil.copy(folder / "f2.wav", folder / "g2.wav")
    return folder


@pytest.fixture
def leave_out(library: Path, tiny_detector: Path, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """A function that scans ``library`` with options of `ScanFilter` and returns why each file is left out.

    The others, and no more, are done.
    """
    out = tmp_path / "mined"

    def choose(restart: bool = False, **options: Any) -> dict[str, str]:
        settings = MineSettings(
            detector=str(tiny_detector),
            engine=Engine(workers=0),
            restart=restart,
            scan_filter=ScanFilter(out, restart=restart, **options),
        )
        report = mine([library], out, settings)
        left_out = {skipped.path.name: skipped.reason for skipped in report.skipped}
        with Catalogue.read(out) as catalogue:
            names = [Path(name).name for name in catalogue.done_tracks()]
        assert sorted([*names, *left_out]) == sorted(path.name for path in library.iterdir())
        return left_out

    return choose


def faster(audio: np.ndarray, speed: float) -> np.ndarray:
    return np.ascontiguousarray(soxr.resample(audio.T, round(1000 * speed), 1000).T)


def as_decoded(path: Path, audio: np.ndarray) -> np.ndarray:
    write_audio(path, audio, RATE)
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


CHANGES = {
    "mp3": lambda song, folder: as_decoded(folder / "x.mp3", song),
    "ogg, 20 dB softer": lambda song, folder: as_decoded(folder / "x.ogg", 0.1 * song),
    "1% faster": lambda song, folder: faster(song, 1.01),
    "1% shigher": lambda song, folder: faster(song, 0.99),
    "cropped": lambda song, folder: song[:, round(3.21 * RATE) : round(13.21 * RATE)],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_recording_is_the_same_and_other_songs_are_not(
    change: str, songs: list[np.ndarray], tmp_path: Path
) -> None:
    prints = [fingerprint([song], RATE) for song in songs]
    changed = fingerprint([CHANGES[change](songs[0], tmp_path)], RATE)
    found = match(changed, prints[0])
    assert found.same_recording
    pairs, shares = proposed_pairs([*prints, changed])
    assert found.offset_seconds == pytest.approx(3.21 if change == "cropped" else 0, abs=0.2)
    assert (0, 4) in map(tuple, pairs[shares >= COPY_SHARE].tolist())
    assert max(match(changed, other).matched_seconds for other in prints[1:]) <= 2


def test_a_fingerprint_knows_neither_the_blocks_nor_the_level(songs: list[np.ndarray]) -> None:
    whole = fingerprint([songs[0]], RATE)
    cuts = np.split(songs[0], [1, 5000, 5001, 200_000], axis=1)
    assert np.array_equal(fingerprint(cuts, RATE), whole)
    softer = fingerprint([songs[0] / 4], RATE)
    assert len(softer) == pytest.approx(len(whole), rel=0.02)
    assert match(softer, whole).matched_seconds >= SECONDS - 2


def test_a_fingerprint_does_not_depend_on_its_chunks(songs: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fingerprint([songs[0]], RATE)
    monkeypatch.setattr(fingerprints, "CHUNK_HOPS", 50)
    cut = fingerprint([songs[0]], RATE)
    assert len(cut) == len(whole)
    for name in ("seconds", "semitones"):
        np.testing.assert_allclose(cut[name], whole[name], atol=1e-3)


def test_a_tone_is_a_peak_of_its_pitch_at_its_time() -> None:
    time = np.arange(4 * RATE) / RATE
    # 800 Hz lie two octaves above 200 Hz.
    tone = (np.sin(2 * np.pi * 800 * time) * np.exp(-(((time - 2) / 0.2) ** 2)))[None].astype(np.float32)
    (peak,) = [peak for peak in fingerprint([tone], RATE) if abs(peak["seconds"] - 2) < 0.3]
    assert peak["seconds"] == pytest.approx(2, abs=0.005)
    assert peak["semitones"] == pytest.approx(24, abs=0.02)


@pytest.mark.parametrize("seconds", [0, 0.01, 8])
def test_silence_has_no_peaks_and_matches_nothing(seconds: float) -> None:
    nothing = fingerprint([np.zeros((2, round(seconds * RATE)), dtype=np.float32)], RATE)
    assert len(nothing) == 0
    assert match(nothing, nothing) == NOTHING
    assert len(proposed_pairs([nothing, nothing])[0]) == 0
    assert len(proposed_pairs([])[0]) == 0


def test_groups_of_three_of_four_peaks() -> None:
    # Of the three peaks that follow the first, every two make a group with it; the second has one pair behind it.
    peaks = np.array([(0.5 * n, 5.0 * n) for n in range(4)], dtype=PEAK)
    keys, firsts = groups(peaks, 3)
    assert sorted(firsts.tolist()) == [0, 0, 0, 1]
    assert len(set(keys.tolist())) == 4
    later = peaks.copy()
    later["seconds"] += 7
    assert np.array_equal(groups(later, 3)[0], keys)
    higher = peaks.copy()
    higher["semitones"] += 6
    assert not set(groups(higher, 3)[0].tolist()) & set(keys.tolist())


def test_one_of_each_recording_stays(leave_out: Any) -> None:
    left_out = leave_out()
    assert sorted(left_out) == ["a0.mp3", "c0.wav", "d1.ogg", "g2.wav"]
    assert left_out["a0.mp3"].startswith("duplicate of library/b0.wav; ")  # lossless before lossy
    assert left_out["c0.wav"].startswith("duplicate of library/b0.wav; ")  # whole before cropped
    assert left_out["d1.ogg"].startswith("duplicate of library/e1.wav; ")
    assert left_out["g2.wav"] == "duplicate of library/f2.wav; the files are identical"


def test_what_was_mined_before_stays(leave_out: Any, detect: Any, tmp_path: Path) -> None:
    detect(tmp_path / "mined", only="c0.wav")
    left_out = leave_out()
    assert "c0.wav" not in left_out
    assert left_out["b0.wav"].startswith("duplicate of library/c0.wav; ")


def test_a_file_is_decoded_once_for_its_fingerprint(leave_out: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = leave_out()
    monkeypatch.setattr("remix_miner.duplicates.taking.take", None)
    assert leave_out() == first


def write_stems(folder: Path, mixture: np.ndarray) -> None:
    """A corpus of one song, its stems four parts of the mixture, without a mixture file."""
    for source, gain in zip(("drums", "bass", "other", "vocals"), (0.1, 0.2, 0.3, 0.4), strict=True):
        write_audio(folder / "song" / f"{source}.wav", gain * mixture, RATE)


def test_a_recording_of_a_test_set_is_left_out_and_stays_out(
    leave_out: Any, songs: list[np.ndarray], tmp_path: Path
) -> None:
    write_stems(tmp_path / "stems", songs[1][:, 2 * RATE : 12 * RATE])
    (tmp_path / "plain").mkdir()
    write_audio(tmp_path / "plain" / "x.flac", songs[2], RATE, "int16")
    excluded = leave_out(exclude=[tmp_path / "stems", tmp_path / "plain"], duplicates=False)
    assert sorted(excluded) == ["d1.ogg", "e1.wav", "f2.wav", "g2.wav"]
    assert all(reason.startswith("excluded: ") for reason in excluded.values())
    assert excluded["e1.wav"].endswith(f"is of {tmp_path}/stems/song/song")
    assert leave_out(duplicates=False) == excluded  # without being told again
    assert leave_out(duplicates=False, restart=True) == {}


def test_what_was_mined_already_cannot_be_excluded(leave_out: Any, detect: Any, library: Path, tmp_path: Path) -> None:
    detect(tmp_path / "mined", only="f2.wav")
    with pytest.raises(DataError, match=r"already holds excerpts of library/f2.wav.*--restart"):
        leave_out(exclude=[library / "g2.wav"])


def test_nothing_to_exclude_is_an_error_and_so_is_a_broken_file(leave_out: Any, tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    with pytest.raises(DataError, match="holds no audio"):
        leave_out(exclude=[tmp_path / "tests"])
    (tmp_path / "tests" / "x.mp3").write_text("no music " * 100)
    with pytest.raises(AudioError, match="cannot be decoded"):
        leave_out(exclude=[tmp_path / "tests"])


class DeadlyToRead:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> Any:
        return os._exit, (3,)


def test_a_file_that_kills_its_process_costs_only_its_own_fingerprint(library: Path, tmp_path: Path) -> None:
    files = find_audio(library)[0][:2]
    deadly = Recording("deadly", DeadlyToRead(), 1, 1)  # type: ignore[arg-type]
    wanted = [Recording.of_file(files[0]), deadly, Recording.of_file(files[1])]
    with FingerprintStore(tmp_path) as store:
        made = store.fingerprints(wanted, workers=1)
        assert [one.seconds > 0 for one in made] == [True, False, True]
        assert made[1].peaks.tobytes() == NO_FINGERPRINT.peaks.tobytes()


@pytest.mark.parametrize("shape", [(1, 1), (40, 70), (16, 400), (64, 377)])
@pytest.mark.parametrize("levels", [3, 200, 10**9])
def test_the_highest_cells_are_those_that_scipy_leaves(shape: tuple[int, int], levels: int) -> None:
    """Few levels make plateaus: all of their cells are highest."""
    power = np.random.default_rng(sum(shape)).integers(0, levels, shape).astype(np.float32) / levels
    floor = 0.5
    size = (2 * fingerprints.REACH_HOPS + 1, 2 * fingerprints.REACH_BINS + 1)
    expected = np.nonzero((power == maximum_filter(power, size)) & (power > floor))
    found = fingerprints._highest(power, floor)
    assert len(found[0]) > 0 or shape == (1, 1)
    np.testing.assert_array_equal(found, expected)


def test_an_undecodable_file_is_left_to_the_scan(tmp_path: Path) -> None:
    broken = tmp_path / "x.mp3"
    broken.write_text("no music " * 100)
    Catalogue.open(tmp_path, {}).close()
    assert ScanFilter(tmp_path)([LibraryFile(broken, "x.mp3", 900, 1)]) == []


def test_detect_tells_what_it_leaves_out(
    library: Path, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def detect(*options: Any) -> tuple[int, str]:
        capsys.readouterr()
        common = ["--out", tmp_path / "m", "--detector", tiny_detector, "--workers", 0, "--restart"]
        with pytest.raises(SystemExit) as exited:
            main(["detect", *map(str, [library, *common, *options])])
        return int(exited.value.code or 0), capsys.readouterr().out

    status, out = detect("--exclude", library / "f2.wav")
    assert status == 0
    assert "4 skipped: duplicate, for example" in out
    assert "1 skipped: excluded, for example" in out
    report = json.loads((tmp_path / "m" / "report.json").read_text())
    assert report["totals"]["tracks"] == {"done": 2}
    reasons = {Path(row["path"]).name: row["reason"] for row in report["skipped"]}
    assert reasons["a0.mp3"].startswith("duplicate of library/b0.wav")
    detect("--keep-duplicates")
    assert json.loads((tmp_path / "m" / "report.json").read_text())["totals"]["tracks"] == {"done": 7}


@pytest.fixture(scope="module")
def detect(library: Path, tiny_detector: Path) -> Callable[..., Any]:
    """A function that scans ``library``, or one share of it, into a folder."""

    def run(out: Path, shard: tuple[int, int] | None = None, only: str | None = None, **options: Any) -> Any:
        copies = ScanFilter(out, **options)

        def all_but_one(files: Any) -> list[Skipped]:
            return [Skipped(file.path, "not asked for") for file in files if file.path.name != only]

        settings = MineSettings(
            detector=str(tiny_detector),
            engine=Engine(workers=0),
            shard=shard,
            scan_filter=copies if only is None else all_but_one,
        )
        return mine([library], out, settings)

    return run


@pytest.fixture(scope="module")
def shares(detect: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """``library`` scanned in three shares, in a folder whose name needs care."""
    folder = tmp_path_factory.mktemp("shares") / os.fsdecode(b"a?#latin\xe9")
    for number in (1, 2, 3):
        detect(folder / str(number), (number, 3))
    return [folder / str(number) for number in (1, 2, 3)]


def test_merged_shares_are_what_one_scan_mines(
    detect: Any, shares: list[Path], harvest_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_scan = detect(tmp_path / "one")
    expected = harvest_of(tmp_path / "one")
    assert expected
    before = {path: path.read_bytes() for share in shares for path in share.rglob("*.[hs]*") if path.is_file()}
    assert {path.suffix for path in before} == {".h5", ".sqlite"}
    monkeypatch.setattr(
        "remix_miner.duplicates.taking.take", None
    )  # from now on nothing is decoded for its fingerprint
    assert sum(len(harvest_of(share)) for share in shares) > len(expected)  # copies in different shares
    for order in (shares, shares[::-1]):
        out = tmp_path / f"merged {order[0].name}"
        merged = merge(out, order)
        assert merged.left_out > 0
        assert merged.without_fingerprint == 0
        assert harvest_of(out) == expected
        assert inspect_folder(out, verify=True).damage == []
        again = merge(out, order)
        assert (again.tracks, again.excerpts, again.shards, again.left_out) == (0, 0, 0, merged.left_out)
        report = json.loads((out / "report.json").read_text())
        assert report["totals"]["tracks"] == one_scan.tracks
        assert all(row["reason"].startswith("duplicate of library/") for row in report["skipped"])
        assert len(report["skipped"]) == merged.left_out
        # A later scan of the whole library knows all copies and has nothing to do.
        assert detect(out).run.tracks == 0
        assert harvest_of(out) == expected
    assert {path: path.read_bytes() for path in before} == before


def test_a_merge_keeps_copies_where_it_or_the_scans_were_told_to(
    detect: Any, shares: list[Path], harvest_of: Any, library: Path, tmp_path: Path
) -> None:
    everything = {key: audio for share in shares for key, audio in harvest_of(share).items()}
    assert merge(tmp_path / "told", shares, duplicates=False).left_out == 0
    assert harvest_of(tmp_path / "told") == everything
    # What was excluded makes fingerprints of all files, but that does not mean that copies are unwanted.
    kept = [tmp_path / str(number) for number in (1, 2, 3)]
    for number, out in enumerate(kept, start=1):
        detect(out, (number, 3), duplicates=False, exclude=[library / "f2.wav"])
    assert merge(tmp_path / "kept", kept).left_out == 0
    assert {track for track, _, _ in harvest_of(tmp_path / "kept")} >= {track for track, _, _ in everything} - {
        "library/f2.wav",
        "library/g2.wav",
    }


def test_a_killed_merge_of_shares_with_copies_goes_on(
    detect: Any, shares: list[Path], harvest_of: Any, killed_merges: Any, tmp_path: Path
) -> None:
    """Of shares that were scanned one way and the other: killed four times, it ends as one that was left in peace."""
    detect(tmp_path / "kept", (1, 3), duplicates=False)
    parts = [tmp_path / "kept", *shares[1:]]
    merge(tmp_path / "peace", parts)
    out = tmp_path / "out"
    killed_merges(out, parts, times=4, longest_seconds=0.15, seed=5)
    merge(out, parts)
    assert harvest_of(out) == harvest_of(tmp_path / "peace")
    assert inspect_folder(out, verify=True).damage == []


def test_a_merge_that_ended_between_parts_chooses_as_one_that_did_not(
    detect: Any, shares: list[Path], harvest_of: Any, tmp_path: Path
) -> None:
    """What is in OUT already was mined as its part says, whatever OUT itself has been told."""
    detect(tmp_path / "kept", (1, 3), duplicates=False)
    parts = [tmp_path / "kept", *shares[1:]]
    merge(tmp_path / "peace", parts)
    for finished in (1, 2):
        out = tmp_path / f"after {finished}"
        merge(out, parts[:finished])
        take_fingerprints(out, parts)  # comes before the first part
        merge(out, parts)
        assert harvest_of(out) == harvest_of(tmp_path / "peace")


@pytest.mark.parametrize("tables", [0, 1], ids=["no tables", "one table"])
def test_a_store_whose_maker_was_killed_at_once_holds_nothing(
    shares: list[Path], harvest_of: Any, tmp_path: Path, tables: int
) -> None:
    """SQLite makes the file before its tables, in a merged folder as in a part."""
    merge(tmp_path / "peace", shares[1:])
    unheard = tmp_path / "part"
    shutil.copytree(shares[0], unheard)
    for folder in (tmp_path / "out", unheard):
        folder.mkdir(exist_ok=True)
        (folder / fingerprint_store.STORE_NAME).unlink(missing_ok=True)
        database = sqlite3.connect(folder / fingerprint_store.STORE_NAME)
        for statement in fingerprint_store.SCHEMA.split(";")[:tables]:
            database.execute(statement)
        database.close()
    with FingerprintStore(unheard, to_read=True) as store:
        assert store.known() == {}
        assert not store.keeps_copies
    merge(tmp_path / "out", shares[1:])
    assert harvest_of(tmp_path / "out") == harvest_of(tmp_path / "peace")
    merge(tmp_path / "peace", [shares[0]])
    merge(tmp_path / "out", [unheard])
    assert harvest_of(tmp_path / "out") == harvest_of(tmp_path / "peace")


def test_what_one_part_had_to_exclude_is_left_out_of_all(
    detect: Any, shares: list[Path], harvest_of: Any, library: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    detect(first, (1, 3), exclude=[library / "b0.wav"])
    merge(tmp_path / "out", [first, *shares[1:]])
    assert {track[8:] for track, _, _ in harvest_of(tmp_path / "out")} <= {"d1.ogg", "e1.wav", "f2.wav", "g2.wav"}
    reasons = [row["reason"] for row in json.loads((tmp_path / "out" / "report.json").read_text())["skipped"]]
    assert any(reason.startswith("excluded: ") for reason in reasons)
    merge(tmp_path / "late", shares)
    with pytest.raises(DataError, match=r"already holds excerpts of library/.*merge all parts into another folder"):
        merge(tmp_path / "late", [first])


def test_a_part_whose_fingerprints_are_lost_is_compared_by_its_bytes(
    shares: list[Path], harvest_of: Any, tmp_path: Path
) -> None:
    parts = [tmp_path / share.name for share in shares]
    for share, part in zip(shares, parts, strict=True):
        shutil.copytree(share, part)
        with FingerprintStore(part) as store:
            store.database.execute("DELETE FROM fingerprints")
    merged = merge(tmp_path / "out", parts)
    identical = {track[8:] for track, _, _ in harvest_of(tmp_path / "out")} & {"f2.wav", "g2.wav"}
    assert len(identical) <= 1
    assert merged.without_fingerprint > 0
