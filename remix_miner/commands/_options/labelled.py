"""Options that name labelled songs, and the probabilities and volumes of their windows."""

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remix_miner.commands._options.common import note, options, warn
from remix_miner.errors import DataError, UsageError

if TYPE_CHECKING:
    from remix_miner.calibration.songs.labelled import LabelledSong
    from remix_miner.datasets.tracks import PairTrack, StemTrack
    from remix_miner.detector.calibration import Calibration
    from remix_miner.detector.evidence import Evidence
    from remix_miner.detector.loading import LoadedDetector


class Several(click.Option):
    """An option that takes one or more values, up to the next option: ``--stems A B --out C``; also repeatable."""

    def __init__(self, *declarations: Any, **options: Any) -> None:
        options["multiple"] = True
        super().__init__(*declarations, **options)

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        for name in self.opts:
            option = parser._long_opt[name]
            take_one = option.process

            def take_all(value: str, state: Any, take_one: Callable[[str, Any], None] = take_one) -> None:
                take_one(value, state)
                while state.rargs and not state.rargs[0].startswith("-"):
                    take_one(state.rargs.pop(0), state)

            option.process = take_all


def labelled_songs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--folds`` and the options of a `SongChoice`, which a command receives as one argument ``choice``."""
    folder, function = click.Path(path_type=Path), _with_choice(command)
    return options(
        click.option("--stems", cls=Several, type=folder, metavar="STEMS...", help="Folders of songs with four stems."),
        click.option(
            "--pairs",
            cls=Several,
            type=folder,
            metavar="PAIRS...",
            help="Folders of songs with vocals and accompaniment.",
        ),
        click.option("--split", default=None, help="Only 'train', 'valid' or 'test' of corpora that have splits."),
        click.option(
            "--artists",
            type=folder,
            metavar="CSV",
            help="Columns track,artist; for songs without the artist in their name.",
        ),
        click.option(
            "--mute",
            "muted_variants",
            default=0,
            show_default=True,
            metavar="N",
            type=click.IntRange(min=0),
            help="Add N variants of each song with sources muted at random, since songs rarely have long silences.",
        ),
        click.option("--seed", default=0, show_default=True, help="Random seed."),
        click.option(
            "--folds",
            cls=Several,
            metavar="DETECTOR...",
            help="Detectors trained in the same way, each without a part of the songs. A song that trained the "
            "detector is scored by the first of them that it did not train.",
        ),
    )(function)


def _with_choice(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command whose options of a `SongChoice` arrive as ``choice``."""
    names = [field.name for field in fields(SongChoice)]

    @functools.wraps(function)
    def command(**values: Any) -> Any:
        choice = SongChoice(**{name: values.pop(name) for name in names if name in values})
        return function(choice=choice, **values)

    return command


@dataclass(frozen=True)
class SongChoice:
    """The labelled songs of a command: the options of `labelled_songs`, and ``weak`` where the command has --weak."""

    stems: Sequence[Path]
    pairs: Sequence[Path] = ()
    split: str | None = None
    artists: Path | None = None
    muted_variants: int = 0
    seed: int = 0
    weak: Sequence[Path] = ()


def label_and_predict_songs(
    detector: "LoadedDetector",
    choice: SongChoice,
    folds: "Sequence[LoadedDetector]" = (),
    evidence: "Evidence | None" = None,
) -> "list[LabelledSong]":
    """Return P_i and V_i of every window of the chosen songs.

    With ``folds`` the probabilities of a song are those of the first detector that was not trained on it
    (cross-fitting). The result then holds for the method of training, and stands for ``detector``. Raises `DataError`
    for a song that trained all of them.
    """
    from remix_miner.calibration.songs.artists import guess_artists, read_artists
    from remix_miner.calibration.songs.labelled import label_songs
    from remix_miner.calibration.songs.weak import label_weak_songs
    from remix_miner.datasets.corpora import load_pair_tracks, load_stem_tracks

    if not choice.stems and not choice.pairs and not choice.weak:
        raise UsageError("no labelled songs: name folders with --stems or --pairs, or a table of labels with --weak")
    tracks: list[StemTrack | PairTrack] = []
    tracks += load_stem_tracks(choice.stems, choice.split) if choice.stems else []
    tracks += load_pair_tracks(choice.pairs) if choice.pairs else []
    named = {} if choice.artists is None else read_artists(choice.artists)
    guessed = guess_artists([track.name for track in tracks if track.name not in named])
    _warn_of_guesses(guessed)
    songs: list[LabelledSong] = []
    for scorer, share in _shared_out(detector, folds, tracks):
        songs += label_songs(
            scorer.model,
            share,
            muted_variants=choice.muted_variants,
            seed=choice.seed,
            artists={**guessed, **named},
            trained_on=scorer.description.get("songs", []),
            evidence=evidence,
        )
    if choice.weak:
        songs += label_weak_songs(detector.model, choice.weak, named, evidence)
    return songs


