"""``remix-miner train``: train a separator on labelled stems, and on mined excerpts where there are some."""

import click

from remix_miner.commands._options.common import (
    command_line,
    config_option,
    device_option,
    note,
    set_option,
    show,
    verb,
)
from remix_miner.errors import UsageError


@verb(
    "Train a separator on stems; with --mined also on remixes of excerpts in which a source is silent.",
    "remix-miner train --stems musdb18hq --mined mined/ --config demucs_remix --out runs/demucs",
)
@click.option("--stems", multiple=True, metavar="STEMS", help="Labelled songs to train on; repeatable.")
@click.option("--mined", default=None, metavar="MINED", help="Excerpts from `remix-miner detect`.")
@click.option("--target", default=None, metavar="SOURCE", help="Train this source against the rest, not four sources.")
@click.option(
    "--valid", multiple=True, metavar="STEMS", help="Songs to validate on  [default: split 'valid', or held out]"
)
@click.option("--split-seed", type=int, default=None, help="Draw other artists to hold out  [default: setting seed]")
@click.option("--out", required=True, metavar="RUN", help="Folder of the run: settings, log, best model, checkpoint.")
@config_option
@set_option
@click.option("--resume", is_flag=True, help="Continue RUN where it stopped, with its settings and data.")
@click.option("--workers", default=2, show_default=True, help="Processes that read batches ahead; 0 reads in the loop.")
@click.option("--cache", default=None, metavar="DIR", help="Keep a fast copy of the stems here (made once).")
@click.option(
    "--part", "parts", multiple=True, metavar="SOURCE=MODEL", help="Trained separators under kuielab_mdx_net."
)
@click.option("--tensorboard", is_flag=True, help="Also log for TensorBoard, in RUN/tensorboard.")
@device_option
@click.option("--devices", default=None, metavar="N,N,...", help="Train on several GPUs, such as 0,1 (or cpu,cpu).")
def command(
    stems: tuple[str, ...],
    mined: str | None,
    target: str | None,
    valid: tuple[str, ...],
    split_seed: int | None,
    out: str,
    config: str | None,
    overrides: tuple[str, ...],
    resume: bool,
    workers: int,
    cache: str | None,
    parts: tuple[str, ...],
    tensorboard: bool,
    device: str,
    devices: str | None,
    as_json: bool,
) -> int | None:
    """Beyond one machine: torchrun --nnodes M --nproc-per-node N ... -m remix_miner.cli train ..."""
    from remix_miner.runs.folder import RunFolder
    from remix_miner.runs.resuming import settings_to_resume
    from remix_miner.settings_files import load_settings
    from remix_miner.training.run.distributed import open_ranks
    from remix_miner.training.run.prepare import Inputs, inputs_of_run, prepare
    from remix_miner.training.settings import TrainingSettings

    if devices is not None:
        from remix_miner.training.run.launch import launch, parse_devices

        given = command_line(click.get_current_context(), leave_out=("devices", "device"))
        return launch(parse_devices(devices), "train", given)
    if target is not None:
        overrides = (*overrides, f"target={target}")
    if split_seed is not None:
        overrides = (*overrides, f"split_seed={split_seed}")
    with open_ranks(device) as ranks:
        folder = RunFolder(out, tensorboard and ranks.first)
        if resume:
            folder.require_run()
            settings = settings_to_resume(folder, TrainingSettings, config, overrides)
        else:
            folder.require_new()
            settings = load_settings(TrainingSettings, config, overrides)
        inputs = Inputs(stems, valid, mined, cache, _pairs(parts))
        if resume and not stems:
            before = inputs_of_run(folder)
            inputs = Inputs(before.stems, valid or before.valid, mined or before.mined, cache)
        if not inputs.stems:
            raise UsageError("no --stems to train on; name at least one folder of labelled songs")
        training = prepare(settings, inputs, folder, ranks, workers=workers, resume=resume)
        if ranks.first:
            note("\n".join([f"{out}: {training.describe()}", *training.notices]))
        best = training.run()
        if not ranks.first:
            return None
        result = {
            "run": out,
            "steps": training.steps_done,
            "best": best,
            "model": str(folder.path / "model.safetensors"),
        }
        score = f"uSDR {best['usdr_mean']:.2f} dB ({best['model']}, epoch {best['epoch']})" if best else "not validated"
        show(result, as_json, f"{out}: {training.steps_done} steps, best model: {score}")
    return None


def _pairs(parts: tuple[str, ...]) -> dict[str, str]:
    wrong = [part for part in parts if "=" not in part]
    if wrong:
        raise UsageError(f"--part takes SOURCE=MODEL, got {wrong[0]!r}; for example --part vocals=runs/vocals")
    return dict(part.split("=", 1) for part in parts)
