"""A `small` detector as a `light` one: square convolutions as the nearest two along one axis each.

    python examples/default_detector/lighten.py RUN OUT

A kernel, as a matrix from (input, along frequency) to (output, along time), is cut to the pair's rank by its singular
values. OUT is a run folder that `train-detector --init` takes; train on, what comes out here is a worse detector.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from remix_miner.checkpoint import save_model
from remix_miner.detector.loading import load_detector
from remix_miner.detector.networks import NAME, build_detector


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    source = load_detector(options.run)
    target = build_detector({**source.model.settings, "network": "light"})
    target.recurrent.load_state_dict(source.model.recurrent.state_dict())
    target.head.load_state_dict(source.model.head.state_dict())
    layers = iter(target.convolutions)
    for layer in source.model.convolutions:
        copy = next(layers)
        if isinstance(layer, nn.Conv2d) and isinstance(copy, nn.Conv2d) and copy.kernel_size != layer.kernel_size:
            copy.weight.data, second = halves(layer.weight.data, copy.out_channels)
            copy = next(layers)
            copy.load_state_dict({"weight": second, "bias": layer.bias})
        else:
            copy.load_state_dict(layer.state_dict())
    options.out.mkdir(parents=True, exist_ok=True)
    provenance = {"initial": {"name": source.name, "sha256": source.sha256}}
    save_model(options.out, target.state_dict(), {"name": NAME, "settings": target.settings, **provenance})
    count = sum(parameter.numel() for parameter in target.parameters())
    print(f"{options.out}: {count:,} parameters, start training from them with --init")


def halves(kernel: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Kernels (rank, inputs, k, 1) and (outputs, rank, 1, k): in turn, they are nearest to (outputs, inputs, k, k)."""
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
