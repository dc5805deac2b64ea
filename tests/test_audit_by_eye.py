"""Audit of a mined folder by eye: draws by seconds, controls of exact level, corrected shares, and both commands."""

import csv
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.stats import beta

from remix_miner.detector.windows import HOP_SECONDS
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.library_folders import remember_folders
from remix_miner.mined.probabilities import ProbabilityStore, StoredTrack
from remix_miner.mined.probability_codes import encode

FOLDER = Path(__file__).parents[1] / "examples" / "default_detector" / "audit"
WINDOWS = 600
RATE = 8000


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    before = sys.path.copy()
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path[:] = before
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_seconds_are_drawn_in_proportion_and_pieces_lie_inside() -> None:
    from pieces import Stretch, draw_by_seconds

    stretches = [Stretch("long", 10.0, 100.0), Stretch("short", 0.0, 5.0), Stretch("other", 3.0, 8.5)]
    pieces = [
        piece for seed in range(200) for piece in draw_by_seconds(stretches, 20, 6.0, np.random.default_rng(seed))
    ]
    for stretch in stretches:
        of = [piece for piece in pieces if piece.track == stretch.track]
        # 100.5 s in 20 equal steps: the expectation is exact, each draw is within one piece of it.
        assert len(of) / len(pieces) == pytest.approx(stretch.seconds / 100.5, abs=0.01)
        assert all(stretch.start_seconds <= piece.start_seconds for piece in of)
        assert all(piece.end_seconds <= stretch.end_seconds for piece in of)
        assert {round(piece.seconds, 9) for piece in of} == {min(6.0, stretch.seconds)}


def test_parts_outside_and_inside_other_stretches() -> None:
    from pieces import Stretch, common, without

    whole = [Stretch("a", 0.0, 30.0), Stretch("b", 0.0, 10.0)]
    strict = [Stretch("a", 4.0, 12.0), Stretch("a", 20.0, 40.0)]
    assert without(whole, strict, 5.0) == [Stretch("a", 12.0, 20.0), Stretch("b", 0.0, 10.0)]
    assert common(whole, strict, 5.0) == [Stretch("a", 4.0, 12.0), Stretch("a", 20.0, 30.0)]


@pytest.mark.parametrize("volume_db", [-20.0, -13.0, -10.0])
def test_a_control_has_the_level_that_it_states(volume_db: float) -> None:
    from pieces import gain_at

    rng = np.random.default_rng(3)
    rest = rng.standard_normal(16000).astype(np.float32)
    stem = (0.01 * rng.standard_normal(16000) + 0.02 * rest).astype(np.float32)  # correlated with the rest
    scaled = gain_at(stem, rest, volume_db) * stem.astype(np.float64)
    measured = 10 * np.log10(np.sum(scaled**2) / np.sum((rest + scaled) ** 2))
    assert measured == pytest.approx(volume_db, abs=1e-4)


def test_labelled_pieces_come_without_the_source_or_at_its_level(stem_corpus, tmp_path: Path) -> None:
    from pieces import labelled_pieces

    from remix_miner.datasets.corpora import load_stem_tracks

    songs = load_stem_tracks(stem_corpus(tmp_path / "stems", {"A - one": 8.0, "B - two": 8.0}))
    silent, sounding = labelled_pieces(songs, "drums", [-np.inf, -15.0], 6.0, np.random.default_rng(0))

    def noise_share(audio: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(audio)) ** 2
        hertz = np.fft.rfftfreq(len(audio), 1 / 16000)
        return float(power[(hertz > 2500) & (hertz < 3800)].sum() / power.sum())

    assert len(silent.audio) == pytest.approx(6 * 16000, abs=2)
    assert noise_share(silent.audio) < 1e-4
    # Drums are white noise to 4 kHz: 1300 of 4000 Hz hold a third of its energy, which is -15 dB of the mixture.
    assert noise_share(sounding.audio) == pytest.approx(10**-1.5 * 1300 / 4000, rel=0.15)


