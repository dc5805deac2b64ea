"""Random samples of a mined folder in its catalogue: audits of purity, and draws around a threshold."""
