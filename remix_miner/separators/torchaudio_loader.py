"""Import of torchaudio, also where its compiled extension does not load.

torchaudio 2.11 is built for CUDA 13.0. Beside a CPU-only torch or a torch for another CUDA, importing it fails, though
the parts in use here are plain torch: models and most transforms. There, its extension is replaced by a stand-in that
states its absence. Forced alignment and fast `lfilter` need the extension: do not use them.
"""

import importlib
import sys
import types
from typing import Any

EXTENSION = "torchaudio._extension"


def load_torchaudio() -> Any:
    """Return the torchaudio package, with its extension if that loads.

    Raises ImportError when torchaudio is not installed.
    """
    try:
        return importlib.import_module("torchaudio")
    except ModuleNotFoundError as error:
        if error.name == "torchaudio":
            raise
    except (ImportError, OSError, RuntimeError):
        pass
    for name in [name for name in sys.modules if name == "torchaudio" or name.startswith("torchaudio.")]:
        del sys.modules[name]
    sys.modules[EXTENSION] = _absent_extension()
    return importlib.import_module("torchaudio")


def _absent_extension() -> types.ModuleType:
    module: Any = types.ModuleType(EXTENSION)
    module.__path__ = []
    module._IS_TORCHAUDIO_EXT_AVAILABLE = module._IS_ALIGN_AVAILABLE = False
    module.fail_if_no_align = lambda function: function
    module._check_cuda_version = lambda: None
    extension: types.ModuleType = module
    return extension
