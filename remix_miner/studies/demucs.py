"""Studies of Demucs: the ablation of Défossez et al. 2019, and the loss of the simplified reimplementation."""

from collections.abc import Mapping
from typing import Any

from remix_miner.studies.plan import Arm, Claim, Study


def _separator(**settings: Any) -> Mapping[str, Any]:
    return {"separator": {"settings": settings}}


def demucs_ablation() -> Study:
    """Elements of Demucs, each left out (table 2). docs/guide/does_it_help.md has the row 'no remixed'."""
    return Study(
        "demucs-ablation",
        "Défossez et al. 2019, table 2",
        "What does each element of Demucs contribute?",
        "element left out",
        (
            Arm("reference"),
            Arm("no GLU", _separator(glu=False)),
            Arm("no BiLSTM", _separator(lstm_layers=0)),
            Arm("MSE loss", {"loss": "mse"}),
            Arm("no weight rescaling", _separator(rescale=None)),
        ),
        (
            Claim("reference", "no GLU", "table 2", 0.41),
            Claim("reference", "no BiLSTM", "table 2", 0.26),
            Claim("reference", "MSE loss", "table 2", 0.05),
            Claim("reference", "no weight rescaling", "table 2", 0.41),
        ),
    )


def simplified_demucs() -> Study:
    """L1 against L2 in Demucs as it was released, with z-scored input (the reimplementation report, section 5)."""
    names = {"separator": {"name": "demucs_v1"}}
    return Study(
        "simplified-demucs",
        "the simplified reimplementation's report, tables 1 and 2",
        "Is L1 the better loss of the simplified Demucs?",
        "loss",
        (Arm("L1", {**names, "loss": "l1"}), Arm("L2", {**names, "loss": "mse"})),
        (Claim("L1", "L2", "section 5, 'slightly better on average'", None),),
    )
