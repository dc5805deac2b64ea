"""Published weights of other projects: addresses, local files, and loading.

Weights are downloaded only on request (``separate --download``). Checkpoints of Demucs are pickles of a class, its
arguments and its weights. They are read by torch's restricted unpickler, which creates only these.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from remix_miner.errors import DataError, UsageError
from remix_miner.paths import display_name

DEMUCS_URL = "https://dl.fbaipublicfiles.com/demucs/hybrid_transformer/"
UVR_URL = "https://github.com/TRvlvr/model_repo/releases/download/all_public_uvr_models/"
TORCHAUDIO_URL = "https://download.pytorch.org/torchaudio/models/"
DEMUCS_CODE = "MIT (code of facebookresearch/demucs; no separate licence of the weights is stated)"
UVR_CODE = "MIT (code of Ultimate Vocal Remover; no separate licence of the weights is stated)"


@dataclass(frozen=True)
class PublishedModel:
    """A model whose weights another project publishes.

    ``urls``: its files. ``load``: makes a separator of local copies. ``sources``: what it separates, in order.
    """

    name: str
    what: str
    urls: tuple[str, ...]
    sources: tuple[str, ...]
    licence: str
    load: Callable[[Sequence[Path]], Any]

    @property
    def places(self) -> list[Path]:
        """Return the local places of the files, in torch's folder for downloads or torchaudio's."""
        return [_local_copy(url.rpartition("/")[2]) for url in self.urls]

    @property
    def missing(self) -> list[tuple[str, Path]]:
        """Return the missing files as (address, place)."""
        return [(url, place) for url, place in zip(self.urls, self.places, strict=True) if not place.is_file()]

    def explain(self) -> str:
        """Return a message with the missing files, their addresses, and how to name a local copy."""
        pairs = "; ".join(f"{url} to {display_name(place)}" for url, place in self.missing)
        return (
            f"the published weights of {self.name} are not here: download {pairs} (or pass --download), or pass the "
            "path of a copy"
        )


def _local_copy(name: str) -> Path:
    """Return the path of a downloaded file; where there is none, the path that a download gets."""
    hub = Path(torch.hub.get_dir())
    places = [hub / "checkpoints" / name, hub / "torchaudio" / "models" / name]
    return next((place for place in places if place.is_file()), places[0])


def published_model(name: str) -> PublishedModel | None:
    """Return the entry of a built-in name; None for other names."""
    return next((model for model in PUBLISHED if model.name == name), None)


def load_published(name: str, download: bool = False) -> Any:
    """Return the separator of a built-in name. Raises `DataError` where its weights are not here."""
    model = published_model(name)
    if model is None:
        raise UsageError(f"no published model {name!r}; there are {', '.join(each.name for each in PUBLISHED)}")
    if model.missing and download:
        for url, place in model.missing:
            _download(url, place)
    if model.missing:
        raise DataError(model.explain())
    return model.load(model.places)


def _download(url: str, place: Path) -> None:
    """Fetch a file whole; the digits after the hyphen of a Demucs file name are its checksum."""
    place.parent.mkdir(parents=True, exist_ok=True)
    checksum = place.stem.partition("-")[2] if place.suffix == ".th" else None
    try:
        torch.hub.download_url_to_file(url, str(place), hash_prefix=checksum, progress=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{url} cannot be downloaded: {error}; put a copy at {display_name(place)}") from error


def load_demucs_file(path: Path) -> Any:
    """Return the separator in a ``.th`` file of the demucs package (HTDemucs or Hybrid Demucs).

    Raises `UsageError` without the package, `DataError` for another file.
    """
    from remix_miner.separators.external.module import ModuleSeparator

    try:
        from demucs.demucs import Demucs
        from demucs.hdemucs import HDemucs
        from demucs.htdemucs import HTDemucs
    except ImportError as error:
        raise UsageError("models of Demucs need an extra: pip install 'remix-miner[demucs]'") from error
    kinds = (Demucs, HDemucs, HTDemucs)
    try:
        with torch.serialization.safe_globals([*kinds, Fraction]):
            package = torch.load(path, map_location="cpu", weights_only=True)
        kind, arguments = package["klass"], dict(package["kwargs"])
        if kind not in kinds:
            raise TypeError(f"it holds a {kind}")
        network = kind(*package["args"], **arguments)
        state = {
            name: value.float() if value.is_floating_point() else value for name, value in package["state"].items()
        }
        network.load_state_dict(state)
    except Exception as error:  # torch.load raises many kinds for a file that is not its own
        raise DataError(f"{display_name(path)} is not a checkpoint of demucs: {str(error)[:300]}") from error
    seconds = float(network.segment)
    model = ModuleSeparator(
        network, network.sources, network.audio_channels, network.samplerate, seconds, least_frames=4096
    )
    model.name = path.stem
    model.settings = {name: value for name, value in arguments.items() if isinstance(value, int | float | str | list)}
    return model.eval()


def _load_bag(paths: Sequence[Path]) -> Any:
    """Return a bag with one model per source (htdemucs_ft): the k-th model estimates the k-th source."""
    from remix_miner.separators.external.bag import Bag

    return Bag([load_demucs_file(path) for path in paths])


def _load_demucs(paths: Sequence[Path]) -> Any:
    return load_demucs_file(paths[0])


def _load_torchaudio(paths: Sequence[Path]) -> Any:
    from remix_miner.separators.hdemucs import load_published as load_hdemucs

    return load_hdemucs(paths[0])


def _load_uvr(source: str) -> Callable[[Sequence[Path]], Any]:
    def load(paths: Sequence[Path]) -> Any:
        from remix_miner.separators.external.onnx_model import load_onnx

        return load_onnx(paths[0], {"sources": [source]})

    return load


FOUR = ("drums", "bass", "other", "vocals")
SIX = (*FOUR, "guitar", "piano")
PUBLISHED = (
    PublishedModel(
        "hdemucs",
        "Hybrid Demucs, as torchaudio publishes it: trained on MUSDB18-HQ and 150 further songs",
        (f"{TORCHAUDIO_URL}hdemucs_high_trained.pt",),
        FOUR,
        "none stated by torchaudio; facebookresearch/demucs, where the weights come from, is MIT",
        _load_torchaudio,
    ),
    PublishedModel(
        "htdemucs",
        "Hybrid Transformer Demucs",
        (f"{DEMUCS_URL}955717e8-8726e21a.th",),
        FOUR,
        DEMUCS_CODE,
        _load_demucs,
    ),
    PublishedModel(
        "htdemucs_ft",
        "Hybrid Transformer Demucs, fine-tuned, one model per source",
        tuple(
            f"{DEMUCS_URL}{name}.th"
            for name in ("f7e0c4bc-ba3fe64a", "d12395a8-e57c48e6", "92cfc3b6-ef3bcb9c", "04573f0d-f3cf25b2")
        ),
        FOUR,
        DEMUCS_CODE,
        _load_bag,
    ),
    PublishedModel(
        "htdemucs_6s",
        "Hybrid Transformer Demucs with guitar and piano",
        (f"{DEMUCS_URL}5c90dfd2-34c22ccb.th",),
        SIX,
        DEMUCS_CODE,
        _load_demucs,
    ),
    PublishedModel(
        "hdemucs_mmi",
        "Hybrid Demucs, trained on MUSDB18-HQ and 800 songs",
        (f"{DEMUCS_URL}75fc33f5-1941ce65.th",),
        FOUR,
        DEMUCS_CODE,
        _load_demucs,
    ),
    PublishedModel(
        "kim_vocal_2",
        "MDX-Net of Kimberley Jensen for vocals",
        (f"{UVR_URL}Kim_Vocal_2.onnx",),
        ("vocals",),
        UVR_CODE,
        _load_uvr("vocals"),
    ),
    PublishedModel(
        "kim_inst",
        "MDX-Net of Kimberley Jensen for everything but the vocals",
        (f"{UVR_URL}Kim_Inst.onnx",),
        ("other",),
        UVR_CODE,
        _load_uvr("other"),
    ),
)
