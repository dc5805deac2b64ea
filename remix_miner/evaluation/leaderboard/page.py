"""Leaderboard page: one HTML file that opens from disk, with everything inline and nothing from the network."""

import datetime
import json
from pathlib import Path
from typing import Any

from remix_miner.atomic import write_text
from remix_miner.evaluation.leaderboard.board import Leaderboard, Row
from remix_miner.evaluation.leaderboard.players import players
from remix_miner.evaluation.leaderboard.published import PublishedRow, papers_without_rows, published_rows
from remix_miner.evaluation.metrics.aggregates import AGGREGATES, headline
from remix_miner.evaluation.tables import NAMES, exclusions

HERE = Path(__file__).parent

FRAMEWISE = "of BSSEval v4, frames of 1 s; the median over a track's frames."
DEFINITIONS = {
    "usdr": "uSDR, the global SDR of the MDX and SDX challenges and of MVSep: 10 log10 of signal energy over error "
    "energy, channels and the whole track together.",
    "csdr": f"cSDR, the SDR of SiSEC 2018 as museval computes it: SDR {FRAMEWISE}",
    "si_sdr": "SI-SDR: SDR after the best single gain for the whole track.",
    "isr": f"ISR, image to spatial distortion ratio {FRAMEWISE}",
    "sir": f"SIR, source to interference ratio {FRAMEWISE}",
    "sar": f"SAR, source to artefacts ratio {FRAMEWISE}",
    "sdr_simple": "The simple SDR of Défossez et al. 2019, eq. (2), invariant to scale; neither cSDR nor uSDR.",
}
METRIC_NAMES = {**NAMES, "sdr_simple": "simple SDR"}
MEAN_OF_SOURCES = "'average' is the mean of the sources"
AGGREGATE_TEXTS = {
    "mean_over_tracks": f"Columns are means over tracks; {MEAN_OF_SOURCES}.",
    "median_over_tracks": f"Columns are medians over tracks; {MEAN_OF_SOURCES}, 'all pooled' the median of all scores.",
    "median_of_medians": f"Columns are medians over tracks; {MEAN_OF_SOURCES}' medians, 'all pooled' the median of the "
    "track scores of all sources together.",
    "mean_of_medians": f"Columns are means over tracks; {MEAN_OF_SOURCES}.",
    "mean_of_means": f"Columns are means over tracks of the means over frames; {MEAN_OF_SOURCES}.",
    "mean": "Averages as the paper reports them.",
    "not_stated": f"How the paper averages frames and songs is not stated; {MEAN_OF_SOURCES}.",
}


def write_page(board: Leaderboard, out: str | Path, *, copy_audio_seconds: float | None = None) -> Path:
    """Write the page of a board with the published rows. Return its path.

    Where a row's estimates are kept, each track has players: linked where the files lie, or, with
    ``copy_audio_seconds``, copied as Ogg Vorbis of at most that length into ``<page>_audio`` beside the page, so that
    the two can be moved together.
    """
    out = Path(out)
    rows = [_measured(row, out, copy_audio_seconds) for row in board.rows()]
    rows += [_published(row, index) for index, row in enumerate(published_rows())]
    document = {
        "title": board.title,
        "written": datetime.date.today().isoformat(),
        "rows": rows,
        "metrics": [
            {"key": key, "name": METRIC_NAMES[key], "definition": text, "headline": _headline(key)}
            for key, text in DEFINITIONS.items()
        ],
        "aggregates": AGGREGATE_TEXTS,
        "unscored_papers": papers_without_rows(),
    }
    page = (HERE / "page.html").read_text(encoding="utf-8")
    for name, text in (
        ("title", _escaped(board.title)),
        ("css", (HERE / "page.css").read_text(encoding="utf-8")),
        ("js", (HERE / "page.js").read_text(encoding="utf-8")),
        # '<' inside JSON strings can be written as an escape, so no text can close the script element.
        ("data", json.dumps(document, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")),
    ):
        page = page.replace(f"@{name}@", text, 1)
    write_text(out, page)
    return out


def _measured(row: Row, out: Path, copy_seconds: float | None) -> dict[str, Any]:
    result, document = row.result, row.document
    corpus, cost, inference = result.corpus, result.cost, dict(result.inference or {})
    model = result.model or {}
    rates = ", ".join(f"{rate} Hz" for rate in corpus["sample_rates"])
    settings = ", ".join(f"{name} {value}" for name, value in (model.get("settings") or {}).items())
    return {
        "id": row.id,
        "kind": "measured",
        "system": result.name,
        "line": _one_line(result.inference, model),
        "corpus": corpus["name"],
        "corpus_key": f"{corpus['name']}/{corpus['fingerprint']}",
        "corpus_text": f"{corpus['tracks']} tracks, {corpus['seconds'] / 60:.0f} min, {rates}",
        "scores": document["aggregates"],
        "cost": cost,
        "facts": [
            ["model", model.get("identity") or "finished estimates"],
            ["constructor settings", settings],
            [
                "compute",
                f"{cost['compute_seconds_per_audio_second']:.3f} s per s of audio on {cost['device']}" if cost else "",
            ],
            ["peak memory", f"{cost['peak_memory_mib']:.0f} MiB" if cost else ""],
            ["scored", result.created[:10]],
            ["added", row.added[:10]],
            ["versions", ", ".join(f"{name} {value}" for name, value in result.versions.items())],
        ],
        "inference": [[name.replace("_", " "), _setting(value)] for name, value in inference.items()],
        "excluded": [line for line in exclusions(result).splitlines() if line],
        "tracks": result.tracks,
        "audio": players(row, out, copy_seconds),
    }


def _published(row: PublishedRow, index: int) -> dict[str, Any]:
    authors, _, rest = row.paper.partition(":")
    surname = authors.split(",")[0].split()[-1]
    others = " et al." if "," in authors else ""
    return {
        "id": f"published-{index}",
        "kind": "published",
        "system": row.system,
        "corpus": row.corpus,
        "corpus_key": row.corpus,
        "scores": {
            row.metric: {
                row.aggregate: {
                    column: {
                        "value": value,
                        "deviation": row.deviations.get(column),
                        "computed": column == "average" and row.average_is_computed,
                    }
                    for column, value in row.figures.items()
                }
            }
        },
        "paper": row.paper,
        "paper_short": f"{surname}{others} {_year(rest)}".strip(),
        "table": row.table,
        "variant": row.variant,
        "training": row.training,
        "other": dict(row.other),
    }


def _one_line(inference: dict[str, Any] | None, model: dict[str, Any]) -> str:
    if inference is None:
        return str(model.get("identity") or "finished estimates")
    extras = [name for name in ("polarity", "consistency") if inference.get(name)]
    shifts = [f"{inference['shifts']} shifts"] if inference.get("shifts") else []
    parts = [f"{inference['segment_seconds']:g} s segments", f"overlap {inference['overlap']:g}", *shifts, *extras]
    return ", ".join(parts)


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "none"
    return str(value).lower()


def _headline(metric: str) -> str:
    return headline(metric).name if any(each.metric == metric for each in AGGREGATES) else "mean"


def _year(text: str) -> str:
    return text.rpartition("(")[2].rstrip(")") if text.endswith(")") and text.rpartition("(")[2][:-1].isdigit() else ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
