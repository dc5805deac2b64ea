"""``remix-miner review``: listen to mined excerpts, accept or reject them, and measure the purity."""

from pathlib import Path

import click

from remix_miner.commands._options.common import note, show, verb
from remix_miner.errors import UsageError


@verb(
    "Serve a page on this machine to hear the mined excerpts and accept or reject them. Decisions are in the catalogue "
    "at once; training, merging, inspection and export read them. With --audit the page plays a random sample and "
    "measures the purity of this harvest. With --around-threshold it plays stretches on both sides of a threshold, "
    "which calibrate --reviews turns into one for this library. Ends with Ctrl-C.",
    "remix-miner review mined/ --audit vocals --confidence 0.95",
)
@click.argument("mined", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--library",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The scanned folder, named as for detect, where it has moved. Gives context and probabilities. Repeatable.",
)
@click.option("--reviewer", default=None, metavar="NAME", help="Who decides; the user's name if left out.")
@click.option("--audit", default=None, metavar="SOURCE", help="Measure the purity of the excerpts without SOURCE.")
@click.option(
    "--around-threshold",
    default=None,
    metavar="SOURCE",
    help="Judge stretches on both sides of the threshold of SOURCE, for calibrate --reviews.",
)
@click.option("--at", default=None, type=float, help="Threshold to draw around; that of the scan if left out.")
@click.option("--confidence", default=0.95, show_default=True, help="Of the audit's bounds.")
@click.option("--promise", default=0.95, show_default=True, help="Purity that the audit is to show.")
@click.option(
    "--answers",
    default=None,
    type=int,
    help="Excerpts to judge. Default: the fewest that can show it; 60 around a threshold.",
)
@click.option("--controls", default=0.1, show_default=True, help="Share of hidden controls, in which SOURCE sounds.")
@click.option("--seed", default=0, show_default=True, help="Of the draw.")
@click.option("--detector", default="default", show_default=True, help="The one that the folder was mined with.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others can then connect.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="A free one if left out.")
@click.option("--open/--no-open", "open_browser", default=True, show_default=True, help="Whether to open a browser.")
def command(
    mined: Path,
    library: tuple[Path, ...],
    reviewer: str | None,
    audit: str | None,
    around_threshold: str | None,
    at: float | None,
    confidence: float,
    promise: float,
    answers: int | None,
    controls: float,
    seed: int,
    detector: str,
    host: str,
    port: int,
    open_browser: bool,
    as_json: bool,
) -> int:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError("the review page needs an extra: pip install 'remix-miner[review]'") from error
    from remix_miner.review.samples.audit import Audit, AuditSettings
    from remix_miner.review.samples.threshold_sample import ThresholdSettings
    from remix_miner.review.serve import LOCAL, ServeSettings, serve
    from remix_miner.review.session import ReviewSettings, Session

    if audit is not None and around_threshold is not None:
        raise UsageError("--audit and --around-threshold are two samples: play one after the other")
    wanted: AuditSettings | ThresholdSettings | None = None
    if audit is not None:
        wanted = AuditSettings(audit, promise, confidence, answers, controls, seed)
    elif around_threshold is not None:
        wanted = ThresholdSettings(around_threshold, at, 60 if answers is None else answers, seed)
    session = Session(ReviewSettings(mined, library, reviewer, detector, wanted))
    if not session.has_library:
        note("the library's files are not here: no context, probabilities or controls; name the folder with --library")
    if host not in (LOCAL, "localhost", "::1"):
        note(
            f"warning: {host} lets other machines connect, without encryption; whoever has the address can hear the "
            "excerpts and decide"
        )
    address = serve(
        session,
        ServeSettings(host, port, open_browser=open_browser),
        lambda address: note(f"review {mined} at {address} (Ctrl-C ends it)"),
    )
    result = None if session.sample is None else session.sample.result()
    text = f"{session.decisions} decisions in {mined}"
    is_audit = isinstance(session.sample, Audit)
    if result is not None and not is_audit:
        text += (
            f"\naround the threshold of {result['source']}: {result['draws']} of {result['planned']} answers; use them "
            f"with remix-miner calibrate {detector} --reviews {mined} --out calibration.json"
        )
    elif result is not None and result["draws"]:
        text += (
            f"\naudit without {result['source']}: {result['clean']} of {result['draws']} draws clean, purity at least "
            f"{result['lower_bound']:.1%} at {result['confidence']:.0%} confidence"
        )
    sampled = {"audit": result if is_audit else None, "around_threshold": None if is_audit else result}
    show({"address": address, "decisions": session.decisions, **sampled}, as_json, text)
    return 0
