"""``remix-miner models``: detectors and separators, their sizes and licences, and where weights come from."""

import inspect
from pathlib import Path
from typing import Any

from remix_miner.commands._options.common import paragraph, show, verb

LICENCE = "MIT (this project's)"
LICENCES = {
    "default": "MIT; its training material has licences of its own, see detector/pretrained/default.md",
    "hdemucs": "network: BSD-2-Clause (torchaudio); published weights: none stated by torchaudio; the repository that "
    "they come from, facebookresearch/demucs, is MIT",
}
"""Where code or weights are not under this project's licence alone."""
LICENCES |= {
    "htdemucs": "network: MIT (demucs)",
    "bs_roformer": "network: MIT (bs-roformer)",
    "mel_band_roformer": "network: MIT (bs-roformer)",
}


@verb(
    "List the detectors and separators that DETECTOR, MODEL and recipes can name: parameters, what each needs, "
    "licence, and where the weights come from.",
    "remix-miner models",
)
def command(as_json: bool) -> None:
    document = {
        "detectors": _detectors(),
        "detector_networks": _networks(),
        "separators": _separators(),
        "published": _published(),
    }
    show(document, as_json, _text(document))


def _detectors() -> list[dict[str, Any]]:
    """Detectors that come with the package, ready to scan."""
    from remix_miner.detector.loading import PRETRAINED, load_detector

    rows = []
    for file in sorted(PRETRAINED.glob("*.safetensors")):
        loaded = load_detector(file.stem)
        calibration = loaded.calibration
        sources = [] if calibration is None else [name for name in calibration.sources if calibration.threshold(name)]
        rows.append(
            {
                "name": file.stem,
                "what": f"network {loaded.description['settings']['network']}; mines {', '.join(sources) or 'nothing'}",
                "parameters": _parameters(loaded.model),
                "megabytes": round(file.stat().st_size / 1e6, 1),
                "weights": "in the package",
                "licence": LICENCES.get(file.stem, LICENCE),
            }
        )
    return rows


def _networks() -> list[dict[str, Any]]:
    """Networks that train-detector can train: ``--set network.network=NAME``."""
    import torch

    from remix_miner.detector.networks import NETWORKS, SilentSourceDetector

    rows = []
    for name in NETWORKS:
        with torch.device("meta"):
            model = SilentSourceDetector(network=name)  # type: ignore[arg-type]
        rows.append({"name": name, "parameters": _parameters(model)})
    return rows


def _separators() -> list[dict[str, Any]]:
    """Separators that train can train; parameters at their default settings, counted without making weights."""
    import torch

    from remix_miner.errors import RemixMinerError
    from remix_miner.separators import SEPARATORS, build, separator_class

    rows = []
    for name in SEPARATORS:
        row: dict[str, Any] = {"name": name, "licence": LICENCES.get(name, LICENCE), "weights": "your own training"}
        try:
            with torch.device("meta"):
                model = build(name)
            module = inspect.getdoc(inspect.getmodule(separator_class(name))) or ""
            row |= {
                "what": module.partition("\n")[0].rstrip("."),
                "parameters": _parameters(model),
                "sample_rate": model.sample_rate,
                "segment_seconds": round(model.segment_seconds, 2),
                "sources": list(model.sources),
            }
        except (RemixMinerError, ImportError) as error:
            row["needs"] = str(error)
        if name == "hdemucs":
            row["weights"] = _published_hdemucs()
        rows.append(row)
    return rows


def _published() -> list[dict[str, Any]]:
    """Models whose weights others publish: built-in names of separate, evaluate and ensembles."""
    from remix_miner.separators.external.published import PUBLISHED

    return [
        {
            "name": model.name,
            "what": model.what,
            "sources": list(model.sources),
            "weights": f"here: {model.places[0]}" if not model.missing else f"download {', '.join(model.urls)}",
            "licence": model.licence,
        }
        for model in PUBLISHED
    ]


def _published_hdemucs() -> str:
    """Where the published weights of Hybrid Demucs lie, or where to put them."""
    from remix_miner.separators.hdemucs import PUBLISHED_URL, download_places

    places: list[Path] = download_places()
    found = next((place for place in places if place.is_file()), None)
    return f"published, here: {found}" if found else f"published: download {PUBLISHED_URL} to {places[0]}"


def _parameters(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _text(document: dict[str, Any]) -> str:
    lines = ["Detectors (DETECTOR of detect, calibrate, score-detector, plot-track, yield)"]
    for row in document["detectors"]:
        lines.append(paragraph(row["name"], f"{_millions(row['parameters'])}; {row['what']}"))
        lines.append(paragraph("", f"{row['megabytes']} MB, {row['weights']}; licence: {row['licence']}"))
    lines += ["", "Networks of train-detector (--set network.network=NAME)"]
    lines += [paragraph(row["name"], _millions(row["parameters"])) for row in document["detector_networks"]]
    lines += ["", "Separators (separator.name in a recipe of train; MODEL of separate and evaluate once trained)"]
    for row in document["separators"]:
        if "needs" in row:
            lines.append(paragraph(row["name"], row["needs"]))
            continue
        lines.append(paragraph(row["name"], f"{_millions(row['parameters'])}; {row['what']}"))
        detail = f"{row['sample_rate']} Hz, segments of {row['segment_seconds']:g} s; licence: {row['licence']}"
        lines.append(paragraph("", detail))
        lines.append(paragraph("", f"weights: {row['weights']}"))
    lines += ["", "Published models (MODEL of separate --download and evaluate)"]
    for row in document["published"]:
        lines.append(paragraph(row["name"], f"{row['what']}: {', '.join(row['sources'])}"))
        lines.append(paragraph("", f"weights: {row['weights']}; licence: {row['licence']}"))
    lines += ["", "Recipes: remix-miner recipes"]
    return "\n".join(lines)


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:.1f} M parameters"
