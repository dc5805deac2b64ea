"""Figures of studies: means of the arms beside the claims' differences, and curves of scores during training."""

from typing import Any

from remix_miner.figures.style import FAINT, INK, figure, legend, title

COLOURS = {"agrees": "#009E73", "disagrees": "#D55E00", "undecided": "#777777"}
ARM_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK, FAINT)
MARKERS = "osD^vP*X"


def draw(result: dict[str, Any]) -> Any:
    """Return the figure of a study's `document`: what was measured on the left, the claims on the right."""
    claims, names = result["claims"], list(result["arms"])
    arms = [arm for arm in result["arms"][names[0]] if arm in result["separates"]]
    rows = len(arms) if len(names) == 1 or result["curves"] else len(names)
    height = 1.4 + 0.36 * max(len(claims), rows, 13 if result["curves"] else 6 if len(names) > 1 else 3)
    made, (left, right) = figure(12.5, height, columns=2)
    if result["curves"]:
        _curves(left, result["curves"])
    else:
        _means(left, result["arms"], arms)
    _claims(right, claims)
    return made


def _means(axis: Any, sets: dict[str, Any], arms: list[str]) -> None:
    """Draw the mean uSDR: a row for each arm, or with several test sets a row for each set and a mark for each arm."""
    names = list(sets)
    if len(names) == 1:
        axis.plot([sets[names[0]][arm]["mean"] for arm in arms], range(len(arms)), "o", color=INK)
        axis.set_yticks(range(len(arms)), arms)
        axis.set_ylim(len(arms) - 0.5, -0.5)
    else:
        for number, arm in enumerate(arms):
            colour, marker = ARM_COLOURS[number % len(ARM_COLOURS)], MARKERS[number % len(MARKERS)]
            axis.plot([sets[name][arm]["mean"] for name in names], range(len(names)), marker, color=colour, label=arm)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
        legend(axis, "best")
    axis.set_xlabel("uSDR in dB, mean of sources")
    axis.grid(axis="x", alpha=0.3)


def _curves(axis: Any, curves: dict[str, Any]) -> None:
    """Draw the improvement over the mixture during training: a colour for each arm, a line style for each set."""
    from matplotlib.lines import Line2D

    styles, shown = ("-", "--", "-.", ":"), sorted(curves)
    for style, chunks in zip(styles, shown, strict=False):
        for colour, points in zip(ARM_COLOURS, curves[chunks].values(), strict=False):
            axis.plot(*zip(*points, strict=True), style, color=colour, marker=".", linewidth=1.3)
    arms = [Line2D([], [], color=colour, label=arm) for colour, arm in zip(ARM_COLOURS, curves[shown[0]], strict=False)]
    sets = [Line2D([], [], color=INK, linestyle=style, label=name) for style, name in zip(styles, shown, strict=False)]
    axis.legend(
        handles=[*arms, *sets], loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=2, frameon=False, fontsize=8
    )
    axis.set_xlabel("updates")
    axis.set_ylabel("uSDR above the mixture's, dB")
    axis.grid(alpha=0.3)


def _claims(axis: Any, claims: list[dict[str, Any]]) -> None:
    """Draw each claim's difference with its interval, coloured by the verdict, and the paper's figure as a cross."""
    for row, claim in enumerate(claims):
        colour = COLOURS[claim["outcome"]]
        if claim["mean_db"] is None:
            continue
        axis.plot([claim["low_db"], claim["high_db"]], [row, row], color=colour, linewidth=2)
        axis.plot(claim["mean_db"], row, "o", color=colour)
        if claim["published_db"] is not None:
            axis.plot(claim["published_db"], row, "x", color=INK)
    axis.axvline(0, color=INK, linewidth=0.8)
    labels = [f"{_folded(claim['text'])} ({claim['outcome']})" for claim in claims]
    axis.set_yticks(range(len(claims)), labels, fontsize=8)
    axis.set_ylim(len(claims) - 0.5, -0.5)
    axis.set_xlabel("difference in dB with 95% interval; x: the paper")
    axis.grid(axis="x", alpha=0.3)
    title(axis, "claims of the paper")


def _folded(text: str, most: int = 44) -> str:
    """Return a text on lines of at most ``most`` characters."""
    import textwrap

    return "\n".join(textwrap.wrap(text, most))
