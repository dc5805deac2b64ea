"""The honest judge: how well a detector tells silence on labelled songs, with intervals over artists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from remix_miner.calibration.labelled_songs import LabelledSong
from remix_miner.calibration.window_table import artist_numbers, windows_inside
from remix_miner.detector.calibration import VOLUME_FLOOR_DB
from remix_miner.detector.spans import silent_spans
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB, SILENT_TRAINING_DB

PROBABILITY_BINS = 512
VOLUME_STEP_DB = 0.1


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval over artists; None where it is undefined (no such windows, or a single artist)."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class SourceScore:
    """One source over one or more songs.

    ``auc``, ``auc_training``: area under the ROC curve of P for V <= -20 dB and for V <= -13 dB against the rest.
    At ``threshold``: ``precision`` and ``recall`` over windows; then over the harvested excerpts: ``seconds``,
    ``span_recall`` (seconds of truly silent spans that were harvested, as a share; ``silent_span_seconds`` is the
    whole), ``purity`` (share of seconds with V <= -20 dB), ``volume_p50_db`` and ``volume_p95_db`` (percentiles of V
    over windows that lie wholly in an excerpt; -80 stands for that or less).
    """

    songs: int
    artists: int
    windows: int
    silence_rate: float | None
    threshold: float | None
    auc: Estimate
    auc_training: Estimate
    precision: Estimate
    recall: Estimate
    seconds: float
    silent_span_seconds: float
    span_recall: Estimate
    purity: Estimate
    volume_p50_db: Estimate
    volume_p95_db: Estimate


@dataclass(frozen=True)
class _Counts:
    """What one artist contributes; every statistic of `SourceScore` is a function of sums of these over artists."""

    silent: np.ndarray  # (PROBABILITY_BINS,) windows with V <= -20 dB, by P
    sounding: np.ndarray
    silent_training: np.ndarray  # the same at -13 dB
    sounding_training: np.ndarray
    harvested_volumes: np.ndarray  # windows in excerpts, by V
    sums: np.ndarray  # accepted, accepted and silent, silent, harvested, harvested and silent, span windows, found


def score_songs(
    songs: Sequence[LabelledSong],
    thresholds: Mapping[str, float | None],
    *,
    volume_db: float = SILENT_MINING_DB,
    min_seconds: float = 5.0,
    confidence: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, SourceScore]:
    """Scores per source that the songs know. Intervals: percentile bootstrap over artists.

    Raises `DataError` when no window has a label.
    """
    scores = {}
    for source, name in enumerate(SOURCES):
        known = [song for song in songs if song.known(source).any()]
        if known:
            scores[name] = score_source(
                known, source, thresholds.get(name), volume_db, min_seconds, confidence, draws, seed
            )
    if not scores:
        raise DataError("no window has a label: every song is digital silence, or there are no songs")
    return scores


def score_source(
    songs: Sequence[LabelledSong],
    source: int,
    threshold: float | None,
    volume_db: float = SILENT_MINING_DB,
    min_seconds: float = 5.0,
    confidence: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> SourceScore:
    """Score of one source over songs that know it."""
    probabilities = np.concatenate([song.probabilities[source][song.known(source)] for song in songs])
    volumes = np.concatenate([song.volumes[source][song.known(source)] for song in songs])
    edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, PROBABILITY_BINS + 1)[1:-1]))
    seconds, span_seconds, counts = 0.0, 0.0, []
    for song in songs:
        count, harvested, silent = _count(song, source, threshold, volume_db, min_seconds, edges)
        counts.append(count)
        seconds += harvested
        span_seconds += silent
    numbers = artist_numbers(songs)
    artists = sorted(set(numbers))
    # Multiplicity of each artist in each bootstrap draw, the first draw being the data themselves.
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(artists), np.full(len(artists), 1 / len(artists)), size=draws)
    times = np.vstack([np.ones(len(artists), dtype=int), drawn])[:, np.searchsorted(artists, numbers)]

    def total(field: str) -> np.ndarray:
        sums: np.ndarray = times @ np.stack([getattr(count, field) for count in counts]).astype(float)
        return sums

    accepted, right, silent, harvested, pure, spans, found = total("sums").T

    def estimate(draws: np.ndarray, value: float | None = None) -> Estimate:
        value = float(draws[0]) if value is None else value
        if np.isnan(value):
            return Estimate(None)
        if len(artists) < 2:
            return Estimate(value)
        tail = (1 - confidence) / 2
        low, high = np.quantile(draws[np.isfinite(draws)], [tail, 1 - tail])
        return Estimate(value, float(min(low, value)), float(max(high, value)))

    histogram = total("harvested_volumes")
    at_threshold = np.nan if threshold is None else 1.0
    return SourceScore(
        songs=len({song.name for song in songs}),
        artists=len(artists),
        windows=len(probabilities),
        silence_rate=float((volumes <= volume_db).mean()),
        threshold=threshold,
        auc=estimate(_binned_auc(total("silent"), total("sounding")), auc(probabilities, volumes <= volume_db)),
        auc_training=estimate(
            _binned_auc(total("silent_training"), total("sounding_training")),
            auc(probabilities, volumes <= SILENT_TRAINING_DB),
        ),
        precision=estimate(_ratio(right, accepted)),
        recall=estimate(_ratio(right, silent) * at_threshold),
        seconds=seconds,
        silent_span_seconds=span_seconds,
        span_recall=estimate(_ratio(found, spans) * at_threshold),
        purity=estimate(_ratio(pure, harvested)),
        volume_p50_db=estimate(_histogram_quantile(histogram, 0.5)),
        volume_p95_db=estimate(_histogram_quantile(histogram, 0.95)),
    )


def auc(probabilities: Float[np.ndarray, " N"], silent: Bool[np.ndarray, " N"]) -> float:
    """Area under the ROC curve; nan where there are no silent or no sounding windows."""
    from sklearn.metrics import roc_auc_score

    if silent.all() or not silent.any():
        return float("nan")
    return float(roc_auc_score(silent, probabilities))


def _count(
    song: LabelledSong, source: int, threshold: float | None, volume_db: float, min_seconds: float, edges: np.ndarray
) -> tuple[_Counts, float, float]:
    """Counts of one song, seconds harvested, and seconds of truly silent spans."""
    known = song.known(source)
    probabilities, volumes = song.probabilities[source], song.volumes[source]
    silent = known & (volumes <= volume_db)
    limit = np.inf if threshold is None else threshold
    accepted = known & (probabilities >= limit)
    spans = silent_spans(probabilities, limit, song.seconds, min_seconds, known)
    true_spans = silent_spans(silent.astype(np.float32), 0.5, song.seconds, min_seconds)
    harvested = windows_inside(spans, len(known), song.seconds) & known
    truth = windows_inside(true_spans, len(known), song.seconds)

    def by_probability(mask: np.ndarray) -> np.ndarray:
        return np.bincount(np.searchsorted(edges, probabilities[mask], side="right"), minlength=len(edges) + 1)

    training = known & (volumes <= SILENT_TRAINING_DB)
    steps = round(-VOLUME_FLOOR_DB / VOLUME_STEP_DB)
    volume_steps = np.ceil((np.clip(volumes[harvested], VOLUME_FLOOR_DB, 0) - VOLUME_FLOOR_DB) / VOLUME_STEP_DB)
    counts = _Counts(
        silent=by_probability(silent),
        sounding=by_probability(known & ~silent),
        silent_training=by_probability(training),
        sounding_training=by_probability(known & ~training),
        harvested_volumes=np.bincount(volume_steps.astype(int), minlength=steps + 1),
        sums=np.array(
            [
                accepted.sum(),
                (accepted & silent).sum(),
                silent.sum(),
                harvested.sum(),
                (harvested & silent).sum(),
                truth.sum(),
                (truth & harvested).sum(),
            ]
        ),
    )
    return counts, sum(span.seconds for span in spans), sum(span.seconds for span in true_spans)


def _binned_auc(silent: Float[np.ndarray, "D B"], sounding: Float[np.ndarray, "D B"]) -> Float[np.ndarray, " D"]:
    """AUC from histograms over ascending P; windows in one bin count as ties."""
    below = np.cumsum(sounding, axis=1) - sounding
    wins = (silent * (below + 0.5 * sounding)).sum(1)
    return _ratio(wins, silent.sum(1) * sounding.sum(1))


def _histogram_quantile(histogram: Float[np.ndarray, "D B"], quantile: float) -> Float[np.ndarray, " D"]:
    """Quantile of V in dB, to VOLUME_STEP_DB; nan for empty histograms."""
    cumulative = np.cumsum(histogram, axis=1)
    position = (cumulative < quantile * cumulative[:, -1:] * (1 - 1e-12)).sum(1)
    return np.where(cumulative[:, -1] > 0, VOLUME_FLOOR_DB + position * VOLUME_STEP_DB, np.nan)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio
