"""Types of the public names, which `__init__.py` imports lazily."""

from remix_miner.api.detector import Detector as Detector
from remix_miner.api.evaluation import evaluate as evaluate
from remix_miner.api.scan import scan as scan
from remix_miner.api.separation import separate as separate
from remix_miner.detector.calibration import Calibration as Calibration
from remix_miner.detector.networks import SilentSourceDetector as SilentSourceDetector
from remix_miner.detector.scattering.transform import Scattering as Scattering
from remix_miner.mined.excerpts import MinedExcerpts as MinedExcerpts
from remix_miner.separators import build as build
from remix_miner.separators.loading import load_separator as load_separator
from remix_miner.sources import SOURCES as SOURCES
from remix_miner.volume import relative_volume_db as relative_volume_db

__version__: str
PUBLIC: dict[str, str]
