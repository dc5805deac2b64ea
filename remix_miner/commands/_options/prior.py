"""Option ``--prior`` of `calibrate`: the artists of the detector's own calibration as further artists."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from remix_miner.errors import UsageError

if TYPE_CHECKING:
    from remix_miner.calibration.settings import CalibrationSettings
    from remix_miner.calibration.songs.labelled import LabelledSong
    from remix_miner.detector.artist_counts import ArtistCounts
    from remix_miner.detector.calibration import Calibration
    from remix_miner.detector.loading import LoadedDetector

prior_option = click.option(
    "--prior/--no-prior",
    "use_prior",
    default=None,
    help="Count the artists of the detector's own calibration as further artists, with its --confidence, "
    "--worst-artist and --artist-floor where these are not given. Default: where the songs have fewer artists than the "
    "bound needs.",
)


def prior_calibration(
    detector: "LoadedDetector",
    songs: "Sequence[LabelledSong]",
    settings: "CalibrationSettings",
    wanted: bool | None,
) -> "Calibration | None":
    """Return the detector's own calibration where its artists count, else None.

    Raises `UsageError` where ``wanted`` is True and there is no calibration with counts for these settings.
    """
    own = detector.calibration
    problem = None
    if settings.bound != "harvest":
        problem = f"the bound {settings.bound!r} does not use it"
    elif own is None:
        problem = f"{detector.name!r} has no calibration"
    elif not counts_of(own):
        problem = f"the calibration of {detector.name!r} has no counts of its artists"
    elif any(own.settings.get(name) != getattr(settings, name) for name in ("volume_db", "min_seconds")):
        problem = f"the calibration of {detector.name!r} was made with another --volume-db or --min-seconds"
    if wanted and problem is not None:
        raise UsageError(f"--prior cannot be used: {problem}")
    if problem is not None or wanted is False:
        return None
    artists = {song.artist for song in songs if not song.trained_on}
    return own if wanted or len(artists) < settings.artists_needed() else None


def settings_of_prior(settings: "CalibrationSettings", prior: "Calibration") -> "CalibrationSettings":
    """Return ``settings`` with the confidence, worst artist and artist floor of ``prior`` where none was given."""
    source_of = click.get_current_context().get_parameter_source
    names = [
        name
        for name in ("confidence", "worst_artist", "artist_floor")
        if source_of(name) is click.core.ParameterSource.DEFAULT and name in prior.settings
    ]
    return dataclasses.replace(settings, **{name: prior.settings[name] for name in names})


def counts_of(prior: "Calibration | None") -> "dict[str, ArtistCounts]":
    """Return the counts of each source that has them."""
    from remix_miner.calibration.fit import prior_counts

    if prior is None:
        return {}
    counts = {source: prior_counts(fitted) for source, fitted in prior.sources.items()}
    return {source: known for source, known in counts.items() if known is not None}


def artists_of_prior(prior: "Calibration", songs: "Sequence[LabelledSong]") -> list[str]:
    """Return the artists that ``prior`` adds: not among ``songs``, with a song that did not train the detector."""
    names = {
        artist
        for harvest in counts_of(prior).values()
        for artist, trained_on in zip(harvest.artists, harvest.trained_on, strict=True)
        if not trained_on
    }
    return sorted(names - {song.artist for song in songs})
