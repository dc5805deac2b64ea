"""The steps of the demo, each a command that the reader can type."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from remix_miner.mined.excerpts import MinedExcerpts


@dataclass(frozen=True)
class DemoFolder:
    """The places of the demo's files below ``root``."""

    root: Path

    @property
    def songs(self) -> Path:
        return self.root / "songs"

    @property
    def mined(self) -> Path:
        return self.root / "mined"

    @property
    def calibration(self) -> Path:
        return self.root / "calibration.json"

    @property
    def picture(self) -> Path:
        return self.root / "song.png"

    @property
    def excerpts(self) -> Path:
        return self.root / "excerpts"

    @property
    def run(self) -> Path:
        return self.root / "runs" / "tiny"

    @property
    def estimates(self) -> Path:
        return self.root / "separated"

    @property
    def results(self) -> tuple[Path, Path]:
        """Scores of the mixture and of the separator."""
        return self.root / "results" / "mixture.json", self.root / "results" / "tiny.json"

    @property
    def board(self) -> Path:
        return self.root / "leaderboard"

    @property
    def page(self) -> Path:
        return self.root / "index.html"

    def scanned_song(self) -> Path:
        """Return the library file with the most harvested audio; the first one where nothing was harvested."""
        seconds: dict[str, float] = {}
        if any(self.mined.glob("shards/*.h5")):
            excerpts = MinedExcerpts(self.mined)
            for index in range(len(excerpts)):
                item = excerpts.read(index)
                track = Path(item["track"]).name
                seconds[track] = seconds.get(track, 0.0) + item["audio"].shape[-1] / item["sample_rate"]
        files = sorted(self.songs.glob("library/*"))
        return max(files, key=lambda file: seconds.get(file.name, 0.0))

    def truth(self, library_file: Path) -> Path:
        """Return the folder with the stems of a library file."""
        return self.songs / "library_truth" / library_file.stem

    def test_song(self) -> Path:
        """Return the folder of the song that is separated; the separator has not trained on it."""
        return min((self.songs / "stems" / "test").iterdir())


@dataclass(frozen=True)
class Step:
    """A command with a title and what it does. ``arguments`` is called when the step begins."""

    title: str
    what: str
    arguments: Callable[[], list[str]]


def demo_steps(folder: DemoFolder) -> list[Step]:
    """Return the steps in order."""
    songs, mined, calibration, board = folder.songs, folder.mined, folder.calibration, folder.board
    mixture, tiny = map(str, folder.results)
    test = ["--stems", f"{songs}/stems", "--split", "test", "--metrics", "usdr"]

    def plot() -> list[str]:
        song = folder.scanned_song()
        truth = ["--stems", str(folder.truth(song)), "--calibration", str(calibration)]
        return ["plot-track", str(song), *truth, "--out", str(folder.picture)]

    def train() -> list[str]:
        options = ["--config", "tiny_cpu", "--set", "epochs=4"]
        resume = ["--resume"] if folder.run.exists() else []
        return [
            "train",
            "--stems",
            f"{songs}/stems",
            "--mined",
            f"{mined}",
            *options,
            "--out",
            f"{folder.run}",
            *resume,
        ]

    def separate() -> list[str]:
        song = folder.test_song() / "mixture.wav"
        return ["separate", str(folder.run), str(song), "--format", "flac", "--out", str(folder.estimates)]

    compare = Step(
        "Compare",
        "Writes both results into a leaderboard beside published results.",
        lambda: ["leaderboard", "add", mixture, tiny, "--board", f"{board}"],
    )
    return [
        Step(
            "Songs",
            "Generates songs with known stems, and a library of other songs in wav, flac, ogg and mp3.",
            lambda: ["synthesize", f"{songs}", "--songs", "6", "--seconds", "60"],
        ),
        Step(
            "Check",
            "Reports what the songs with stems hold: lengths, formats, how often each source is silent.",
            lambda: ["check-data", f"{songs}/stems"],
        ),
        Step(
            "Calibrate",
            "Chooses the detector's thresholds for this music, by the paper's rule. The built-in thresholds are "
            "stricter and find less.",
            lambda: [
                "calibrate", "default", "--stems", f"{songs}/stems", "--mute", "1", "--bound", "none",
                "--out", f"{calibration}",
            ],
        ),
        Step(
            "Mine",
            "Scans the library and stores the spans without drums, bass or vocals.",
            lambda: ["detect", f"{songs}/library", "--out", f"{mined}", "--calibration", f"{calibration}"],
        ),
        Step(
            "Inspect",
            "Lists what was mined and compares every byte with its checksum.",
            lambda: ["inspect", f"{mined}", "--verify"],
        ),
        Step("Look", "Draws the song from which most was mined, with its true volumes.", plot),
        Step("Train", "Trains a tiny separator on the stems and on remixes of the mined excerpts.", train),
        Step("Separate", "Separates a song that the separator has not trained on.", separate),
        Step(
            "Score the mixture",
            "Scores the mixture itself as the estimate of every source: the score to beat.",
            lambda: ["evaluate", "mixture", *test, "--out", mixture],
        ),
        Step(
            "Score the separator",
            "Scores the separator on the test songs.",
            lambda: ["evaluate", f"{folder.run}", *test, "--out", tiny],
        ),
        *([] if board.exists() else [compare]),  # a second run must not add the rows again
        Step(
            "Leaderboard",
            "Writes the leaderboard as a page.",
            lambda: ["leaderboard", "page", "--board", f"{board}", "--out", f"{folder.root}/leaderboard.html"],
        ),
    ]  # fmt: skip
