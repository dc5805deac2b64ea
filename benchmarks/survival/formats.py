"""Audio formats in which files are written to be damaged: the suffix, and the options of `soundfile.write`."""

FORMATS: dict[str, dict[str, str]] = {
    "wav": {},
    "float.wav": {"subtype": "FLOAT"},
    "24.wav": {"subtype": "PCM_24"},
    "w64": {},
    "flac": {},
    "mp3": {},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "aiff": {},
    "au": {},
    "caf": {},
}
