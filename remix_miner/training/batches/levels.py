"""Level of a mined excerpt in a remix, and its weight in the loss."""

import math

import numpy as np

from remix_miner.audio import Audio
from remix_miner.volume import SILENT_MINING_DB


def level_gain(excerpt: Audio, rest: Audio, max_gain_db: float) -> float:
    """Return the factor that gives ``excerpt`` the mean power of ``rest``, within +-``max_gain_db``.

    It is 1 where either is silent.

    >>> level_gain(np.full((1, 4), 0.1, np.float32), np.full((2, 4), 0.2, np.float32), max_gain_db=12.0)
    2.0
    """
    power = float(np.mean(np.square(excerpt, dtype=np.float64)))
    wanted = float(np.mean(np.square(rest, dtype=np.float64)))
    if power == 0 or wanted == 0:
        return 1.0
    limit = 10 ** (max_gain_db / 20)
    return round(min(max(math.sqrt(wanted / power), 1 / limit), limit), 6)


def volume_weight(expected_volume_db: float, half_db: float = SILENT_MINING_DB) -> float:
    """Return the weight of an excerpt whose silent source is expected at V: 1 / (1 + 10^((V - half)/10)).

    The leaked source is noise in the target, of energy 10^(V/10) times the excerpt's; weights inverse to the variance
    of noise plus a constant have this form. 1/2 at ``half_db``, 0.91 at 10 dB below, 0.09 at 10 dB above; 1 where the
    catalogue states no V (nan).

    >>> volume_weight(-20.0), round(volume_weight(-30.0), 2), volume_weight(math.nan)
    (0.5, 0.91, 1.0)
    """
    if math.isnan(expected_volume_db):
        return 1.0
    return 1 / (1 + 10 ** ((expected_volume_db - half_db) / 10))
