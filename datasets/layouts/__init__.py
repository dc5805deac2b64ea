"""Layouts of stem corpora on disk, one a file."""