def test_with_a_faultless_eye_the_share_has_the_posterior_of_a_binomial() -> None:
    from shares import interval, posterior_of_share

    draws = posterior_of_share((17, 0, 3), (10**7, 0, 0), (0, 0, 10**7), np.random.default_rng(0))
    middle, low, high = interval(draws)
    expected = beta(18, 4)
    assert (low, middle, high) == pytest.approx(expected.ppf([0.025, 0.5, 0.975]), abs=0.012)


def test_an_eye_that_cannot_tell_leaves_the_share_unknown() -> None:
    from shares import interval, posterior_of_share

    draws = posterior_of_share((20, 10, 0), (10**6, 10**6, 0), (10**6, 10**6, 0), np.random.default_rng(0))
    assert interval(draws) == pytest.approx((0.5, 0.025, 0.975), abs=0.025)


def test_faults_of_the_eye_are_corrected() -> None:
    """Of silent pieces 80% are judged clean, of sounding ones 10%: 62% clean means (0.62 - 0.1) / 0.7 = 74%."""
    from shares import interval, posterior_of_share

    many = 100_000
    eye = (8 * many, 2 * many, 0), (many, many, 8 * many)
    judged = tuple(round(many * (0.74 * a + 0.26 * b)) for a, b in zip((0.8, 0.2, 0), (0.1, 0.1, 0.8), strict=True))
    middle, low, high = interval(posterior_of_share(judged, *eye, np.random.default_rng(0)))
    assert middle == pytest.approx(0.742857, abs=0.004)
    assert high - low < 0.02


def row(number: int, group: str, judgement: str, part: str = "") -> dict[str, str]:
    return {
        "number": str(number),
        "group": group,
        "part": part,
        "track": f"t{number}",
        "judgement": judgement,
        "voice": "",
        "note": "",
    }


def test_groups_are_counted_and_parts_weighted_by_their_seconds() -> None:
    from score import report

    rows = [row(n, "harvest", "clean", "kept") for n in range(8)] + [row(8, "harvest", "sounds", "added")]
    rows += [row(9, "added", "clean", "added")]
    lines = report(rows, {"kept": {"seconds": 300.0}, "added": {"seconds": 100.0}})
    assert "| harvest | 9 | 9 | 8 | 0 | 1 | 89% [52%, 100%] |  |" in lines
    assert "| all added | 2 | 2 | 1 | 0 | 1 | 50% [1%, 99%] |  |" in lines
    assert lines[-1] == "judged clean, weighted: 88%"  # 0.75 x 1 + 0.25 x 0.5


@pytest.fixture
def folder(tmp_path: Path, mine: Callable[..., Catalogue]) -> Path:
    """Two tracks: 12 s harvested without drums, the first half at P 0.99, then P 0.8; drums are sure from 20 s on."""
    names = ["library/a.wav", "library/b.wav"]
    (tmp_path / "library").mkdir()
    mine(tmp_path / "mined", {name: {"drums": [12.0]} for name in names}).close()
    p = np.full((4, WINDOWS), 0.3, dtype=np.float32)
    p[0, : round(6.5 / HOP_SECONDS)] = 0.99
    p[0, round(6.5 / HOP_SECONDS) : round(12.5 / HOP_SECONDS)] = 0.8
    p[0, round(20 / HOP_SECONDS) :] = 0.01
    seconds = (WINDOWS - 1) * HOP_SECONDS
    codes = encode(p, np.ones(WINDOWS, dtype=bool))
    with Catalogue.open(tmp_path / "mined", json_settings(tmp_path / "mined")) as catalogue:
        with catalogue.transaction() as database:
            remember_folders(database, [tmp_path / "library"])
        hashes = dict(catalogue.database.execute("SELECT path, sha256 FROM tracks"))
    with ProbabilityStore(tmp_path / "mined") as store:
        store.write([StoredTrack(name, hashes[name], 1000, 1, round(seconds * RATE), RATE, codes) for name in names])
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).normal(size=round(seconds * RATE)) / 8
        soundfile.write(tmp_path / name, noise, RATE)
    return tmp_path / "mined"


