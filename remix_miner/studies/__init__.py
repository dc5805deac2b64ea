"""Experiments of the papers, by name: `remix-miner study NAME`; `papers` holds them, one file for each paper."""
