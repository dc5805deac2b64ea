"""Random samples of a harvest: audits of purity, and stretches around a threshold."""
