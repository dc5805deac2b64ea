"""Mined excerpts handed over: data sets that other trainers read, and labels of silence for people and tools."""