def fuse_where_possible(
    calibration: "Calibration | None", songs: "list[LabelledSong]", evidence: "Evidence | None"
) -> "tuple[Calibration | None, list[LabelledSong]]":
    """Return calibration and songs with joint probabilities; without the evidence unchanged, after a warning."""
    from remix_miner.calibration.fusion import fused_song

    if calibration is None:
        return None, songs
    calibration, fusion, loss = calibration.with_evidence(evidence)
    if loss is not None:
        warn(loss)
    if fusion is None:
        return calibration, songs
    return calibration, [fused_song(song, fusion) for song in songs]


def _warn_of_guesses(artists: "Mapping[str, str]") -> None:
    """Print which songs count as one artist because of a shared prefix of their names."""
    groups = Counter(artist for track, artist in artists.items() if " - " not in track and artist != track)
    for artist, songs in groups.items():
        note(f"{songs} songs named {artist}_... count as one artist; if they are by several, name them with --artists")


def _shared_out(
    detector: "LoadedDetector", folds: "Sequence[LoadedDetector]", tracks: "Sequence[StemTrack | PairTrack]"
) -> "list[tuple[LoadedDetector, list[StemTrack | PairTrack]]]":
    """Return each detector with the tracks that it processes."""
    if not folds:
        return [(detector, list(tracks))]
    candidates = [detector, *folds]
    shares: list[list[StemTrack | PairTrack]] = [[] for _ in candidates]
    for track in tracks:
        allowed = [
            i for i, candidate in enumerate(candidates) if track.name not in candidate.description.get("songs", [])
        ]
        if not allowed:
            raise DataError(
                f"{track.name!r} is among the training songs of {detector.name!r} and of every one of --folds; "
                "add a fold that was trained without it, or leave the song out"
            )
        shares[allowed[0]].append(track)
    return [(candidate, share) for candidate, share in zip(candidates, shares, strict=True) if share]


def load_folds(paths: Sequence[str], device: str) -> "list[LoadedDetector]":
    """Load the detectors of ``--folds``."""
    from remix_miner.detector.loading import load_detector

    return [load_detector(path, device=device) for path in paths]


def warn_of_training_songs(
    detector: "LoadedDetector", songs: "Sequence[LabelledSong]", folds: "Sequence[LoadedDetector]" = ()
) -> None:
    """Warn of songs that the detector trained on: figures measured on them are too good."""
    if folds:
        note(
            f"songs that {detector.name!r} trained on are scored by {', '.join(fold.name for fold in folds)}: figures "
            "are those of the training procedure"
        )
        return
    chosen_with = {*detector.description.get("songs", []), *detector.description.get("validation_songs", [])}
    seen = sorted({song.name for song in songs} & chosen_with)
    if seen:
        warn(f"{len(seen)} of the songs trained or chose this detector, e.g. {seen[0]!r}: figures are too good")
    learned = {song.name for song in songs if song.trained_on}
    if learned and len(learned) < len({song.name for song in songs}):
        note("in a calibration, songs that trained the detector can only lower what is promised")


def calibration_for(detector: "LoadedDetector", path: Path | None) -> "Calibration | None":
    """Return the calibration in ``path``, or else the one beside the detector; checked to be of this detector."""
    from remix_miner.detector.calibration import Calibration

    calibration = detector.calibration if path is None else Calibration.load(path)
    if calibration is not None:
        calibration.check_detector(detector.sha256)
    return calibration


def silence_rates(text: str | None, muted: bool) -> dict[str, float]:
    """Return the shares of silence that precision is referred to: 'data', 'musdb', or 'drums=0.1,vocals=0.3'.

    None: those of MUSDB18 when songs are muted, since their own silence is then artificial; else the data's own.
    """
    from remix_miner.calibration.window_table import MUSDB_SILENCE_RATES

    if text == "data" or (text is None and not muted):
        return {}
    if text in (None, "musdb"):
        return dict(MUSDB_SILENCE_RATES)
    try:
        parts = (part.partition("=") for part in text.split(","))
        return {name.strip(): float(value) for name, _, value in parts}
    except ValueError as error:
        raise UsageError(
            f"--silence-rate takes 'data', 'musdb' or a list such as drums=0.1,vocals=0.3; got {text!r}"
        ) from error


silence_rate_option = click.option(
    "--silence-rate",
    default=None,
    metavar="data|musdb|LIST",
    help="How often sources are silent in the music to be mined, e.g. drums=0.1,vocals=0.3: precision depends on it. "
    "Default: the songs' own rates, or MUSDB18's with --mute.",
)
weak_option = click.option(
    "--weak",
    cls=Several,
    metavar="CSV...",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Tables of intervals (path,source,start_seconds,end_seconds,silent), as detect --labels writes them.",
)
calibration_option = click.option(
    "--calibration",
    "calibration_path",
    default=None,
    type=click.Path(path_type=Path),
    help="Thresholds; those beside the detector if left out.",
)
