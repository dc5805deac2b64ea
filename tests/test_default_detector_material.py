"""The material of the default detector: splits that share nothing, parts that hold what their folder says."""

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.nn import functional as F

FOLDER = Path(__file__).parents[1] / "examples" / "default_detector"
FOLDERS = (FOLDER, *sorted(folder for folder in FOLDER.iterdir() if folder.is_dir() and folder.name != "__pycache__"))
MODULES = tuple(path.stem for path in FOLDER.rglob("*.py"))


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    """The scripts import each other by bare names, as a script's folder allows; forget them afterwards."""
    before = sys.path.copy()
    sys.path[:0] = map(str, FOLDERS)
    yield
    sys.path[:] = before
    for name in MODULES:
        sys.modules.pop(name, None)


def spectrum_share(audio: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.square(np.abs(np.fft.rfft(audio)))
    hertz = np.fft.rfftfreq(len(audio), 1 / 16000)
    return float(power[(hertz >= low_hz) & (hertz < high_hz)].sum() / power.sum())


@pytest.mark.parametrize("style", ["rock", "trap", "swing", "salsa", "kick only"])
def test_hits_lie_inside_the_part_and_on_known_drums(style: str) -> None:
    import rhythms

    beat = rhythms.rhythm(np.random.default_rng(1), 16.0, style)
    assert beat.hits
    assert all(0 <= h.start_seconds < 16 and h.role in rhythms.ROLES and 0 < h.velocity <= 1 for h in beat.hits)


def test_every_style_of_rhythm_has_bars_of_one_length() -> None:
    import rhythms

    for style, (_, pattern) in rhythms.STYLES.items():
        assert len({len(marks) for marks in pattern.values()}) == 1, style
        assert set(pattern) <= set(rhythms.ROLES), style


def test_bass_lines_stay_in_the_register_of_a_bass() -> None:
    import scores

    for style in scores.BASS_LINES:
        for seed in range(5):
            pitches = [n.pitch for n in scores.bass_line(np.random.default_rng(seed), 20.0, style).notes]
            assert all(19 <= p <= 55 for p in pitches), (style, min(pitches), max(pitches))


def test_a_shelf_reaches_its_gain_and_a_lowpass_halves_power_at_its_cutoff() -> None:
    """Worked out by hand: at DC a shelf has its gain exactly; a Butterworth low-pass has -3.01 dB at the cutoff."""
    from effects import biquad
    from scipy.signal import sosfreqz

    _, response = sosfreqz(biquad("lowshelf", 300, gain_db=6.0), worN=[0.0, np.pi])
    np.testing.assert_allclose(20 * np.log10(np.abs(response)), [6.0, 0.0], atol=1e-6)
    _, response = sosfreqz(biquad("lowpass", 1000), worN=[2 * np.pi * 1000 / 16000])
    assert 20 * np.log10(abs(response[0])) == pytest.approx(-3.01, abs=0.01)


def test_effects_keep_the_length_and_stay_finite() -> None:
    import effects

    sound = np.random.default_rng(0).standard_normal(8000)
    for source, chain in effects.CHAINS.items():
        for effect in chain:
            out = effect(sound, np.random.default_rng(3))
            assert len(out) == len(sound), (source, effect.__name__)
            assert np.all(np.isfinite(out)), (source, effect.__name__)


@pytest.mark.parametrize("patch", ["subtractive", "frequency_modulation", "additive", "plucked_string", "long_808"])
def test_a_synthesised_note_has_the_pitch_of_its_key(patch: str) -> None:
    """Most energy lies on multiples of 110 Hz (A2), or of 55 Hz for sounds with a sub-octave, over several patches."""
    import synthesizers

    clear = 0
    for seed in range(8):
        note = getattr(synthesizers, patch)(np.random.default_rng(seed), "bass").voice(1.0, 45, 0.9)[1600:14400]
        on = sum(spectrum_share(note, k * 55 - 8, k * 55 + 8) for k in range(1, 60))
        clear += on > 0.8
    assert clear >= 5


def test_the_same_seed_renders_the_same_part_and_another_does_not(tmp_path: Path) -> None:
    from generators import machine_drums
    from ingredients import Library

    first, again, other = (
        machine_drums(Library(tmp_path), np.random.default_rng(seed), "train").audio for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other) or not np.allclose(first, other)


def test_a_synthesised_bass_keeps_its_low_end(tmp_path: Path) -> None:
    from generators import LOW_SHARE, synth_bass
    from ingredients import Library

    for seed in range(4):
        audio = synth_bass(Library(tmp_path), np.random.default_rng(seed), "train").audio
        assert spectrum_share(audio, 0, 250) >= LOW_SHARE - 0.01


def test_a_pool_is_extended_without_touching_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import render_parts

    def render(count: int) -> dict[str, float]:
        monkeypatch.setattr(sys, "argv", ["x", str(tmp_path), "--only", "machine-drums", "--count", str(count)])
        assert render_parts.main() == 0
        return {p.name: p.stat().st_mtime_ns for p in (tmp_path / "drums").glob("*.flac")}

    first, second = render(2), render(3)
    assert len(second) == 3
    assert {name: second[name] for name in first} == first
    info = soundfile.info(next((tmp_path / "drums").glob("*.flac")))
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    manifest = json.loads((tmp_path / "manifest_machine-drums_train.json").read_text())
    assert {f"{stem}.flac" for stem in manifest} == set(second)


def test_no_ingredient_is_in_both_splits_and_sets_of_a_family_stay_together(tmp_path: Path) -> None:
    import sampler
    from pool import Ingredient

    names = [
        "oramics_pearl",
        "doughsamples_bass",
        "doughsamples_bass2",
        "doughsamples_voc",
        "doughsamples_vocal",
        "Millo-Drums_v.1",
    ]
    shots = [sampler.OneShot(Path(f"{n}.flac"), "drums", Ingredient(f"oneshots/{n}", "CC0")) for n in names]
    train, heldout = (sampler.of_split(shots, "drums", split) for split in ("train", "heldout"))
    assert len(train) + len(heldout) == len(names)
    assert not {s.ingredient.name for s in train} & {s.ingredient.name for s in heldout}
    for one, two in itertools.pairwise(("doughsamples_bass", "doughsamples_bass2")):
        assert sampler.family(one) == sampler.family(two)
    assert sampler.family("doughsamples_vocal") == sampler.family("doughsamples_voc")


@pytest.mark.parametrize(
    ("stem", "role"),
    [
        ("samples_bd_808", "kick"),
        ("EE_Kick_Stomp", "kick"),
        ("samples_tom-hh", "tom"),
        ("samples_conga-hh", "conga"),
        ("TR808EmulationKit_808_Hat_Open", "open"),
        ("kick_bd1075", "kick"),
        ("snare_sd0050", "snare"),
        ("HH_05", "closed"),
        ("cymbal_cy0025", "crash"),
        ("legacy_GMkit_misc_Cowbell", "cowbell"),
        ("bd_10_bd_switchangel", "kick"),
    ],
)
def test_roles_follow_file_names(stem: str, role: str) -> None:
    import sampler
    from pool import Ingredient

    assert sampler.OneShot(Path(f"{stem}.flac"), "drums", Ingredient("x", "CC0")).role == role


def test_silence_is_not_written(tmp_path: Path) -> None:
    from pool import Part, write_part

    assert write_part(Part("bass", np.zeros(16000), "rest"), tmp_path, "x") is None
    assert not list(tmp_path.rglob("*.flac"))


def test_examples_in_docstrings_hold() -> None:
    import doctest
    import importlib

    for name in ("splits", "multisamples", "soundfonts", "guitars"):
        result = doctest.testmod(importlib.import_module(name))
        assert result.attempted
        assert not result.failed, name


def test_a_note_of_a_sampled_instrument_is_transposed_from_the_nearest_key(tmp_path: Path) -> None:
    import multisamples

    (tmp_path / "package.json").write_text('{"name": "tonejs-instrument-organ-mp3"}')
    time = np.arange(44100) / 44100
    for name, hertz in (("A3", 220.0), ("A5", 880.0)):
        soundfile.write(tmp_path / f"{name}.mp3", 0.5 * np.sin(2 * np.pi * hertz * time), 44100)
    (instrument,) = multisamples.instruments(tmp_path)
    assert (instrument.name, instrument.source, sorted(instrument.keys)) == ("organ", "other", [57, 81])
    sound = instrument.sound(60)
    assert len(sound) / 16000 == pytest.approx(2 ** (-3 / 12), abs=0.05)  # three semitones up: shorter by as much
    middle_c = 261.63
    assert spectrum_share(sound, middle_c - 5, middle_c + 5) > 0.95


def test_a_speaker_says_as_many_things_as_asked_without_the_pauses(tmp_path: Path) -> None:
    import recorded_speakers

    folder = tmp_path / "klettres" / "xx" / "syllab"
    folder.mkdir(parents=True)
    silence, tone = np.zeros(8000), np.sin(np.arange(4000) * 0.3)
    for i in range(recorded_speakers.MIN_UTTERANCES):
        soundfile.write(folder / f"{i}.wav", np.concatenate([silence, tone, silence]), 16000)
    (speaker,) = recorded_speakers.speakers(tmp_path)
    assert speaker.ingredient.name == "speaker/klettres-xx"
    assert len(speaker.say(np.random.default_rng(0), 3)) == pytest.approx(3 * 4000, abs=100)


def test_a_moving_filter_that_stands_still_is_the_plain_filter() -> None:
    from effects import filtered, swept_filter

    sound = np.random.default_rng(0).standard_normal(4096)
    np.testing.assert_allclose(swept_filter(sound, np.full(64, 900.0), 2.0), filtered(sound, "lowpass", 900.0, 2.0))


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (5, 2)])
def test_a_square_kernel_is_split_into_the_pair_that_convolves_like_it(size: int, stride: int) -> None:
    """Exactly, where rank allows: a kernel made of three pairs is found again from three, and not from two."""
    import lighten

    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(4, size, 3, generator=generator), torch.randn(3, 6, size, generator=generator)
    kernel = torch.einsum("ihr,row->oihw", left, right)
    image = torch.randn(1, 4, 11, 12, generator=generator)
    whole = F.conv2d(image, kernel, stride=stride, padding=size // 2)
    error = {}
    for rank in (2, 3):
        first, second = lighten.halves(kernel, rank)
        assert first.shape == (rank, 4, size, 1)
        assert second.shape == (6, rank, 1, size)
        along = F.conv2d(image, first, stride=(stride, 1), padding=(size // 2, 0))
        error[rank] = float((F.conv2d(along, second, stride=(1, stride), padding=(0, size // 2)) - whole).norm())
    assert error[3] < 1e-4 * whole.norm() < 0.1 * whole.norm() < error[2]


def test_a_detector_made_light_is_the_small_one_where_nothing_is_lost() -> None:
    """A small detector whose kernels have low rank and that ignores what light does not hear: the same at half time."""
    import lighten

    from remix_miner.detector.networks import SilentSourceDetector

    torch.manual_seed(0)
    small, light = (SilentSourceDetector(name, width=8, hidden=16).eval() for name in ("small", "light"))
    kept = list(light.features.scattering.channels)
    dropped = [channel for channel in range(7) if channel not in kept]
    for layer in small.convolutions:
        if isinstance(layer, torch.nn.Conv2d) and layer.in_channels == 7:
            layer.weight.data[:, dropped] = 0
        elif isinstance(layer, torch.nn.Conv2d):
            rank = light.steps[0].in_channels if layer.kernel_size[1] == 1 else 16
            flat = layer.weight.data.permute(1, 2, 0, 3).reshape(layer.in_channels * layer.kernel_size[0], -1)
            left, values, right = torch.linalg.svd(flat, full_matrices=False)
            cut = ((left[:, :rank] * values[:rank]) @ right[:rank]).view(
                layer.in_channels, layer.kernel_size[0], layer.out_channels, layer.kernel_size[1]
            )
            layer.weight.data = cut.permute(2, 0, 1, 3).contiguous()
    lighten.lighten(small, light)
    features = torch.randn(1, 7, 54, 80)
    with torch.inference_mode():
        before = small.convolutions[:-3](features)[:, :, 0]
        halves = small.convolutions[-2](torch.relu((before[..., ::2] + before[..., 1::2]) / 2)[:, :, None])[:, :, 0]
        expected = small.sequence(halves).repeat_interleave(2, dim=-1)
        assert torch.allclose(light.logits(features[:, kept]), expected, atol=1e-4)


def test_the_mean_of_weights_is_that_of_each_tensor_and_needs_one_architecture() -> None:
    from average_weights import mean_of

    count = torch.tensor(7)
    first, second = ({"w": torch.tensor([x, 2.0]), "n": count} for x in (1.0, 4.0))
    mean = mean_of([first, second])
    assert mean["w"].tolist() == [2.5, 2.0]
    assert (mean["w"].dtype, mean["n"].item()) == (torch.float16, 7)
    with pytest.raises(SystemExit, match="architectures"):
        mean_of([first, {"w": torch.zeros(3), "n": count}])


SYNTHETIC_KINDS = (
    *("sub-bass", "slap-bass", "muffled-drums", "hand-drums", "soft-percussion", "brushes"),
    *("plucked-other", "gated-other", "strummed-other", "lead-other"),
)


@pytest.mark.parametrize("kind", SYNTHETIC_KINDS)
def test_a_new_kind_sounds_is_finite_and_the_same_for_the_same_seed(kind: str, tmp_path: Path) -> None:
    from ingredients import Library
    from kinds import KINDS

    first, again = (KINDS[kind](Library(tmp_path / "none"), np.random.default_rng(4), "train") for _ in range(2))
    np.testing.assert_array_equal(first.audio, again.audio)
    assert np.isfinite(first.audio).all()
    assert np.sqrt(np.mean(np.square(first.audio))) > 1e-3
    assert first.source == {"bass": "bass", "other": "other"}.get(kind.split("-")[-1], "drums")


MASKING_SOURCES = {
    **{"dry-kit": "drums", "folk-percussion": "drums", "fuzz-bass": "bass", "glide-808": "bass"},
    **{"power-chords": "other", "reed-other": "other"},
}


@pytest.mark.parametrize("kind", list(MASKING_SOURCES))
def test_a_masking_kind_sounds_is_finite_and_the_same_for_the_same_seed(kind: str, tmp_path: Path) -> None:
    from ingredients import Library
    from masking_kinds import MASKING

    first, again = (MASKING[kind](Library(tmp_path / "none"), np.random.default_rng(4), "train") for _ in range(2))
    np.testing.assert_array_equal(first.audio, again.audio)
    assert np.isfinite(first.audio).all()
    assert np.sqrt(np.mean(np.square(first.audio))) > 1e-3
    assert first.source == MASKING_SOURCES[kind]
    assert set(MASKING) == set(MASKING_SOURCES)


def test_a_dry_kit_is_silent_between_its_strokes(tmp_path: Path) -> None:
    """No stroke lasts 0.3 s, and the styles have longer gaps; a room or cymbals would fill them."""
    from ingredients import Library
    from masking_kinds import dry_kit

    for seed in range(3):
        audio = dry_kit(Library(tmp_path / "none"), np.random.default_rng(seed), "train").audio
        levels = np.abs(audio[: len(audio) // 800 * 800].reshape(-1, 800)).max(axis=1)
        assert (levels < 1e-3 * levels.max()).mean() > 0.1


def test_an_accordion_note_swells_and_holds_its_level_until_it_ends() -> None:
    from masking_kinds import accordion
    from scores import Note, Score

    audio = accordion(np.random.default_rng(3), Score("", 120, 3.0, [Note(0.5, 2.0, 60, 1.0)]))
    level = np.sqrt(np.square(audio).reshape(-1, 1600).mean(axis=1))
    assert (level[:5] == 0).all()
    assert level[22] > 0.5 * level[8] > 0  # 2.2 s and 0.8 s
    assert level[27] < 0.01 * level[8]


def test_guitars_of_a_game_become_pieces_where_they_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 60 s the middle 20 s hold two seconds of guitar: two pieces, at the pool's level."""
    import game_guitars

    time = np.arange(60 * 16000) / 16000
    tone = 0.02 * np.sin(2 * np.pi * 220 * time) * ((time < 22) | (time >= 40))
    song = tmp_path / "songs" / "band" / "a song"
    song.mkdir(parents=True)
    soundfile.write(song / "guitar.ogg", tone, 16000, format="OGG")
    soundfile.write(song / "song.ogg", tone, 16000, format="OGG")
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "songs"), str(tmp_path / "out")])
    game_guitars.main()
    pieces = sorted((tmp_path / "out" / "other").iterdir())
    assert [path.name for path in pieces] == ["band-a-song_00.flac", "band-a-song_02.flac"]
    audio, rate = soundfile.read(pieces[0])
    assert (rate, len(audio)) == (16000, 320000)
    assert 20 * np.log10(np.sqrt(np.mean(np.square(audio)))) == pytest.approx(-20, abs=0.5)


def test_no_guitar_in_a_games_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import game_guitars

    monkeypatch.setattr(sys, "argv", ["", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit, match=r"no guitar\.ogg"):
        game_guitars.main()


def test_a_sub_bass_without_effects_lies_below_eighty_hertz_and_muffled_drums_below_their_cutoff(
    tmp_path: Path,
) -> None:
    import low_tones
    from ingredients import Library
    from kinds import KINDS
    from scores import bass_line

    for seed in range(4):
        rng = np.random.default_rng(seed)
        score = bass_line(rng, 16.0)
        audio, style = low_tones.low_line(rng, score.notes, score.seconds)
        assert style == "808" or spectrum_share(audio, 25, 80) > 0.7, style
        drums = KINDS["muffled-drums"](Library(tmp_path / "none"), np.random.default_rng(seed), "train")
        cutoff = float(drums.style.split(" below ")[1].removesuffix(" Hz"))
        assert spectrum_share(drums.audio, 0, 2 * cutoff) > 0.9, drums.style


def test_a_low_line_moves_to_the_register_of_subs_and_glides_there() -> None:
    """Worked out by hand: A2 and E3 become A1 (33) and E1 (28); half way through a glide the pitch is half way."""
    from low_tones import lowered, pitch_line
    from scores import Note

    notes = lowered([Note(0.0, 1.0, 45, 1.0), Note(1.0, 1.0, 52, 1.0)])
    assert [note.pitch for note in notes] == [33, 28]
    line = pitch_line(notes, 32000, 0.5)
    assert (line[0], line[-1]) == (33, 28)
    assert line[16000 + 4000] == pytest.approx(30.5, abs=0.01)


def test_strummed_chords_hold_no_tone_beside_the_triad_and_start_with_the_root() -> None:
    from guitars import voicing

    for root in range(12):
        chord = voicing(root, 4)
        assert {root, (root + 4) % 12} <= {pitch % 12 for pitch in chord} <= {root, (root + 4) % 12, (root + 7) % 12}
        assert chord == sorted(chord)
        assert chord[0] % 12 == root


def test_effects_of_voices_stay_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    import processed

    time = np.arange(32000) / 16000
    voice = (np.sin(2 * np.pi * 180 * time) * (0.6 + 0.4 * np.sin(9 * time))).astype(np.float32)
    needs_extras = {"stretched", "layered", "world_voice"}
    for effect in processed.TREATMENTS:
        if effect.__name__ not in needs_extras:
            out = effect(voice, np.random.default_rng(0))
            assert np.isfinite(out).all(), effect.__name__
            assert np.any(out), effect.__name__
    backwards = processed.reversed_voice(voice, np.random.default_rng(0))
    assert sorted(backwards) == sorted(voice)


def test_every_tracker_song_has_labelled_drums_and_bass_and_every_label_belongs_to_a_song() -> None:
    from tracker_modules import LABELS, groups, instruments, songs

    rows, names = instruments(), [song.name for song in songs()]
    assert len(set(names)) == len(names)
    assert {row["song"] for row in rows} == set(names)
    assert {row["label"] for row in rows} == set(LABELS)
    assert all(row["reason"] for row in rows)
    assert len({(row["song"], row["number"]) for row in rows}) == len(rows)
    for name in names:
        assert {"drums", "bass"} <= set(groups(rows, name)), name


def test_instruments_are_grouped_by_their_label_within_their_song() -> None:
    from tracker_modules import groups

    labels = (("a", "1", "drums"), ("a", "12", "drums"), ("a", "7", "bass"), ("b", "2", "other"))
    rows = [{"song": song, "number": number, "label": label} for song, number, label in labels]
    assert groups(rows, "a") == {"drums": {1, 12}, "bass": {7}}
    assert groups(rows, "c") == {}


def test_a_tracker_song_is_refused_if_an_instrument_is_missing_or_the_file_differs(tmp_path: Path) -> None:
    """Three instruments at 600, 2000 and 5000 Hz; without the third, the residual is a third of the power: -4.8 dB."""
    import hashlib

    from tracker_modules import Song, residual_db, stems_of

    time = np.arange(48000) / 48000
    tones = {number: np.sin(2 * np.pi * hz * time)[:, None] for number, hz in ((1, 600), (2, 2000), (3, 5000))}

    def render(path: Path, numbers: set[int] | None, seconds: float) -> np.ndarray:
        return np.sum([tones[number] for number in numbers or tones], axis=0)

    module = tmp_path / "a.mod"
    module.write_bytes(b"a module")
    digest = hashlib.sha256(b"a module").hexdigest()
    song = Song("artist", "title", "package", "1.0", "a.mod", digest, "GPL", "module", 1.0)
    stems = stems_of(module, song, {"drums": {1, 3}, "bass": {2}}, render)
    np.testing.assert_allclose(stems["bass"][24000:], tones[2][24000:], atol=0.05)
    assert residual_db([tones[1], tones[2]], render(module, None, 1.0)) == pytest.approx(-4.77, abs=0.01)
    with pytest.raises(ValueError, match="sum to the mixture at -5 dB only"):
        stems_of(module, song, {"drums": {1}, "bass": {2}}, render)
    module.write_bytes(b"another")
    with pytest.raises(ValueError, match=r"not the file of package 1\.0"):
        stems_of(module, song, {"drums": {1, 3}, "bass": {2}}, render)


def protracker_module() -> bytes:
    """A ProTracker module: sample 1 plays row 0, sample 2 rows 0 and 32, in one pattern of four channels."""
    wave = [bytes([0, 100, 0, 156] * 512), bytes([0, 0, 60, 60, 0, 0, 196, 196] * 256)]
    header = bytearray(20)
    for data in (*wave, *[b""] * 29):
        loop = 0 if data else 1
        header += bytes(22) + (len(data) // 2).to_bytes(2, "big") + bytes([0, 64, 0, 0, 0, 1 if data else loop])
    header += bytes([1, 127]) + bytes(128) + b"M.K."
    pattern = bytearray(64 * 4 * 4)

    def play(row: int, channel: int, sample: int, period: int) -> None:
        place = 4 * (4 * row + channel)
        pattern[place : place + 4] = bytes([sample & 0xF0 | period >> 8, period & 0xFF, (sample & 15) << 4, 0])

    play(0, 0, 1, 428)
    play(0, 1, 2, 428)
    play(32, 1, 2, 428)
    return bytes(header + pattern) + b"".join(wave)


def test_muted_instruments_of_a_module_sum_to_its_mixture(tmp_path: Path) -> None:
    import ctypes

    import openmpt

    try:
        ctypes.CDLL(openmpt.LIBRARY)
    except OSError:
        pytest.skip("libopenmpt is not installed")
    path = tmp_path / "song.mod"
    path.write_bytes(protracker_module())
    mixture, first, second = (openmpt.rendered(path, numbers, 10.0) for numbers in (None, {1}, {2}))
    assert len(mixture) == pytest.approx(7.68 * 48000, abs=9600)  # 64 rows of 6 ticks of 20 ms, and a tail
    np.testing.assert_allclose(first + second, mixture, atol=1e-5)
    half = len(mixture) // 2
    assert np.abs(first[half:]).max() < 1e-4 < 0.01 < np.abs(first[:half]).max()
    assert min(np.abs(second[:half]).max(), np.abs(second[half:]).max()) > 0.01
    with openmpt.opened(path.read_bytes()) as module:
        assert module.notes() == {1: [61], 2: [61, 61]}
        with pytest.raises(ValueError, match="no instrument 40"):
            module.mute(40)


def test_a_short_stroke_counts_once_and_a_tone_is_less_flat_than_noise() -> None:
    from instrument_features import features, strokes

    time = np.arange(4 * 16000) / 16000
    strike = np.exp(-np.log(10) * ((time + 0.5) % 1) / 0.2)  # 20 dB in 0.2 s, at 0.5, 1.5, 2.5, 3.5 s
    count, decay = strokes(strike * np.random.default_rng(0).standard_normal(len(time)))
    assert (count, decay) == (4, pytest.approx(0.2, abs=0.04))
    tone = features(np.sin(2 * np.pi * 100 * time), 0.5)
    noise = features(np.random.default_rng(0).standard_normal(len(time)), 1.0)
    assert tone["level_db"] == pytest.approx(0, abs=0.01)
    assert tone["to_120"] > 0.99
    assert 90 < tone["lowest_hz"] < 101
    assert tone["flatness"] < 0.01 < 0.5 < noise["flatness"]
    assert noise["to_8000"] == pytest.approx(6000 / 7972, abs=0.02)