def json_settings(folder: Path) -> dict[str, object]:
    from remix_miner.mined.catalogue_view import CatalogueView

    with CatalogueView.read(folder) as view:
        return view.settings


def test_an_audit_from_the_draw_to_the_table(
    folder: Path, stem_corpus: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from draw import DrawSettings, drawn_pieces, write_audit
    from score import judged, pooled, report

    stems = stem_corpus(tmp_path / "stems", {"A - one": 8.0, "B - two": 8.0})
    counts = {"harvest": 4, "added": 2, "kept": 2, "sure": 2, "labelled": 1}
    settings = DrawSettings("drums", stricter=0.95, counts=counts)
    pieces, population = drawn_pieces(folder, [stems], settings)
    by_group = {name: [piece for piece in pieces if piece.group == name] for name in (*population, "labelled silent")}
    assert {name: len(of) for name, of in by_group.items()} == {
        "harvest": 4, "sure": 2, "added": 2, "kept": 2, "labelled silent": 1
    }  # fmt: skip
    # Where the threshold of 0.95 ends: half a window before the first window below it.
    edge = (round(6.5 / HOP_SECONDS)) * HOP_SECONDS - 0.32
    assert population["kept"] == {"seconds": pytest.approx(2 * edge, abs=0.01), "stretches": 2, "tracks": 2}
    assert all(piece.stretch.start_seconds >= edge - 1e-6 for piece in by_group["added"])
    assert all(piece.stretch.end_seconds <= edge + 1e-6 for piece in by_group["kept"])
    assert all(piece.stretch.start_seconds > 20 for piece in by_group["sure"])
    assert {piece.part for piece in by_group["harvest"]} == {"kept", "added"}

    write_audit(tmp_path / "audit", pieces, population, settings, 5)
    assert [path.name for path in sorted((tmp_path / "audit").glob("*.png"))] == [f"sheet_0{n}.png" for n in range(3)]
    with pytest.raises(UsageError, match="holds an audit"):
        write_audit(tmp_path / "audit", pieces, population, settings, 5)
    with pytest.raises(DataError, match="piece 0 is judged ''"):
        judged(tmp_path / "audit")

    with (tmp_path / "audit" / "key.csv").open(newline="") as file:
        key = list(csv.DictReader(file))
    assert [int(one["number"]) for one in key] == list(range(12))
    assert [one["group"] for one in key] != [piece.group for piece in pieces], "the order is random"
    answers = "".join(
        f"{one['number']},{'sounds' if one['group'] in ('sure', 'labelled sounding') else 'clean'},\n" for one in key
    )
    (tmp_path / "audit" / "judgements.csv").write_text(f"number,judgement,note\n{answers}")
    lines = report(*pooled([tmp_path / "audit"]))
    assert any(line.startswith("| harvest | 4 | 2 | 4 | 0 | 0 | 100% ") for line in lines)
    assert any(line.startswith("| labelled sounding | 1 | 1 | 0 | 0 | 1 | 0% ") for line in lines)
    assert any(line.startswith("judged clean, weighted: 100%; truly silent, corrected: ") for line in lines)

    # A second draw is added to the first, if it comes from the same population.
    second = shutil.copytree(tmp_path / "audit", tmp_path / "second")
    lines = report(*pooled([tmp_path / "audit", second]))
    assert any(line.startswith("| harvest | 8 | 2 | 8 | 0 | 0 | 100% ") for line in lines)
    (second / "draw.json").write_text((second / "draw.json").read_text().replace("0.95", "0.96"))
    with pytest.raises(DataError, match="different scans, sources or thresholds"):
        pooled([tmp_path / "audit", second])
