"""Harvest of calibration artists that are left out of the choice of the threshold.

`remix_miner.calibration.promise.left_out` measures it; `calibrate`, scans and reports show it.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LeftOutArtist:
    """Harvest of one artist at the ``threshold`` that all other artists give.

    ``purity``: share of silent windows in it, unweighted.
    """

    artist: str
    threshold: float
    seconds: float
    purity: float


@dataclass(frozen=True)
class LeftOut:
    """Pooled harvest of the calibration artists, each at the threshold that the rule chooses on all others.

    ``target``: the purity of that choice. ``purity``: share of the harvested windows that are silent, weighted to the
    assumed silence rate as the target is; ``unweighted_purity``: of the windows as they are (both None without a
    harvest). ``found``: share of the windows of truly silent spans that are harvested (None without these counts);
    ``silent_windows_found``: share of all silent windows. ``artists``: number of those that did not train the detector;
    ``without_threshold``: of those for whom the others give no threshold, so that nothing of theirs is harvested.
    ``lowest_threshold``, ``highest_threshold``: over the others. ``below_floor``: artists with 20 s or more of harvest
    and a purity below the artist floor.
    """

    target: float
    purity: float | None
    unweighted_purity: float | None
    found: float | None
    silent_windows_found: float
    artists: int
    without_threshold: int
    lowest_threshold: float | None
    highest_threshold: float | None
    below_floor: list[LeftOutArtist] = field(default_factory=list)

    @property
    def finds(self) -> str:
        """The found share in words: of the silent audio, or of the silent windows where spans are not counted."""
        if self.found is not None:
            return f"{self.found:.0%} of the silent audio"
        return f"{self.silent_windows_found:.0%} of the silent windows"

    @property
    def refusal(self) -> str:
        """Reason not to mine the source: the purity, which is below the artist floor."""
        share = "none" if self.purity is None else f"{self.purity:.0%}"
        return (
            f"with artists left out of the choice of the threshold, {share} of the harvest is silent where "
            f"{self.target:.6g} is asked for: the bound does not hold for other artists (--artist-floor)"
        )
