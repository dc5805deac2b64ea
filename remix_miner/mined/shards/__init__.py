"""Shards of a mined folder: closed HDF5 files of excerpts, their writer, their reader, and their names."""
