"""Style of the pictures: colours per source, a logit axis for probabilities, figures as text for a page."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logit

from remix_miner.atomic import atomic_path
from remix_miner.errors import UsageError

# Okabe and Ito's colours, which colour-blind readers can distinguish.
SOURCE_COLOURS = {"drums": "#0072B2", "bass": "#009E73", "other": "#CC79A7", "vocals": "#D55E00"}
INK, FAINT, WARNING = "#222222", "#B8B8B8", "#B00020"

PROBABILITY_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
PROBABILITY_EDGE = 2e-4

STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "remix-miner",
    "font.family": "sans-serif",
}

PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


def figure(
    width: float, height: float, rows: int = 1, columns: int = 1, heights: Sequence[float] | None = None, **options: Any
) -> Any:
    """Return (figure, panels row by row) of a size in inches, without a display or pyplot's global state."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        made = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        axes = made.subplots(rows, columns, squeeze=False, gridspec_kw={"height_ratios": heights}, **options).ravel()
    return made, axes


def probability_scale(probabilities: Any) -> np.ndarray:
    """Return the position of P on a logit axis, clipped to its ends."""
    scaled: np.ndarray = logit(np.clip(np.asarray(probabilities, dtype=float), PROBABILITY_EDGE, 1 - PROBABILITY_EDGE))
    return scaled


def probability_axis(axis: Any) -> None:
    """Set ticks and limits of a horizontal axis in `probability_scale`."""
    axis.set_xticks(probability_scale(PROBABILITY_TICKS), [f"{tick:g}" for tick in PROBABILITY_TICKS])
    axis.set_xlim(probability_scale([0, 1]))


def title(axis: Any, text: str) -> None:
    axis.set_title(text, loc="left", fontsize=10)


def legend(axis: Any, location: str, **options: Any) -> None:
    axis.legend(loc=location, frameon=False, fontsize=8, **options)


class Picture:
    """Figure for a notebook, with ``save`` for a file."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure

    def save(self, path: str | Path) -> None:
        """Write the picture as PNG, SVG or PDF, by the suffix."""
        save_picture(self.figure, path)

    def _repr_png_(self) -> bytes:
        import matplotlib

        buffer = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            self.figure.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def legend_below(axis: Any) -> None:
    """Add a legend below the panel."""
    handles, _ = axis.get_legend_handles_labels()
    axis.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        ncol=min(len(handles), 3),
        frameon=False,
        fontsize=8,
        columnspacing=1.2,
        handlelength=1.6,
    )


def as_image(made: Any, alt: str) -> str:
    """Return an HTML img element that contains the figure as SVG."""
    from html import escape

    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        made.savefig(buffer, format="svg", dpi=130, metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}">'


def save_picture(made: Any, path: str | Path) -> None:
    """Write the figure as PNG, SVG or PDF, by the suffix; whole or not at all."""
    import matplotlib

    check_picture(path)
    with atomic_path(path) as temporary, matplotlib.rc_context(STYLE):
        metadata = {"Date": None} if Path(path).suffix.lower() == ".svg" else None
        made.savefig(temporary, dpi=130, metadata=metadata)


def check_picture(path: str | Path) -> None:
    """Raise `UsageError` for a suffix that is not PNG, SVG or PDF."""
    if Path(path).suffix.lower() not in PICTURE_SUFFIXES:
        raise UsageError(f"a picture is one of {', '.join(PICTURE_SUFFIXES)}, got {str(path)!r}")
