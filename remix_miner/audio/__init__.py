"""Audio files: decoding, writing, resampling, channels."""

from remix_miner.audio.arrays import Audio, Block
from remix_miner.audio.channels import downmix, to_channels
from remix_miner.audio.formats import AUDIO_SUFFIXES, PYAV_SUFFIXES, SOUNDFILE_SUFFIXES, UNREADABLE_SUFFIXES
from remix_miner.audio.reader import AudioInfo, AudioReader, audio_info, read_audio
from remix_miner.audio.resampling import StreamResampler, resample
from remix_miner.audio.sample_reader import SampleReader
from remix_miner.audio.writer import SUBTYPES, AudioWriter, write_audio
from remix_miner.paths import display_name

__all__ = [
    "AUDIO_SUFFIXES",
    "PYAV_SUFFIXES",
    "SOUNDFILE_SUFFIXES",
    "SUBTYPES",
    "UNREADABLE_SUFFIXES",
    "Audio",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "Block",
    "SampleReader",
    "StreamResampler",
    "audio_info",
    "display_name",
    "downmix",
    "read_audio",
    "resample",
    "to_channels",
    "write_audio",
]
