"""``remix-miner models``: detectors and separators, their sizes and licences, and where weights come from."""

import inspect
from typing import Any

from remix_miner.commands._options.common import first_sentence, paragraph, show, verb

LICENCE = "MIT (this project's)"
LICENCES = {
    "default": "MIT; its training material has licences of its own, see detector/pretrained/default.md",
    "hdemucs": "BSD-2-Clause (torchaudio's)",
    "htdemucs": "MIT (demucs')",
    "bs_roformer": "MIT (bs-roformer's)",
    "mel_band_roformer": "MIT (bs-roformer's)",
}
"""Where code or weights are not under this project's licence alone."""


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
    """Return the detectors that come with the package, ready to scan."""
    from remix_miner.detector.description import PRETRAINED
    from remix_miner.detector.loading import load_detector

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
    """Return the networks that train-detector can train: ``--set network.network=NAME``."""
    import torch

    from remix_miner.detector.networks import NETWORKS, SilentSourceDetector

    rows = []
    for name in NETWORKS:
        with torch.device("meta"):
            model = SilentSourceDetector(network=name)  # type: ignore[arg-type]
        rows.append({"name": name, "parameters": _parameters(model)})
    return rows


def _separators() -> list[dict[str, Any]]:
    """Return the separators that train can train, with parameters at default settings, counted without weights."""
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
                "what": _subject(module),
                "parameters": _parameters(model),
                "sample_rate": model.sample_rate,
                "segment_seconds": round(model.segment_seconds, 2),
                "sources": list(model.sources),
            }
        except (RemixMinerError, ImportError) as error:
            row["needs"] = str(error)
        rows.append(row)
    return rows


def _published() -> list[dict[str, Any]]:
    """Return the models whose weights others publish: built-in names of separate, evaluate and ensembles."""
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


def _parameters(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _subject(docstring: str) -> str:
    """Return the first sentence of a module's first line, without markup."""
    return first_sentence(docstring.partition("\n")[0]).replace("`", "")


def _text(document: dict[str, Any]) -> str:
    lines = ["Detectors (DETECTOR of detect, calibrate, score-detector, plot-track, yield)"]
    for row in document["detectors"]:
        lines.append(_entry(row["name"], f"{row['what']}; {_millions(row['parameters'])}, {row['megabytes']} MB"))
        lines.append(_entry("", f"weights: {row['weights']}; licence: {row['licence']}"))
    lines += ["", "Published separators (MODEL of separate, evaluate, ensemble; --download fetches the weights)"]
    for row in document["published"]:
        lines.append(_entry(row["name"], f"{row['what']}; estimates {', '.join(row['sources'])}"))
        lines.append(_entry("", f"licence: {row['licence']}"))
        lines += [_entry("", place) for place in row["weights"].split(", ")]
    lines += ["", "Separators to train (separator.name in a recipe of train)"]
    for row in document["separators"]:
        if "needs" in row:
            lines.append(_entry(row["name"], row["needs"]))
            continue
        lines.append(_entry(row["name"], row["what"]))
        detail = f"{row['sample_rate']} Hz, segments of {row['segment_seconds']:g} s; licence: {row['licence']}"
        lines.append(_entry("", f"{_millions(row['parameters'])}, {detail}"))
    lines += ["", "Networks to train as detectors (--set network.network=NAME of train-detector)"]
    lines += [_entry(row["name"], _millions(row["parameters"])) for row in document["detector_networks"]]
    lines += ["", "Settings to train them with: remix-miner recipes"]
    return "\n".join(lines)


def _entry(name: str, text: str) -> str:
    return paragraph(name, text, 18)


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:.1f} M parameters"
