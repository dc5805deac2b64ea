"""Export of mined excerpts: data sets for other trainers, and labels of silence."""
