"""Training batches: segments of stems, remixes of mined excerpts, augmentation, prefetching."""
