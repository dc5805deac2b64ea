"""Suffixes of audio files, by the library that decodes them."""

SOUNDFILE_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
PYAV_SUFFIXES = (".m4a", ".aac", ".mp4")
AUDIO_SUFFIXES = SOUNDFILE_SUFFIXES + PYAV_SUFFIXES
