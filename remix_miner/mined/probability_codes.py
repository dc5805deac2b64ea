"""Codes of probabilities: one byte per window and source, from an even scale of logits."""

import numpy as np
from jaxtyping import Bool, Float32, UInt8

LOGIT_RANGE = 8.0
"""Codes 1 to 255 are evenly spaced logits from -8 to 8 (P from 0.0003 to 0.9997), 0.063 apart. Code 0: no label."""

Codes = UInt8[np.ndarray, "S W"]
Probabilities = Float32[np.ndarray, "S W"]


def encode(probabilities: Probabilities, valid: Bool[np.ndarray, " W"]) -> Codes:
    """Return one byte per window and source; 0 where a window is not ``valid`` or P is NaN.

    >>> encode(np.array([[0.0, 0.5, 1.0, 0.5]], np.float32), np.array([True, True, True, False])).tolist()
    [[1, 128, 255, 0]]
    """
    with np.errstate(divide="ignore"):
        logits = np.log(probabilities, dtype=np.float64) - np.log1p(-probabilities, dtype=np.float64)
    steps = np.rint((np.clip(logits, -LOGIT_RANGE, LOGIT_RANGE) + LOGIT_RANGE) * (254 / (2 * LOGIT_RANGE)))
    known = valid & ~np.isnan(probabilities)
    codes: Codes = np.where(known, np.nan_to_num(steps) + 1, 0).astype(np.uint8)
    return codes


def decode(codes: Codes) -> Probabilities:
    """Return P (S, W) as float32; NaN where there is no label.

    >>> decode(np.array([[0, 128]], np.uint8)).tolist()
    [[nan, 0.5]]
    """
    logits = (codes.astype(np.float32) - 1) * np.float32(2 * LOGIT_RANGE / 254) - np.float32(LOGIT_RANGE)
    probabilities: Probabilities = np.where(codes > 0, 1 / (1 + np.exp(-logits)), np.nan).astype(np.float32)
    return probabilities
