"""Conversion of a `small` detector into a `light` one: low-rank kernels, fewer channels, windows in pairs.

    python examples/default_detector/lighten.py RUN OUT

A square kernel, as a matrix from (input, along frequency) to (output, along time), is truncated to the pair's rank by
its singular value decomposition, the final kernel likewise. A step of the recurrence starts as the mean of its two
windows. OUT is a run folder for `train-detector --init`. It needs further training: its detector is worse than RUN's.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from remix_miner.checkpoint import save_model
from remix_miner.detector.description import DETECTOR_NAME
from remix_miner.detector.loading import load_detector
from remix_miner.detector.networks import CellNorm, SilentSourceDetector, build_detector
from remix_miner.detector.scattering.filters import ALL_CHANNELS, FIRST_ORDER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    source = load_detector(options.run)
    target = build_detector({**source.model.settings, "network": "light"})
    lighten(source.model, target)
    options.out.mkdir(parents=True, exist_ok=True)
    provenance = {"initial": {"name": source.name, "sha256": source.sha256}}
    save_model(options.out, target.state_dict(), {"name": DETECTOR_NAME, "settings": target.settings, **provenance})
    count = sum(parameter.numel() for parameter in target.parameters())
    print(f"{options.out}: {count:,} parameters, start training from them with --init")


def lighten(small: SilentSourceDetector, light: SilentSourceDetector) -> None:
    """Approximate ``small`` by ``light`` without training."""
    channels = list(light.features.scattering.channels)
    light.recurrent.load_state_dict(small.recurrent.state_dict())
    copied = iter(light.convolutions)
    *layers, final, _, final_norm, _ = small.convolutions
    for layer in layers:
        copy, state = next(copied), layer.state_dict()
        if isinstance(layer, CellNorm):
            cells = {name: value.unflatten(0, (-1, FIRST_ORDER)) for name, value in state.items() if value.dim()}
            state |= {name: value[channels].flatten() for name, value in cells.items()}
        elif isinstance(layer, nn.Conv2d) and layer.in_channels == len(ALL_CHANNELS):
            state["weight"] = state["weight"][:, channels]
        elif isinstance(layer, nn.Conv2d):
            copy.weight.data, state["weight"] = halves(layer.weight.data, copy.out_channels)
            copy = next(copied)
        copy.load_state_dict(state)
    between = next(copied)
    pair, _, norm, _ = light.steps
    between.weight.data, spread = halves(final.weight.data, between.out_channels)
    pair.load_state_dict({"weight": (spread[:, :, 0] / 2).expand_as(pair.weight), "bias": final.bias})
    norm.load_state_dict(final_norm.state_dict())
    head = small.head.state_dict()
    last = [name for name in head if name.startswith(f"{len(small.head) - 1}.")]
    light.head.load_state_dict(head | {name: head[name].repeat_interleave(2, dim=0) for name in last})


def halves(kernel: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return kernels (rank, inputs, k, 1) and (outputs, rank, 1, m) that best approximate (outputs, inputs, k, m)."""
    outputs, inputs, high, wide = kernel.shape
    matrix = kernel.permute(1, 2, 0, 3).reshape(inputs * high, outputs * wide)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    scale = values[:rank].sqrt()
    first = (left[:, :rank] * scale).T.reshape(rank, inputs, high, 1)
    second = (scale[:, None] * right[:rank]).reshape(rank, outputs, wide).permute(1, 0, 2)[:, :, None]
    lost = 1 - float((values[:rank] ** 2).sum() / (values**2).sum())
    print(f"{inputs} -> {outputs}, {high} x {wide}: {lost:.1%} of the kernel's energy lost")
    return first.contiguous(), second.contiguous()


if __name__ == "__main__":
    main()
