"""Purity curve of one source: purity of the harvest, its lower bound, and recall at each threshold.

`remix_miner.calibration.promise.curve` measures it; a scan takes the threshold for a requested purity from it.
"""

import dataclasses
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PurityCurve:
    """One row for each threshold, ascending.

    ``lower_bound``: of the share of the harvested seconds in which the source is silent; ``purity``: that share on the
    labelled songs; ``worst_artist``: the least share of an artist with 20 s or more of harvest; ``recall``: share of
    the windows of truly silent spans that are harvested; ``artists``: with a harvest. Shares are None without harvest.
    ``artist_floor``: no threshold is chosen at which ``worst_artist`` is below it.

    >>> curve = PurityCurve([0.5, 0.9], [0.8, 0.96], [0.9, 1.0], [0.7, 1.0], [0.9, 0.4], [9, 9])
    >>> curve.threshold_for(0.95), curve.threshold_for(0.98), curve.highest_bound
    (0.9, None, 0.96)
    """

    threshold: list[float] = field(default_factory=list)
    lower_bound: list[float] = field(default_factory=list)
    purity: list[float | None] = field(default_factory=list)
    worst_artist: list[float | None] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)
    artists: list[int] = field(default_factory=list)
    artist_floor: float = 0.0

    def threshold_for(self, purity: float) -> float | None:
        """Return the lowest threshold whose lower bound reaches ``purity`` and whose worst artist reaches the floor."""
        for index, threshold in enumerate(self.threshold):
            if self.lower_bound[index] >= purity and self._floor_reached(index):
                return threshold
        return None

    @property
    def highest_bound(self) -> float:
        """Highest purity for which `threshold_for` has a threshold; 0 without harvest."""
        allowed = [bound for index, bound in enumerate(self.lower_bound) if self._floor_reached(index)]
        return max(allowed, default=0.0)

    def problem(self) -> str | None:
        """Return the fault of values that were read from a file, or None."""
        columns = [values for values in dataclasses.astuple(self) if isinstance(values, list)]
        if len({len(column) for column in columns}) != 1:
            return "columns of unequal lengths"
        if any(later <= earlier for earlier, later in zip(self.threshold, self.threshold[1:], strict=False)):
            return "thresholds that do not ascend"
        return None

    def _floor_reached(self, index: int) -> bool:
        worst = self.worst_artist[index]
        return worst is None or worst >= self.artist_floor
