"""Experiments of the papers, by name: `remix-miner study NAME`. One file holds the studies of one paper."""
