"""Separators in ONNX files, by onnxruntime (extra ``onnx``): the UVR family of MDX-Nets, and exports of this project.

A UVR model maps the spectrogram of one source's mixture to that source's: (batch, 2 C, bins, columns) with a fixed
number of columns; real and imaginary parts of each channel in turn. An export of this project maps waveforms and states
its sources, rate and lengths in the file. Both separate; neither can be trained.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from remix_miner.errors import DataError, UsageError
from remix_miner.paths import display_name
from remix_miner.separators.base import Separator, centre_fit
from remix_miner.separators.spectrogram import Spectrogram

UVR_N_FFT = {2048: 6144, 3072: 7680}
"""Transform size by number of bins, as the public models have them."""
UVR_HOP = 1024
UVR_SOURCES = ("vocals",)


class OnnxSeparator(Separator):
    """An ONNX session behind our interface; mixtures have one fixed length, `frames`."""

    def __init__(
        self, session: Any, sources: Sequence[str], audio_channels: int, sample_rate: int, frames: int, kept: int
    ) -> None:
        super().__init__(sources, audio_channels, sample_rate, kept / sample_rate, normalize=False)
        self.session = session
        self.frames, self.kept = frames, kept
        self.input_name: str = session.get_inputs()[0].name

    def valid_length(self, frames: int) -> int:
        """Return the fixed length of mixtures. Raises `UsageError` for more frames than its estimates have."""
        if frames > self.kept:
            raise UsageError(
                f"this ONNX model takes segments of at most {self.kept / self.sample_rate:.3f} s, got "
                f"{frames / self.sample_rate:.3f} s; leave --segment-seconds out"
            )
        return self.frames

    def run(self, values: Tensor) -> Tensor:
        """Return the first output of the session; item by item where its batch is fixed."""
        fixed = self.session.get_inputs()[0].shape[0]
        parts = values.float().cpu().split(fixed if isinstance(fixed, int) else len(values))  # type: ignore[no-untyped-call]
        outputs = [self.session.run(None, {self.input_name: part.numpy()})[0] for part in parts]
        return torch.cat([torch.from_numpy(output) for output in outputs]).to(values.device)

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C V"]:
        """Run the session on waveforms."""
        estimates = self.run(mixture)
        return centre_fit(estimates, mixture.shape[-1])


class UvrMdxNet(OnnxSeparator):
    """A spectrogram model of the UVR family. ``compensation``: gain on its output, 1 unless its authors state one."""

    def __init__(self, session: Any, settings: Mapping[str, Any]) -> None:
        _, channels, bins, columns = session.get_inputs()[0].shape
        known = {"sources", "sample_rate", "n_fft", "hop_frames", "compensation"}
        if unknown := set(settings) - known:
            raise UsageError(f"an ONNX model has no setting {', '.join(sorted(unknown))}; it has {', '.join(known)}")
        if not all(isinstance(size, int) for size in (channels, bins, columns)) or channels % 2:
            raise DataError(f"the input of the ONNX model is {session.get_inputs()[0].shape}, not (batch, 2 C, F, N)")
        n_fft = settings.get("n_fft") or UVR_N_FFT.get(bins)
        if n_fft is None:
            raise UsageError(f"a transform size is needed for {bins} bins; state n_fft in a .toml beside the model")
        hop = settings.get("hop_frames", UVR_HOP)
        frames = hop * (columns - 1)
        super().__init__(
            session,
            settings.get("sources", UVR_SOURCES),
            channels // 2,
            settings.get("sample_rate", 44100),
            frames,
            frames - n_fft,  # half a window at each end is context
        )
        if self.kept <= 0:
            raise UsageError(f"{columns} columns of {hop} frames are no longer than the window of {n_fft}")
        self.compensation = float(settings.get("compensation", 1.0))
        self.spectrogram = Spectrogram(n_fft, hop, bins)

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C V"]:
        """Transform, run the session, transform back."""
        spectra = self.run(self.spectrogram(mixture))
        return self.compensation * self.by_source(self.spectrogram.inverse(spectra))


def load_onnx(path: Path, settings: Mapping[str, Any] | None = None) -> OnnxSeparator:
    """Load an ONNX model; ``settings`` for UVR models: sources, sample_rate, n_fft, hop_frames, compensation.

    Raises `DataError` where the file cannot be read, `UsageError` where onnxruntime is not installed or a setting is
    missing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError("ONNX models need an extra: pip install 'remix-miner[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=onnxruntime.get_available_providers())
    except Exception as error:  # onnxruntime raises kinds of its own, without a common base
        raise DataError(f"{display_name(path)} cannot be read as an ONNX model: {str(error)[:300]}") from error
    stated = session.get_modelmeta().custom_metadata_map
    if "remix_miner" in stated:
        return _exported(session, stated, path)
    if len(session.get_inputs()[0].shape) != 4:
        raise DataError(
            f"{display_name(path)} takes {session.get_inputs()[0].shape}: neither a spectrogram model of the UVR "
            "family nor an export of this project"
        )
    return UvrMdxNet(session, settings or {})


def _exported(session: Any, stated: Mapping[str, str], path: Path) -> OnnxSeparator:
    try:
        return OnnxSeparator(
            session,
            stated["sources"].split(","),
            int(stated["audio_channels"]),
            int(stated["sample_rate"]),
            int(stated["input_frames"]),
            int(stated["output_frames"]),
        )
    except (KeyError, ValueError) as error:
        raise DataError(f"{display_name(path)}: its metadata lack or spoil {error}; export the model again") from error
