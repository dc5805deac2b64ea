"""Cost of a separation: compute time, audio time and peak memory."""

import resource
import sys
from dataclasses import dataclass
from typing import Any


@dataclass
class Cost:
    """Seconds of audio separated and seconds of compute spent on them; scoring is not counted."""

    device: str
    audio_seconds: float = 0.0
    compute_seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return the cost as results hold it, with the ratio and the peak memory of this process or of the GPU."""
        return {
            "device": self.device,
            "audio_seconds": round(self.audio_seconds, 3),
            "compute_seconds": round(self.compute_seconds, 3),
            "compute_seconds_per_audio_second": round(self.compute_seconds / max(self.audio_seconds, 1e-9), 4),
            "peak_memory_mib": round(_peak_memory_mib(self.device), 1),
        }


def _peak_memory_mib(device: str) -> float:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
