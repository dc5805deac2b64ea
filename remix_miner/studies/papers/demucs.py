"""Studies of Demucs: the ablation of Défossez et al. 2019, and the settings of the simplified reimplementation."""

from collections.abc import Mapping
from typing import Any

from remix_miner.studies.plan import Arm, Claim, Study

SHIFTS = 10


def _separator(**settings: Any) -> Mapping[str, Any]:
    return {"separator": {"settings": settings}}


def demucs_ablation() -> Study:
    """Return the study of Demucs without each of its elements (table 2), the shift trick, and remix steps."""
    return Study(
        "demucs-ablation",
        "Défossez et al. 2019, table 2",
        "What does each element of Demucs contribute?",
        "element left out or added",
        (
            Arm("reference"),
            Arm("no GLU", _separator(glu=False)),
            Arm("no BiLSTM", _separator(lstm_layers=0)),
            Arm("MSE loss", {"loss": "mse"}),
            Arm("no weight rescaling", _separator(rescale=None)),
            Arm("10 shifts", shifts=SHIFTS),
            Arm("remixed", remixed=True),
        ),
        (
            Claim("reference", "no GLU", "table 2", 0.41),
            Claim("reference", "no BiLSTM", "table 2", 0.26),
            Claim("reference", "MSE loss", "table 2", 0.05),
            Claim("reference", "no weight rescaling", "table 2", 0.41),
            Claim("10 shifts", "reference", "simplified report, section 5.1", None),
            Claim("remixed", "reference", "table 2, 'no remixed'", 0.28),
        ),
    )


def simplified_demucs() -> Study:
    """Return the study of losses, z-score, chunks and width of the simplified Demucs (report, sections 2 to 5).

    1.25 chunks of 10 s per minute of song are 12.5 s of 60 s. The report compares its smaller model, on its smaller
    data, with the original of 100 channels in one row (table 3); here each change stands alone.
    """
    return Study(
        "simplified-demucs",
        "the simplified reimplementation's report, tables 1 to 3",
        "What do the loss, the smaller data and the smaller model of the simplified Demucs cost?",
        "change of the simplified Demucs",
        (
            Arm("L1", {"loss": "l1"}),
            Arm("L2", {"loss": "mse"}),
            Arm("1.25 chunks a minute", music_share=12.5 / 60),
            Arm("C = 100 for 64", width=100 / 64),
            Arm("no z-score", _separator(normalize=False)),
            Arm("10 shifts", shifts=SHIFTS),
        ),
        (
            Claim("L1", "L2", "section 5.3, tables 1 and 2, All", 0.033),
            Claim("L2", "L1", "tables 1 and 2, vocals", 0.526, source="vocals"),
            Claim("L2", "L1", "tables 1 and 2, other", 0.381, source="other"),
            Claim("L1", "1.25 chunks a minute", "section 3, 'at the cost of the performance'", None),
            Claim("C = 100 for 64", "L1", "section 5.3", None),
            Claim("10 shifts", "L1", "section 5.1", None),
        ),
    )
