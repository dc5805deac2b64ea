"""Arithmetic of training: float32, or mixed precision with bfloat16 or float16."""

import contextlib
from typing import Annotated, Any, Literal

import torch

from remix_miner.config import Renamed

Precision = Annotated[Literal["float32", "bfloat16", "float16"], Renamed({"bf16": "bfloat16", "fp16": "float16"})]
"""As a setting; settings files and runs of earlier versions may use the short names."""


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which networks compute in ``precision``; parameters and losses stay in float32."""
    return torch.autocast(device.type, dtype=getattr(torch, precision), enabled=precision != "float32")


def gradient_scaler(device: torch.device, precision: Precision) -> torch.amp.GradScaler:
    """Return the loss scaling that float16 gradients need; it does nothing in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")
