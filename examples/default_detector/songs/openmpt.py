"""Tracker module, rendered by libopenmpt (Debian's ``libopenmpt0``) with some of its instruments muted.

The unit is the instrument, or the sample where a format has no instruments. Numbers start at 1, as trackers show them.
"""

import ctypes
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from ctypes import c_char_p, c_double, c_int, c_int32, c_size_t, c_uint8, c_void_p
from pathlib import Path
from types import SimpleNamespace

import numpy as np

LIBRARY = "libopenmpt.so.0"
SAMPLE_RATE = 48000
STEREO_SEPARATION, INTERPOLATION, RAMPING = 2, 3, 4  # openmpt_module_render_param
SINC_TAPS, FULL_SEPARATION, DEFAULT_RAMPING = 8, 100, -1
INTERACTIVE_FUNCTIONS, SET_INSTRUMENT_MUTE = 16, 12  # openmpt_module_ext_interface_interactive
NOTE, INSTRUMENT = 0, 1  # openmpt_module_command_index
LAST_NOTE = 120
SIGNATURES = {
    "module_ext_create_from_memory": (c_void_p, c_char_p, c_size_t, *[c_void_p] * 7),
    "module_ext_destroy": (None, c_void_p),
    "module_ext_get_module": (c_void_p, c_void_p),
    "module_ext_get_interface": (c_int, c_void_p, c_char_p, c_void_p, c_size_t),
    "module_get_num_instruments": (c_int32, c_void_p),
    "module_get_num_samples": (c_int32, c_void_p),
    "module_get_num_channels": (c_int32, c_void_p),
    "module_get_num_orders": (c_int32, c_void_p),
    "module_get_order_pattern": (c_int32, c_void_p, c_int32),
    "module_get_pattern_num_rows": (c_int32, c_void_p, c_int32),
    "module_get_pattern_row_channel_command": (c_uint8, c_void_p, *[c_int32] * 3, c_int),
    "module_get_instrument_name": (c_void_p, c_void_p, c_int32),
    "module_get_sample_name": (c_void_p, c_void_p, c_int32),
    "module_get_duration_seconds": (c_double, c_void_p),
    "module_set_repeat_count": (c_int, c_void_p, c_int32),
    "module_set_render_param": (c_int, c_void_p, c_int, c_int32),
    "module_read_interleaved_float_stereo": (c_size_t, c_void_p, c_int32, c_size_t, c_void_p),
    "free_string": (None, c_void_p),
}


def library() -> SimpleNamespace:
    """Return the functions of libopenmpt that are used here, without their prefix ``openmpt_``."""
    try:
        loaded = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise SystemExit(f"cannot load {LIBRARY} ({error}): install the package libopenmpt0") from error
    functions = {}
    for name, (result, *arguments) in SIGNATURES.items():
        function = loaded[f"openmpt_{name}"]
        function.restype, function.argtypes = result, arguments
        functions[name] = function
    return SimpleNamespace(**functions)


class Module:
    """Opened module; `opened` closes it."""

    def __init__(self, data: bytes) -> None:
        self.functions = library()
        self.extended = self.functions.module_ext_create_from_memory(data, len(data), *[None] * 7)
        if not self.extended:
            raise ValueError("libopenmpt cannot read the module")
        self.handle = self.functions.module_ext_get_module(self.extended)
        instruments = self.functions.module_get_num_instruments(self.handle)
        self.count: int = instruments or self.functions.module_get_num_samples(self.handle)
        self.read_name = self.functions.module_get_sample_name
        if instruments:
            self.read_name = self.functions.module_get_instrument_name

    def text(self, number: int) -> str:
        pointer = self.read_name(self.handle, number - 1)
        text = ctypes.string_at(pointer).decode("utf-8", "replace").strip()
        self.functions.free_string(pointer)
        return text

    def notes(self) -> dict[int, list[int]]:
        """Return the notes (1 to 120) of the song's patterns by number of the instrument that plays them."""
        get, played = self.functions, dict[int, list[int]]()
        command = get.module_get_pattern_row_channel_command
        current = [0] * get.module_get_num_channels(self.handle)
        for order in range(get.module_get_num_orders(self.handle)):
            pattern = get.module_get_order_pattern(self.handle, order)
            for row in range(get.module_get_pattern_num_rows(self.handle, pattern)):
                for channel in range(len(current)):
                    place = (self.handle, pattern, row, channel)
                    note = command(*place, NOTE)
                    current[channel] = (
                        get.module_get_pattern_row_channel_command(*place, INSTRUMENT) or current[channel]
                    )
                    if 0 < note <= LAST_NOTE and current[channel]:
                        played.setdefault(current[channel], []).append(note)
        return played

    def mute(self, number: int) -> None:
        table = (c_void_p * INTERACTIVE_FUNCTIONS)()
        if not self.functions.module_ext_get_interface(self.extended, b"interactive", table, ctypes.sizeof(table)):
            raise ValueError("this libopenmpt cannot mute instruments")
        set_mute = ctypes.CFUNCTYPE(c_int, c_void_p, c_int32, c_int)(table[SET_INSTRUMENT_MUTE])
        if not set_mute(self.extended, number - 1, 1):
            raise ValueError(f"the module has no instrument {number}")

    def audio(self, seconds: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
        """Return the song from its start to its end or to ``seconds``, (T, 2) float32."""
        self.functions.module_set_repeat_count(self.handle, 0)
        for parameter, value in (
            (STEREO_SEPARATION, FULL_SEPARATION),
            (INTERPOLATION, SINC_TAPS),
            (RAMPING, DEFAULT_RAMPING),
        ):
            self.functions.module_set_render_param(self.handle, parameter, value)
        out = np.zeros((round(seconds * sample_rate), 2), np.float32)
        start = 0
        while start < len(out):
            block = np.zeros((min(sample_rate, len(out) - start), 2), np.float32)
            read = self.functions.module_read_interleaved_float_stereo(
                self.handle, sample_rate, len(block), block.ctypes.data
            )
            if not read:
                break
            out[start : start + read] = block[:read]
            start += read
        return out[:start]


@contextmanager
def opened(data: bytes) -> Iterator[Module]:
    module = Module(data)
    try:
        yield module
    finally:
        module.functions.module_ext_destroy(module.extended)


def rendered(path: Path, numbers: Collection[int] | None, seconds: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Return the song with all instruments muted but ``numbers`` (None: nothing muted), (T, 2) float32."""
    with opened(path.read_bytes()) as module:
        if numbers is not None:
            for number in range(1, module.count + 1):
                if number not in numbers:
                    module.mute(number)
        return module.audio(seconds, sample_rate)
