"""Summary of a calibration in a few lines of text."""

from collections.abc import Sequence

from remix_miner.calibration.promise.support import Support
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.detector.calibration import Calibration, SourceCalibration
from remix_miner.detector.left_out import LeftOut


def summary(calibration: Calibration) -> str:
    """Return the thresholds of a calibration with their statistics, as a few lines of text for each source."""
    songs, artists = len(calibration.data["tracks"]), len(calibration.data["artists"])
    lines = [f"{songs} songs by {artists} artists"]
    if "prior_artists" in calibration.data:
        lines[0] += (
            f"; {len(calibration.data['prior_artists'])} artists of the detector's own calibration count too "
            f"(confidence {calibration.settings['confidence']:.0%}, worst artist "
            f"{calibration.settings['worst_artist']:.0%})"
        )
    for source, fitted in calibration.sources.items():
        lines += _lines(f"{source:7}", fitted)
    for source, joint in calibration.fused.items():
        lines += _lines(f"{source:7} with {joint.fusion.evidence}:", joint.calibration)
    return "\n".join(lines)


def _lines(name: str, fitted: SourceCalibration) -> list[str]:
    row = fitted.left_out_at(fitted.precision_target)
    found = "" if row is None or fitted.threshold is None else left_out_text(row)
    return [f"{name} {_line(fitted)}", *([f"{'':7} {found}"] if found else [])]


def left_out_text(row: LeftOut) -> str:
    """Return the harvest of left-out artists in one line; empty without a harvest."""
    if row.purity is None or row.unweighted_purity is None:
        return ""
    own = "" if row.unweighted_purity == row.purity else f" ({row.unweighted_purity:.1%} at their own silence rate)"
    text = (
        f"on artists left out of the choice: {row.purity:.1%} pure{own}, finds {row.finds}, "
        f"p = {row.lowest_threshold:.4f} to {row.highest_threshold:.4f}"
    )
    if row.without_threshold:
        text += f", none for {row.without_threshold} of {row.artists} artists"
    worst = ", ".join(f"{one.artist} {one.purity:.0%} of {one.seconds:.0f} s" for one in row.below_floor)
    return text + (f"; below the artist floor: {worst}" if worst else "")


def _line(fitted: SourceCalibration) -> str:
    if fitted.threshold is None or fitted.recall is None:
        return f"no threshold: {fitted.reason}"
    sure = f" (at least {fitted.precision_lower_bound:.1%})" if fitted.precision_lower_bound is not None else ""
    sure = sure or (
        f" ({fitted.held_out_precision:.1%} on artists left out)" if fitted.held_out_precision is not None else ""
    )
    if fitted.precision is None or fitted.spans is None:
        return f"p = {fitted.threshold:.4f}{sure}  none of these songs has a window there"
    before, after = fitted.spans.before.p95, fitted.spans.after.p95
    effect = f"spans of {fitted.spans.min_seconds:g} s keep {fitted.spans.kept:.0%}"
    if before is not None and after is not None:
        effect += f", 95th percentile {before:.0f} -> {after:.0f} dB"
    return f"p = {fitted.threshold:.4f}  precision {fitted.precision:.1%}{sure}  recall {fitted.recall:.0%}  {effect}"


def support_table(rows: Sequence[Support], settings: CalibrationSettings) -> str:
    """Return the thresholds that the songs support at each confidence, and the next steps."""
    sources = list(rows[0].thresholds)
    targets = f"{settings.precision:.0%}"
    if settings.precisions:
        targets = ", ".join(f"{source} {settings.of_source(source).precision:.0%}" for source in sources)
    lines = [
        f"thresholds that these songs support for {targets} of the harvested seconds (or the highest promise):",
        f"  {'confidence':>10} {'worst artist':>12}  " + " ".join(f"{source:>9}" for source in sources),
    ]
    for row in rows:
        cells = (
            f"{threshold:9.4f}"
            if (threshold := row.thresholds[source]) is not None
            else f"({row.highest[source]:7.1%})"
            for source in sources
        )
        lines.append(f"  {row.confidence:10.0%} {row.worst_artist:12.0%}  " + " ".join(cells))
    return "\n".join(
        [
            *lines,
            "next, one of:",
            "- Take a row of the table with --confidence and --worst-artist, or less with --precision.",
            "- Add songs by other artists with --stems: each new artist raises every promise.",
        ]
    )
